"""
Model types whose code lives in their repositories → the transformers type whose configuration they follow.

The code itself is never run; only the geometry is read, and the report says under which name.
"""

MODEL_TYPES: dict[str, str] = {
    "kimi_k2": "deepseek_v3",
    "deepseek_ref": "deepseek_v4",
    "minimax_m3": "minimax_m3_vl_text",
    "minimax_text_01": "minimax_m1",
    "RefinedWeb": "falcon",
    "RefinedWebModel": "falcon",
    "stablelm_epoch": "stablelm",
    "stablelm_alpha": "gpt_neox",
    "gpt_neox_reward_model": "gpt_neox",
    "phi-msft": "phi",
    "mixformer-sequential": "phi",
    "phi3_v": "phi3",
    "qwen2_reward": "qwen2",
    "internlm2_reward": "internlm2",
    "llava_llama": "llama",
    "llava_qwen": "qwen2",
    "llava_mistral": "mistral",
    "jina_embeddings_v3": "xlm-roberta",
    "nomic_bert": "bert",
}

# Fields that only models with recurrent layers have; a model type nobody knows that has one is not read as attention.
RECURRENT_FIELDS = (
    "ssm_cfg",
    "ssm_state_size",
    "state_size",
    "mamba_d_state",
    "mamba_expand",
    "linear_attn_config",
    "conv_L_cache",
    "lru_width",
    "rwkv_version",
    "rescale_every",
    "time_mix_extra_dim",
    "expand_v",
    "d_inner",
)

# Feed-forward blocks of two matrices; every other decoder gates its input with a third.
PLAIN_FFN = frozenset(
    (
        "gpt2 gpt-sw3 gpt_neo gpt_neox gpt_neox_japanese gptj gpt_bigcode codegen bloom opt mpt falcon phi starcoder2 "
        "persimmon fuyu bert roberta xlm-roberta camembert electra distilbert albert bart mbart marian pegasus "
        "blenderbot whisper t5 mt5 biogpt xglm m2m_100 nllb-moe openai-gpt xlm flaubert ctrl imagegpt nemotron "
        "nemotron_h rwkv moss cpmant musicgen_decoder speech_to_text trocr arcee vit clip_vision_model "
        "siglip_vision_model jais2 "
        "bert-generation blenderbot-small data2vec-text ernie nanochat plbart roberta-prelayernorm roc_bert xlm-roberta-xl xmod"
    ).split()
)

# Types whose intermediate_size is that of gate and up together.
HALVED_FFN = frozenset(("qwen",))

# Types whose class declares `is_decoder: false` by default and writes tokens all the same; the BERT-likes do not.
DECODERS_WHATEVER_DECLARED = frozenset(
    ("gpt_neox", "gpt_neox_japanese", "evolla", "musicgen_decoder", "musicgen_melody_decoder", "trocr")
)
