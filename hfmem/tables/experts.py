"""
Model types whose fused experts and routers PEFT adapts as whole parameters, since transformers 5 made them no modules.

Source: transformers conversion_mapping.py (5.23), `_MODEL_TO_CONVERSION_PATTERN`, types with the pattern of mixtral or qwen2_moe;
peft utils/transformers_weight_conversion.py (0.21).
"""

from __future__ import annotations

WRAPPED_TYPES = frozenset(
    (
        "mixtral minimax minimax_m2 afmoe deepseek_v2 deepseek_v3 deepseek_v32 dots1 ernie4_5_moe glm4_moe "
        "glm4_moe_lite glm_moe_dsa glm4v_moe longcat_flash solar_open mellum qwen3_moe beam qwen3_omni_moe "
        "qwen3_omni_moe_thinker qwen3_omni_moe_text qwen3_next hunyuan_v1_moe flex_olmo olmoe exaone_moe cohere2_moe"
    ).split()
)
# Target names of a checkpoint's modules → the parameter they are fused into
FUSED_INTO = {
    "gate_proj": "gate_up_proj", "up_proj": "gate_up_proj", "w1": "gate_up_proj", "w3": "gate_up_proj",
    "down_proj": "down_proj", "w2": "down_proj", "gate": "gate",
}  # fmt: skip
