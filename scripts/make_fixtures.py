"""
Write fixtures/: real checkpoints' geometry, as config.json and safetensors headers made from the transformers classes.

    python scripts/make_fixtures.py [ORG/NAME …] [--output DIRECTORY]

Each directory holds config.json, headers.json.gz (names, dtypes and shapes of every file, ranges folded; read by
tests/checkpoints.py) and expected.json, where stored elements = unique parameters + the elements of all notes, and
stored bytes = parameter bytes + the bytes of all notes.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fixture_classes import Built, Tensors, build, count, read_config, weigh
from fixture_ranges import fold
from fixture_rows import Published, Row, stored
from fixture_table import ROWS

FIXTURES = Path(__file__).parent.parent / "fixtures"


def main() -> int:
    """Write the named fixtures, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("names", nargs="*", metavar="ORG/NAME", help="rows to write; all of them by default")
    parser.add_argument("--output", type=Path, default=FIXTURES, help="where to write (default: fixtures/)")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in ROWS]
    if unknown:
        parser.error(f"no row named {', '.join(unknown)}")
    for name in arguments.names or ROWS:
        size = write(name, ROWS[name], arguments.output / name.replace("/", "--"))
        print(f"{name}: {size:,} bytes")
    return 0


def write(name: str, row: Row, directory: Path) -> int:
    """Write one fixture and return the bytes it takes."""
    config = write_config(row)
    built = build(read_config(row.model_type, config), architecture=row.architecture, dtype=row.dtype)
    source = built
    if row.files_from is not None:
        source = build(read_config(row.model_type, config), architecture=row.files_from, dtype=row.dtype)
    tensors, changes = stored(row, source)
    notes = [
        *other_class(source, built),
        *({"reason": c.reason, "elements": c.elements, "bytes": c.num_bytes} for c in changes),
    ]
    contents = {
        "config.json": (json.dumps(config, indent=2, sort_keys=True) + "\n").encode(),
        "headers.json.gz": gzip.compress(pack_headers(split(tensors, row.shard_bytes), built), compresslevel=9, mtime=0),
        "expected.json": (json.dumps(expect(name, row, built, tensors, notes), indent=2) + "\n").encode(),
    }
    directory.mkdir(parents=True, exist_ok=True)
    for file, content in contents.items():
        (directory / file).write_bytes(content)
    return sum(map(len, contents.values()))


def other_class(source: Built, built: Built) -> list[dict[str, Any]]:
    """The note for files that another class wrote than the one config.json names."""
    if source is built:
        return []
    elements = source.unique_parameters - built.unique_parameters
    num_bytes = source.parameter_bytes - built.parameter_bytes
    return [{"reason": f"heads of {source.architecture}, which wrote the file", "elements": elements, "bytes": num_bytes}]


def write_config(row: Row) -> dict[str, Any]:
    """The config.json that the class itself would write for this geometry, or just what the row says."""
    values = json.loads(json.dumps(dict(row.config)))
    if not row.plain_config:
        values = json.loads(read_config(row.model_type, values).to_json_string(use_diff=True))
        values.pop("transformers_version", None)
    values.update(architectures=[row.architecture], model_type=row.model_type, dtype=row.dtype)
    if row.packing is not None:
        values.update(dict.fromkeys(row.packing.config_keys, row.packing.config))
    return dict(values)


def split(tensors: Tensors, shard_bytes: int) -> dict[str, Tensors]:
    """File name → its tensors: filled in natural order up to the limit, as `save_pretrained` does."""
    shards: list[Tensors] = [{}]
    size = 0
    for name in sorted(tensors, key=natural):
        if shards[-1] and size + tensors[name].num_bytes > shard_bytes:
            shards.append({})
            size = 0
        shards[-1][name] = tensors[name]
        size += tensors[name].num_bytes
    if len(shards) == 1:
        return {"model.safetensors": shards[0]}
    return {f"model-{number:05}-of-{len(shards):05}.safetensors": shard for number, shard in enumerate(shards, start=1)}


