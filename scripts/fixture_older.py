"""Rows of the fixture table: older language models, whose files hold more than their class: masks, ids, heads."""

from __future__ import annotations

from fixture_rows import Published, Row, each, hub_total

GPT2_MASKS = each("h.{}.attn.bias", range(12), "F32", 1, 1, 1024, 1024)


def pythia_buffers(layers: int, rotary: int) -> dict[str, tuple[str, tuple[int, ...]]]:
    """What transformers once stored with each GPT-NeoX layer; the class no longer has these buffers."""
    prefix = "gpt_neox.layers.{}.attention."
    return {
        **each(f"{prefix}bias", range(layers), "BOOL", 1, 1, 2048, 2048),
        **each(f"{prefix}masked_bias", range(layers), "F16"),
        **each(f"{prefix}rotary_emb.inv_freq", range(layers), "F16", rotary),
    }


OLDER: dict[str, Row] = {
    "openai-community/gpt2": Row(
        model_type="gpt2",
        architecture="GPT2LMHeadModel",
        dtype="float32",
        plain_config=True,
        config={"n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12, "n_positions": 1024, "vocab_size": 50257},
        renames=((r"^transformer\.", ""),),
        extras={"causal masks": GPT2_MASKS},
    ),
    "EleutherAI/gpt-neo-125m": Row(
        model_type="gpt_neo",
        architecture="GPTNeoForCausalLM",
        dtype="float32",
        config={
            "hidden_size": 768, "num_layers": 12, "num_heads": 12, "attention_types": [[["global", "local"], 6]],
            "vocab_size": 50257, "max_position_embeddings": 2048, "window_size": 256,
        },
        extras={
            "causal masks, as many as the published total holds": each(
                "transformer.h.{}.attn.attention.bias", range(1, 12, 2), "U8", 1, 1, 2048, 2048
            )
        },
        published=hub_total(150364416),
    ),
    "tiiuae/falcon-7b-instruct": Row(
        model_type="falcon",
        architecture="FalconForCausalLM",
        config={
            "hidden_size": 4544, "num_hidden_layers": 32, "num_attention_heads": 71, "vocab_size": 65024,
            "multi_query": True, "parallel_attn": True, "bias": False, "new_decoder_architecture": False,
        },
        stores_tied_head=True,
        published=hub_total(7217189760),
    ),
    "facebook/opt-125m": Row(
        model_type="opt",
        architecture="OPTForCausalLM",
        dtype="float16",
        config={
            "hidden_size": 768, "word_embed_proj_dim": 768, "ffn_dim": 3072, "num_hidden_layers": 12,
            "num_attention_heads": 12, "vocab_size": 50272, "max_position_embeddings": 2048,
        },
        published=Published(
            params_total=125239296,
            source="huggingface/peft@5d602fdbff04 docs/source/package_reference/hira.md:38",
            grade="derived: published all params - trainable",
        ),
    ),
    "bigscience/bloomz-560m": Row(
        model_type="bloom",
        architecture="BloomForCausalLM",
        dtype="float16",
        config={"hidden_size": 1024, "n_layer": 24, "n_head": 16, "vocab_size": 250880},
        published=Published(
            params_total=559214592, source="huggingface/huggingface_hub@ee0a4510f4bc tests/test_hf_api.py",
            grade="hub_header_test",
        ),
    ),
    "EleutherAI/pythia-70m-deduped": Row(
        model_type="gpt_neox",
        architecture="GPTNeoXForCausalLM",
        dtype="float16",
        config={
            "hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 6, "num_attention_heads": 8,
            "vocab_size": 50304, "max_position_embeddings": 2048, "rotary_pct": 0.25,
        },
        extras={"causal masks and rotary frequencies": pythia_buffers(6, 8)},
        published=hub_total(95592496, ignores="masked_bias$"),
    ),
    "EleutherAI/pythia-1.4b": Row(
        model_type="gpt_neox",
        architecture="GPTNeoXForCausalLM",
        dtype="float16",
        config={
            "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 24, "num_attention_heads": 16,
            "vocab_size": 50304, "max_position_embeddings": 2048, "rotary_pct": 0.25,
        },
        extras={"causal masks and rotary frequencies": pythia_buffers(24, 16)},
    ),
    "google-bert/bert-base-uncased": Row(
        model_type="bert",
        architecture="BertForMaskedLM",
        dtype="float32",
        plain_config=True,
        config={
            "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
            "vocab_size": 30522, "max_position_embeddings": 512, "type_vocab_size": 2,
        },
        files_from="BertForPreTraining",
        renames=((r"LayerNorm\.weight$", "LayerNorm.gamma"), (r"LayerNorm\.bias$", "LayerNorm.beta")),
        published=Published(
            params_total=110106428, source="huggingface/huggingface.js@fe42e68017ff parse-safetensors-metadata.spec.ts",
            grade="hub_header_test",
        ),
    ),
    "FacebookAI/roberta-base": Row(
        model_type="roberta",
        architecture="RobertaForMaskedLM",
        dtype="float32",
        config={"type_vocab_size": 1, "max_position_embeddings": 514, "vocab_size": 50265},
        extras={"position ids": {"roberta.embeddings.position_ids": ("I64", (1, 514))}},
        published=Published(
            params_total=124697947, source="huggingface/huggingface.js@fe42e68017ff parse-safetensors-metadata.spec.ts",
            grade="hub_header_test",
        ),
    ),
    "google-t5/t5-small": Row(
        model_type="t5", architecture="T5ForConditionalGeneration", dtype="float32", config={"vocab_size": 32128}
    ),
    "bigscience/mt0-large": Row(
        model_type="mt5",
        architecture="MT5ForConditionalGeneration",
        dtype="float32",
        config={
            "d_model": 1024, "d_ff": 2816, "num_layers": 24, "num_decoder_layers": 24, "num_heads": 16,
            "vocab_size": 250112,
            "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False,
        },
        extras={
            "a head of its own, where this transformers declares it tied": {"lm_head.weight": ("F32", (250112, 1024))}
        },
        published=Published(
            params_total=1229581312, source="huggingface/peft@5d602fdbff04 peft_ia3_seq2seq.ipynb:239",
            grade="derived: published all params - trainable",
        ),
    ),
    "facebook/bart-base": Row(
        model_type="bart",
        architecture="BartForConditionalGeneration",
        dtype="float32",
        config={
            "d_model": 768, "encoder_layers": 6, "decoder_layers": 6, "encoder_attention_heads": 12,
            "decoder_attention_heads": 12, "encoder_ffn_dim": 3072, "decoder_ffn_dim": 3072, "vocab_size": 50265,
        },
    ),
}  # fmt: skip
