"""
Tensor types of GGUF files: how many elements a block has, and in how many bytes it is stored.

`MAIN` is llama.cpp's (ggml.h and ggml-common.h as in llama-cpp-python 0.3.36; it no longer reads 31 to 33), `FORKS` is
ik_llama.cpp's (ggml.c of commit 8337e4c), whose rows may begin with bytes of their own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from hfmem.errors import HeaderError

LARGEST = 2**63


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockType:
    """A tensor type: each row is cut into blocks of `block_elements`, stored in `block_bytes` each."""

    name: str
    block_elements: int
    block_bytes: int
    row_bytes: int = 0  # before the blocks of each row
    tensor_bytes: int = 0  # after all rows


# number name block_elements block_bytes [row_bytes [tensor_bytes]]
MAIN = """
0 F32 1 4; 1 F16 1 2; 2 Q4_0 32 18; 3 Q4_1 32 20; 6 Q5_0 32 22; 7 Q5_1 32 24; 8 Q8_0 32 34; 9 Q8_1 32 36; 10 Q2_K 256 84;
11 Q3_K 256 110; 12 Q4_K 256 144; 13 Q5_K 256 176; 14 Q6_K 256 210; 15 Q8_K 256 292; 16 IQ2_XXS 256 66; 17 IQ2_XS 256 74;
18 IQ3_XXS 256 98; 19 IQ1_S 256 50; 20 IQ4_NL 32 18; 21 IQ3_S 256 110; 22 IQ2_S 256 82; 23 IQ4_XS 256 136; 24 I8 1 1;
25 I16 1 2; 26 I32 1 4; 27 I64 1 8; 28 F64 1 8; 29 IQ1_M 256 56; 30 BF16 1 2; 31 Q4_0_4_4 32 18; 32 Q4_0_4_8 32 18;
33 Q4_0_8_8 32 18; 34 TQ1_0 256 54; 35 TQ2_0 256 66; 39 MXFP4 32 17; 40 NVFP4 64 36; 41 Q1_0 128 18; 42 Q2_0 64 18
"""
# Types of other engines: where the distance to the next tensor says another size, that is believed.
FORKS = """
36 I2_S 4 1 0 32; 133 Q6_0 32 26; 134 IQ1_BN 64 13 2; 135 IQ2_BN 64 16 4; 136 Q8_K64 64 68; 137 IQ2_K 256 76;
138 IQ3_K 256 110; 139 IQ4_K 256 144; 140 IQ5_K 256 176; 141 IQ6_K 256 212; 144 IQ4_KS 256 136 4; 145 IQ2_KS 256 70 2;
146 IQ4_KSS 256 128 4; 151 Q8_KV 32 32 8; 152 IQ5_KS 256 168 4; 153 IQ2_KT 256 68 4; 154 IQ3_KT 256 100 4;
155 IQ4_KT 256 128 4; 156 IQ3_KS 256 102 2; 157 IQ2_KL 256 86 2; 158 IQ1_KT 256 56 4; 202 Q4_0_R8 32 18; 206 Q5_0_R4 32 22;
208 Q8_0_R8 32 34; 210 Q2_K_R4 256 84; 211 Q3_K_R4 256 110; 212 Q4_K_R4 256 144; 213 Q5_K_R4 256 176; 214 Q6_K_R4 256 210;
216 IQ2_XXS_R4 256 66; 217 IQ2_XS_R4 256 74; 218 IQ3_XXS_R4 256 98; 219 IQ1_S_R4 32 6 2; 220 IQ4_NL_R4 32 18;
221 IQ3_S_R4 256 110; 222 IQ2_S_R4 256 82; 223 IQ4_XS_R8 256 136; 229 IQ1_M_R4 32 7 2; 230 BF16_R16 1 2; 233 Q6_0_R4 32 26;
335 IQ2_BN_R4 64 16 4; 337 IQ2_K_R4 256 76; 338 IQ3_K_R4 256 110; 339 IQ4_K_R4 256 144; 340 IQ5_K_R4 256 176;
344 IQ4_KS_R4 256 136 4; 352 IQ5_KS_R4 256 168 4; 353 MXFP4_R8 32 17; 397 Q8_K_R16 256 258; 398 Q8_KV_R8 32 32 4;
399 Q8_K_R8 256 258
"""


def read_rows(text: str) -> dict[int, BlockType]:
    """A table's rows by their number."""
    found = {}
    for row in re.split(r";\s*", text.strip()):
        number, name, *sizes = row.split()
        elements, size, before, behind = (*map(int, sizes), 0, 0)[:4]
        found[int(number)] = BlockType(
            name=name, block_elements=elements, block_bytes=size, row_bytes=before, tensor_bytes=behind
        )
    return found


MAIN_TYPES = read_rows(MAIN)
TYPES = MAIN_TYPES | read_rows(FORKS)


def count_elements(dims: Sequence[int], name: str) -> int:
    """The product of the dimensions. Raises `HeaderError` where no file could hold so many elements."""
    count = 0 if 0 in dims else 1
    for dim in dims if count else ():
        count *= dim
        if count >= LARGEST:
            raise HeaderError(f"{name} has more than 2^63 elements", code="overflow")
    return count


def stored_bytes(kind: BlockType, dims: Sequence[int], name: str) -> int:
    """Bytes of a tensor: rows × (blocks × block bytes + row bytes). Raises `HeaderError` where a row ends inside a block."""
    row, count = dims[0] if dims else 1, count_elements(dims, name)
    if row % kind.block_elements:
        raise HeaderError(
            f"{name} has rows of {row:,} elements, which are no whole blocks of {kind.block_elements} {kind.name}",
            code="misaligned",
        )
    rows = count // row if row else 0
    size = rows * (row // kind.block_elements * kind.block_bytes + kind.row_bytes) + kind.tensor_bytes
    if size >= LARGEST:
        raise HeaderError(f"{name} needs more than 2^63 bytes", code="overflow")
    return size