def natural(name: str) -> list[tuple[bool, int, str]]:
    return [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in name.split(".")]


def pack_headers(files: dict[str, Tensors], built: Built) -> bytes:
    """The JSON of headers.json.gz: every file's tensors, and the index's metadata where there are several files."""
    folded = {
        file: fold({name: (tensor.dtype, tensor.shape) for name, tensor in tensors.items()}) for file, tensors in files.items()
    }
    total = sum(weigh(tensors.values()) for tensors in files.values())
    metadata = {"total_parameters": built.unique_parameters, "total_size": total} if len(files) > 1 else None
    return json.dumps({"files": folded, "index_metadata": metadata}, separators=(",", ":")).encode()


def expect(name: str, row: Row, built: Built, tensors: Tensors, notes: list[dict[str, Any]]) -> dict[str, Any]:
    """The content of expected.json, after its two sums and the published totals have been checked."""
    import torch
    import transformers

    content = {
        "architecture": built.architecture,
        "unique_parameters": built.unique_parameters,
        "parameter_bytes": built.parameter_bytes,
        "buffers": sorted(built.buffers),
        "tied": built.tied,
        "stored_bytes": weigh(tensors.values()),
        "stored_elements": count(tensors.values()),
        "num_tensors": len(tensors),
        "notes": notes,
    }
    for total, start, part in (
        ("stored_elements", "unique_parameters", "elements"),
        ("stored_bytes", "parameter_bytes", "bytes"),
    ):
        if content[total] != content[start] + sum(note[part] for note in notes):
            raise ValueError(f"{name}: the notes do not lead from {start} to {total}")
    if row.published is not None:
        content["published"] = compare(name, row.published, content, tensors)
    return {
        **content,
        "made_by": {"transformers": transformers.__version__, "torch": torch.__version__.partition("+")[0]},
    }


def compare(name: str, published: Published, content: dict[str, Any], tensors: Tensors) -> dict[str, Any]:
    """The published totals beside ours; one that cannot be explained to the last element is an error."""
    found = {"params_total": published.params_total, "bytes_total": published.bytes_total}
    found = {key: value for key, value in found.items() if value is not None}
    record = {**found, "source": published.source, "grade": published.grade}
    if published.bytes_total not in (None, content["stored_bytes"]):
        raise ValueError(f"{name}: published {published.bytes_total:,} bytes, stored {content['stored_bytes']:,}")
    if published.params_total is None:
        return {**record, "match": "stored_bytes"}
    for match in ("unique_parameters", "stored_elements"):
        if published.params_total == content[match]:
            return {**record, "match": match}
    terms = list(explain(published, tensors))
    ours = content["stored_elements"] + sum(term["elements"] for term in terms)
    if published.params_total != ours:
        raise ValueError(
            f"{name}: published {published.params_total:,}, unique {content['unique_parameters']:,}, "
            f"stored {content['stored_elements']:,}, explained {ours:,}"
        )
    return {**record, "match": "explained", "from_stored_elements": terms}


def explain(published: Published, tensors: Tensors) -> Iterator[dict[str, Any]]:
    """What leads from the elements in the file to the number this publisher arrives at."""
    ignored = [tensor for name, tensor in tensors.items() if published.ignores and re.search(published.ignores, name)]
    if ignored:
        yield {"reason": f"they leave out tensors matching {published.ignores}", "elements": -count(ignored)}
    if published.unpacks:
        extra = sum(tensor.elements * (tensor.packs - 1) for tensor in tensors.values())
        yield {"reason": "they count the values inside packed tensors", "elements": extra}
    if published.counts_ties:
        heads = [tensor for name, tensor in tensors.items() if name.endswith("embed_tokens.weight")]
        yield {"reason": "they count the tied head although the file has it once", "elements": count(heads)}


if __name__ == "__main__":
    sys.exit(main())
