"""
What one layer of a GGUF model keeps, as llama.cpp keeps it: states in float32, and keys by the widths the file says.

An old DeepSeek file, without `key_length_mla`, is cached expanded; a new one keeps the latent vector alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from hfmem.model.gguf_depth import Depth
from hfmem.model.gguf_fields import Fields
from hfmem.model.kinds import Attention, IndexerKeys, LatentAttention, Mixer, RecurrentState
from hfmem.tables.gguf import INDEXED, LINEAR_ATTENTION

KV_RANK = "attention.kv_lora_rank"


def mixers(fields: Fields, depth: Depth, index: int) -> Iterator[Mixer]:
    if depth.attends[index]:
        yield attention(fields, depth, index)
        if is_indexed(fields, index):
            yield IndexerKeys(key_dim=fields.integer("attention.indexer.key_length"))
    if depth.recurs[index]:
        yield RecurrentState(float32_elements=conv_elements(fields, depth) + state_elements(fields, depth))


def is_indexed(fields: Fields, index: int) -> bool:
    if fields.arch not in INDEXED or fields.value("attention.indexer.key_length") is None:
        return False
    if fields.arch == "minimax-m3":
        return index >= (fields.optional("leading_dense_block_count") or 0)
    return bool(fields.at_layer("attention.indexer.types", index, 1))


def attention(fields: Fields, depth: Depth, index: int) -> Mixer:
    window, shares = depth.windows[index], index >= depth.num_owners
    keys, values = (width(fields, name, depth, is_sliding=window is not None) for name in ("key", "value"))
    if fields.value("attention.key_length_mla") and fields.value("attention.value_length_mla"):
        return latent(fields, depth.heads[index], keys, window)
    return Attention(
        num_heads=max(depth.heads[index], depth.kv_heads[index]),
        num_kv_heads=depth.kv_heads[index],
        key_dim=keys,
        value_dim=values,
        window=window,
        shares_cache=shares,
    )


def width(fields: Fields, name: str, depth: Depth, *, is_sliding: bool) -> int:
    """A head's keys or values: their own length on sliding layers, else the common one, else the hidden size over the heads."""
    sliding = fields.optional(f"attention.{name}_length_swa") if is_sliding else None
    said = sliding or fields.optional(f"attention.{name}_length")
    found = said or fields.integer("embedding_length") // max(1, depth.head)
    if not found:
        raise fields.missing(f"attention.{name}_length")
    return found


def latent(fields: Fields, heads: int, keys: int, window: int | None) -> Mixer:
    """One latent vector a token, and no values: `key_length` is that vector's width and the rotary key's."""
    rank = fields.integer(KV_RANK)
    rotary = fields.optional("rope.dimension_count") if keys < rank else keys - rank
    return LatentAttention(
        num_heads=heads,
        latent_dim=rank,
        rotary_dim=rotary or 0,
        content_dim=max(0, fields.integer("attention.key_length_mla") - (rotary or 0)),
        value_dim=fields.integer("attention.value_length_mla"),
        query_latent_dim=fields.optional("attention.q_lora_rank") or 0,
        window=window,
    )


def conv_elements(fields: Fields, depth: Depth) -> int:
    """
    Elements of the convolution's tail, one tap less than its kernel has (llama.cpp's `n_embd_r`).

    RWKV: shifted tokens × width; LFM2: width; KDA: queries, keys and values of all heads; else inner width + 2 × groups × state.
    """
    if fields.value("wkv.head_size"):
        shifts = fields.optional("token_shift_count")
        return (2 if shifts is None else shifts) * fields.integer("embedding_length")
    if fields.value("shortconv.l_cache"):
        return fields.integer("embedding_length") * (fields.integer("shortconv.l_cache") - 1)
    taps = max(0, (fields.optional("ssm.conv_kernel") or 0) - 1)
    if fields.value("kda.head_dim"):
        return 3 * (taps or 3) * depth.head * fields.integer("kda.head_dim")
    if fields.arch in LINEAR_ATTENTION:
        return 0
    grouped = 2 * (fields.optional("ssm.group_count") or 0) * fields.integer("ssm.state_size")
    return taps * (fields.integer("ssm.inner_size") + grouped)


def state_elements(fields: Fields, depth: Depth) -> int:
    """Elements of the state itself (llama.cpp's `n_embd_s`): heads × width², or state × inner width."""
    if fields.value("wkv.head_size"):
        return fields.integer("embedding_length") * fields.integer("wkv.head_size")
    if fields.value("shortconv.l_cache"):
        return 0
    if fields.value("kda.head_dim"):
        return depth.head * fields.integer("kda.head_dim") ** 2
    if fields.arch in LINEAR_ATTENTION:
        return depth.head * width(fields, "key", depth, is_sliding=False) ** 2
    return fields.integer("ssm.state_size") * fields.integer("ssm.inner_size")
