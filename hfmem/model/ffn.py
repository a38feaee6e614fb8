"""Which feed-forward block follows each layer's mixers: none, dense, or experts."""

from __future__ import annotations

from hfmem.model.config import Config, whole
from hfmem.model.spec import Dense, Experts
from hfmem.tables.remote import HALVED_FFN, PLAIN_FFN

ATTENTION_FREE = {"moe", "mlp"}
RUN_ALL = {"llama4", "llama4_text"}  # every expert computes every token, whose weight is then zero (modeling_llama4.py)


def read_ffn(config: Config, kind: str, has_own_blocks: bool) -> Dense | Experts | None:
    """The block of the layer `config` is at; where blocks are layers of their own, other layers have none."""
    if has_own_blocks and kind not in ATTENTION_FREE:
        return None
    if kind != "mlp" and num_experts(config) > 1 and (kind == "moe" or is_sparse(config)):
        return experts(config)
    width = dense_width(config) // (2 if config.model_type in HALVED_FFN else 1)
    return Dense(intermediate_size=width, gated=config.model_type not in PLAIN_FFN) if width else None


def num_experts(config: Config) -> int:
    return config.optional("num_local_experts") or 0


def experts(config: Config) -> Experts:
    width = width_of(config, "moe_intermediate_size") or dense_width(config)
    shared = config.optional("n_shared_experts") or 0
    return Experts(
        num_experts=num_experts(config),
        experts_per_token=num_experts(config) if config.model_type in RUN_ALL else config.optional("num_experts_per_tok") or 1,
        intermediate_size=width,
        shared_intermediate_size=config.optional("shared_expert_intermediate_size") or shared * width,
    )


def dense_width(config: Config) -> int:
    """The declared width, else the four hidden sizes that classes without the field use."""
    width = width_of(config, "intermediate_size") or 4 * config.integer("hidden_size")
    return adjusted(config, width) if config.value("block_auto_adjust_ff_dim") else width


def adjusted(config: Config, width: int) -> int:
    """Two thirds of it, times a factor, in whole multiples (transformers modeling_lfm2.py)."""
    factor, unit = config.value("block_ffn_dim_multiplier"), config.optional("block_multiple_of") or 1
    scaled = int(2 * width / 3)
    return scaled if factor is None else unit * -(-int(float(factor) * scaled) // unit)


def width_of(config: Config, name: str) -> int:
    """A width; a list is one a layer, or one a modality, of which text comes first (ernie4_5_vl_moe)."""
    value = config.value(name)
    if isinstance(value, list) and value:
        per_layer = config.layer is not None and len(value) >= config.integer("num_hidden_layers")
        return whole(name, value[config.layer if per_layer and config.layer is not None else 0], 1)
    return config.optional(name) or 0


def is_sparse(config: Config) -> bool:
    """Whether the layer routes its tokens, by whichever way the configuration says it."""
    layer = config.layer or 0
    named = config.value("mlp_layer_types")
    is_own = config.has("mlp_layer_types") or not config.has("first_k_dense_replace")  # else the class makes it from that
    if is_own and isinstance(named, list) and layer < len(named):
        return str(named[layer]) != "dense"
    if layer < (config.optional("first_k_dense_replace") or 0) or layer in (config.items("mlp_only_layers") or ()):
        return False
    return in_list(config, layer) and in_step(config, layer)


def in_list(config: Config, layer: int) -> bool:
    chosen = config.value("moe_layers")
    flags = config.value("moe_layer_freq")
    if isinstance(chosen, list) and config.has("moe_layers"):
        return layer in chosen
    return bool(flags[layer]) if isinstance(flags, list) and layer < len(flags) else True


def in_step(config: Config, layer: int) -> bool:
    """`decoder_sparse_step`, `interleave_moe_layer_step`: every n-th; `expert_layer_period` with its offset."""
    if config.value("expert_layer_period") is not None:
        return layer % config.integer("expert_layer_period") == (config.optional("expert_layer_offset") or 0)
    steps = (config.optional(name) or 1 for name in ("decoder_sparse_step", "interleave_moe_layer_step"))
    return all((layer + 1) % step == 0 for step in steps)
