"""
llama.cpp's own rules: which tensor of a quantisation gets which type, which models slide, how caches are padded.

Rows are `llama_tensor_get_type_impl` and `llama_ftype_get_default_type` of src/llama-quant.cpp, as in llama-cpp-python 0.3.36.
The IQ types are as written with an importance matrix, as they are published, the others as without one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

CELL_MULTIPLE = 256  # cells of a sequence, and those of a window (llama_context, llama_kv_cache_iswa)
UBATCH_TOKENS = 512
# CUDA context and pools: 451 to 456 MiB "unaccounted" on each of three RTX 4090 without a display (ggml-org/llama.cpp#15860);
# 978 MiB of a card with one. The range is ours.
RUNTIME_MIB, RUNTIME_LOW_MIB, RUNTIME_HIGH_MIB = 455, 250, 1000
# Copies of a graph's inputs while several devices work on several batches (GGML_SCHED_MAX_COPIES).
PIPELINE_COPIES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """
    The type of each sort of tensor. A rule is a list of `condition:TYPE`, the first that holds; `TYPE` alone always does.

    Conditions: `more` first and last eighth and every third layer between; `eighth`, `sixteenth`, `first2`, `first4` layers from
    the start; `middle` all but the outer eighths; `gqa4` four queries a key or more; `shared` that, or four experts or more;
    `more8` is `more` where there are eight experts.
    """

    default: str
    value: str = ""
    key: str = ""
    query: str = ""
    attn_output: str = ""
    gate: str = ""
    up: str = ""
    down: str = ""
    head: str = "Q6_K"
    embedding: str = ""
    of_eight: str = "Q8_0"  # keys and values where there are eight experts, as Mixtral has
    output_of_eight: str = ""


def tiny(default: str, more: str, attn_output: str, embedding: str) -> Recipe:
    """The types of one and two bits: `more` for the first layers' projections down, and for values of many heads."""
    return Recipe(
        default=default, value=f"shared:Q4_K {more}", down=f"eighth:{more}", attn_output=attn_output, head="Q5_K",
        embedding=embedding, of_eight="Q4_K", output_of_eight="Q5_K",
    )  # fmt: skip


