"""
Checkpoints to test with: fixtures/ turned into directories whose safetensors files have every byte but weigh nothing.

`headers.json.gz` folds names into ranges, `layers.[0-2,4].weight`; offsets follow from dtypes and shapes, in the order
safetensors writes: wide dtypes first, then by name.
"""

from __future__ import annotations

import gzip
import json
import math
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

from hfmem.checkpoint.tensors import Grouping, Tensor, TensorGroup

FIXTURES = Path(__file__).parent.parent / "fixtures"
INDEX = "model.safetensors.index.json"
BITS = {
    "F64": 64, "I64": 64, "F32": 32, "I32": 32, "U32": 32, "BF16": 16, "F16": 16,
    "I8": 8, "U8": 8, "F8_E4M3": 8, "BOOL": 8,
}  # fmt: skip
RANGES = re.compile(r"\[([\d,-]+)\]")


def names() -> list[str]:
    """The fixtures, as `org/name`."""
    return sorted(path.parent.name.replace("--", "/", 1) for path in FIXTURES.glob("*/expected.json"))


def expected(name: str) -> dict[str, Any]:
    """What is true of the fixture: parameters of the class, bytes of the files, and why they differ."""
    return dict(json.loads((folder(name) / "expected.json").read_text()))


def config(name: str) -> dict[str, Any]:
    return dict(json.loads((folder(name) / "config.json").read_text()))


def headers(name: str) -> dict[str, dict[str, Any]]:
    """File name → its header, as a safetensors reader gives it."""
    return {file: lay_out(tensors) for file, tensors in read(name)["files"].items()}


def write(name: str, directory: Path) -> Path:
    """Materialise the fixture in a directory, made if need be: config.json, sparse files, and an index for several."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_bytes((folder(name) / "config.json").read_bytes())
    files = headers(name)
    for file, header in files.items():
        write_file(directory / file, header)
    if len(files) > 1:
        weight_map = {tensor: file for file, header in files.items() for tensor in header if tensor != "__metadata__"}
        index = {"metadata": read(name)["index_metadata"], "weight_map": dict(sorted(weight_map.items()))}
        (directory / INDEX).write_text(json.dumps(index, indent=2) + "\n")
    return directory


def write_file(path: Path, header: dict[str, Any]) -> None:
    """The length of the header, the header padded to a multiple of eight bytes, and a hole as long as the data."""
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    end = max((entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)


def folder(name: str) -> Path:
    return FIXTURES / name.replace("/", "--", 1)


def read(name: str) -> dict[str, Any]:
    return dict(json.loads(gzip.decompress((folder(name) / "headers.json.gz").read_bytes())))


def lay_out(tensors: dict[str, Any]) -> dict[str, Any]:
    """Folded names with dtype and shape → a header with every name and its offsets."""
    unfolded = [(name, dtype, shape) for names, (dtype, shape) in tensors.items() for name in unfold(names)]
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    start = 0
    for name, dtype, shape in sorted(unfolded, key=lambda tensor: (-BITS[tensor[1]], tensor[0])):
        end = start + math.prod(shape) * BITS[dtype] // 8
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
        start = end
    return header


def unfold(name: str) -> Iterator[str]:
    """Every name that a name with ranges stands for."""
    parts = RANGES.split(name)
    for numbers in product(*map(read_range, parts[1::2])):
        yield "".join(text + str(number) for text, number in zip(parts[::2], [*numbers, ""], strict=True))


def read_range(text: str) -> list[int]:
    """The numbers of `0-2,4`."""
    numbers: list[int] = []
    for run in text.split(","):
        low, _, high = run.partition("-")
        numbers.extend(range(int(low), int(high or low) + 1))
    return numbers


def groups(name: str) -> tuple[TensorGroup, ...]:
    """The fixture's tensors as the package groups them, without a file."""
    grouping = Grouping()
    for file, header in headers(name).items():
        for tensor, entry in header.items():
            if tensor != "__metadata__":
                start, end = entry["data_offsets"]
                shape, dtype = tuple(entry["shape"]), entry["dtype"]
                grouping.add(Tensor(name=tensor, dtype=dtype, shape=shape, stored_bytes=end - start, file=file))
    return tuple(grouping.groups())