RECIPES: dict[str, Recipe] = {
    **{name: Recipe(default=name) for name in ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q6_K")},
    "Q8_0": Recipe(default="Q8_0", head="Q8_0"),
    "MXFP4_MOE": Recipe(default="Q8_0", head="Q8_0"),  # experts alone are MXFP4
    "Q5_K_S": Recipe(default="Q5_K"),
    "Q5_K_M": Recipe(default="Q5_K", value="more:Q6_K", down="more:Q6_K"),
    "Q4_K_S": Recipe(default="Q4_K", value="first4:Q5_K", down="eighth:Q5_K", output_of_eight="Q5_K"),
    "Q4_K_M": Recipe(default="Q4_K", value="more:Q6_K", down="more:Q6_K", output_of_eight="Q5_K"),
    "Q3_K_S": Recipe(default="Q3_K", output_of_eight="Q5_K"),
    "Q3_K_M": Recipe(
        default="Q3_K", value="first2:Q5_K Q4_K", down="sixteenth:Q5_K Q4_K", attn_output="Q4_K", output_of_eight="Q5_K"
    ),
    "Q3_K_L": Recipe(default="Q3_K", value="Q5_K", down="Q5_K", attn_output="Q5_K"),
    "Q2_K": Recipe(default="Q2_K", value="gqa4:Q4_K Q3_K", down="Q3_K", attn_output="Q3_K", output_of_eight="Q5_K"),
    "Q2_K_S": Recipe(default="Q2_K", value="gqa4:Q4_K", down="eighth:Q4_K"),
    "IQ4_NL": Recipe(default="IQ4_NL", value="gqa4:Q5_K", output_of_eight="Q5_K"),
    "IQ4_XS": Recipe(default="IQ4_XS", value="gqa4:Q5_K", output_of_eight="Q5_K"),
    "IQ3_M": Recipe(
        default="IQ3_S", value="Q4_K", down="eighth:Q4_K more8:Q4_K", attn_output="Q4_K", output_of_eight="Q5_K"
    ),
    "IQ3_S": Recipe(default="IQ3_S", value="gqa4:Q4_K", output_of_eight="Q5_K"),
    "IQ3_XS": Recipe(
        default="IQ3_S", value="gqa4:Q4_K", key="IQ3_XXS", query="IQ3_XXS", gate="middle:IQ3_XXS", up="middle:IQ3_XXS",
        output_of_eight="Q5_K",
    ),
    "IQ3_XXS": Recipe(
        default="IQ3_XXS", value="gqa4:Q4_K", key="IQ2_S", query="IQ2_S", attn_output="IQ3_S", head="Q5_K", embedding="IQ3_S",
        output_of_eight="Q5_K",
    ),
    "IQ2_M": tiny("IQ2_S", "IQ3_S", "IQ3_S", "IQ3_S"),
    "IQ2_S": tiny("IQ2_XS", "IQ3_S", "IQ3_S", "IQ3_S"),
    "IQ2_XS": tiny("IQ2_XS", "Q2_K", "", "Q2_K"),
    "IQ2_XXS": tiny("IQ2_XXS", "Q2_K", "", "Q2_K"),
    "IQ1_M": tiny("IQ1_M", "Q2_K", "IQ2_XXS", "Q2_K"),
    "IQ1_S": tiny("IQ1_S", "Q2_K", "IQ2_XXS", "Q2_K"),
    **{name: Recipe(default=name, embedding="Q4_K") for name in ("TQ1_0", "TQ2_0", "Q2_0")},
    "F32": Recipe(default="F32", head="F32"),
    "F16": Recipe(default="F16", head="F16"),
    "BF16": Recipe(default="BF16", head="BF16"),
}  # fmt: skip
FLOAT_TYPES = ("F32", "F16", "BF16")
# What Falcon's recipes have in place of the others' (`LLM_ARCH_FALCON`); its output is Q8_0 in all of them.
FALCON_TYPES = frozenset(("falcon", "RefinedWeb", "RefinedWebModel"))
FALCON_HEAD = "Q8_0"
FALCON: dict[str, dict[str, str]] = {
    "Q4_K_M": {"down": "sixteenth:Q6_K more:Q5_K"},
    "Q4_K_S": {"down": ""},
    "Q3_K_M": {"down": "sixteenth:Q5_K more:Q4_K", "attn_output": ""},
    "Q3_K_L": {"down": "Q4_K", "attn_output": "Q4_K"},
    **{name: {"attn_output": ""} for name in ("Q2_K", "IQ3_M", "IQ3_XXS")},
}
# What-if dtypes of --weights-dtype that every engine has, by llama.cpp's name; and those it has alone.
COMMON_TYPES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16", "mxfp4": "MXFP4_MOE"}
GGUF_TYPES = tuple(name.lower() for name in RECIPES if name not in FLOAT_TYPES)
# Shorter words for file types, and the file type of about as many bits for words that llama.cpp has nothing for.
FILE_SPELLINGS = {"q8": "Q8_0", "8bit": "Q8_0", "q4": "Q4_K_M", "4bit": "Q4_K_M"}
NEAREST = {"float8": "Q8_0", "int8": "Q8_0", "int4": "Q4_K_M", "nf4": "Q4_K_M", "nvfp4": "Q4_K_M"}
# A type whose blocks a row does not fill gives way to one of 32 elements (`tensor_type_fallback`).
FALLBACKS = {
    **dict.fromkeys(("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_XS"), "IQ4_NL"),
    **dict.fromkeys(("Q2_0", "Q2_K", "Q3_K", "TQ1_0", "TQ2_0"), "Q4_0"),
    "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0",
}  # fmt: skip
# Where packed weights keep a matrix's row: the dimension, and whether several elements of it are in one of the file's.
PACKED_ROWS: dict[str, tuple[int, bool]] = {
    "gptq": (0, True), "awq": (0, False), "compressed-tensors": (-1, True), "modelopt": (-1, True), "mlx": (-1, True),
}  # fmt: skip
# Models of 80 layers have 70 billion parameters, and their values get a type more (`LLM_TYPE_70B`).
LAYERS_OF_70B = 80
MORE_OF_70B = {"Q3_K": "Q5_K", "Q4_K": "Q5_K"}

# Sorts of tensors by their names in transformers and GGUF, the first row that matches; what matches none gets the default.
SORTS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (sort, re.compile(pattern))
    for sort, pattern in (
        (
            "float32",
            r"(^|\.)(gate|router|router\.\w+|shared_expert_gate|ffn_gate_inp\w*)\.weight$|conv1d|(^|\.)conv\.(conv\.)?weight$|"
            r"shortconv\.conv|rope_(freqs|factors)|altup_(correct|predict|correction|prediction)_coef|attn_rel_b|relative_attention",
        ),
        ("float16", r"altup|laurel|per_layer_model_proj"),
        ("value", r"qkv_proj|query_key_value|c_attn|[wW]qkv|W_pack|in_proj_qkv|attn_qkv|kv_b_proj|attn_kv_b"),
        ("value", r"(^|\.)(v_proj|value|value_proj|wv|v|v_lin|attn_v)\.weight$"),
        ("key", r"(^|\.)(k_proj|key|key_proj|wk|k|k_lin|attn_k)\.weight$"),
        ("query", r"(^|\.)(q_proj|query|query_proj|wq|q|q_lin|attn_q)\.weight$"),
        (
            "attn_output",
            r"(attn|attention|attention_block)\w*\.(output\.)?(o_proj|dense|out_proj|c_proj|wo|o|proj)\.weight$|attn_output\.weight$",
        ),
        ("down", r"down_proj|(^|\.)(w2|fc2|dense_4h_to_h|fc_out)\.|mlp\.c_proj|output_linear|ffn_down|output\.dense"),
        ("gate", r"gate_proj|(^|\.)w1\.|gate_up|input_linear|ffn_gate"),
        ("up", r"up_proj|(^|\.)(w3|fc1|c_fc|dense_h_to_4h|fc_in)\.|ffn_up"),
    )
)
PER_LAYER_EMBEDDING = re.compile(r"embed_tokens_per_layer|per_layer_token_embd")
LATENT_UP = re.compile(r"kv_b_proj\.weight$")  # becomes two tensors: keys' and values' part
# What the first layer reads stays in host memory (`LLM_TENSOR_LAYER_INPUT`).
HOST_TENSORS = re.compile(r"^(token_embd|token_types|position_embd|per_layer_token_embd)\.")

# Types of transformers whose windows llama.cpp knows (`set_swa_pattern` and `load_swa_pattern`); others keep every token.
WINDOWED_TYPES = frozenset(
    (
        "gemma2 gemma3 gemma3_text gemma3n gemma3n_text gemma4 gemma4_text gpt_oss cohere2 cohere2_moe llama4 llama4_text "
        "exaone4 exaone_moe olmo3 smallthinker afmoe mimo_v2_flash mimo_v2 step3p5 plamo3 laguna"
    ).split()
)

# Types of transformers that no class of the conversion (conversion/*.py) and no architecture of src/llama-arch.cpp is for; not
# all there are, those that are asked for. A type that is not here is sized by its layers.
NO_ARCHITECTURE = frozenset(
    (
        "whisper moonshine speech_to_text speecht5 seamless_m4t seamless_m4t_v2 wav2vec2 wav2vec2-bert hubert wavlm bark vits "
        "musicgen mllama mllama_text_model idefics idefics2 blip blip-2 instructblip git kosmos-2 fuyu trocr pix2struct udop "
        "vision-encoder-decoder vit vit_mae dinov2 clip siglip siglip2 align bart mbart marian pegasus pegasus_x bigbird_pegasus "
        "led blenderbot blenderbot-small m2m_100 nllb-moe prophetnet switch_transformers longt5 t5gemma opt gpt_neo "
        "gpt_neox_japanese openai-gpt codegen xglm biogpt persimmon recurrent_gemma zamba zamba2 jetmoe xlstm rwkv deberta "
        "deberta-v2 electra albert longformer big_bird xlnet xlm"
    ).split()
)
