"""The first witness: the class on the meta device beside the headers, and every reason why the two differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from hfmem.checkpoint.tensors import DTYPE_BITS, Grouping, Tensor, TensorGroup
from hfmem.memory.inference import model_dtype
from hfmem.memory.subject import Model
from hfmem.memory.weights import Difference, Portion, Weights, weigh
from hfmem.model.spec import ModelSpec
from hfmem.witness.ask import Limits, ask
from hfmem.witness.values import Counted, Row, Sizes

WITNESS = "class on meta"
RENAMED = {"gamma": "weight", "beta": "bias"}
TORCH_NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


def count_class(model: Model, limits: Limits | None = None) -> Counted:
    """What the class of a model's config.json holds. Raises `CannotTell` as `ask` does."""
    expected = model.weights.num_parameters if model.weights else None
    request = {"config": dict(model.spec.raw), "dtype": TORCH_NAMES[dtype_of(model)], "expected": expected}
    return counted(ask("count", request, limits))


def dtype_of(model: Model) -> str:
    return model_dtype(model.spec, model.weights)


def counted(found: Mapping[str, Any]) -> Counted:
    """The worker's answer as a value."""
    return Counted(
        architecture=found["architecture"],
        parameters=found["parameters"],
        parameter_bytes=found["parameter_bytes"],
        by_dtype=found["by_dtype"],
        buffer_bytes=found["buffer_bytes"],
        tied=tuple(tuple(names) for names in found["tied"]),
        whole=Sizes(**found["whole"]),
        without_head=Sizes(**found["without_head"]),
        groups=tuple(groups(found["tensors"])),
        stored=tuple(groups(found["stored"])),
    )


def groups(tensors: list[Any]) -> Iterator[TensorGroup]:
    grouping = Grouping()
    for name, dtype, shape in tensors:
        grouping.add(Tensor(name=name, dtype=dtype, shape=tuple(shape), stored_bytes=stored(dtype, shape), file=""))
    return grouping.groups()


def stored(dtype: str, shape: list[int]) -> int:
    elements = 1
    for dim in shape:
        elements *= dim
    return elements * DTYPE_BITS[dtype] // 8


def with_class_weights(model: Model, found: Counted) -> Model:
    """A model without headers, weighed as its class is built: nothing is stored, and every tensor is known."""
    checkpoint = replace(model.checkpoint, format="class", groups=found.groups)
    return replace(model, checkpoint=checkpoint, weights=weigh(checkpoint, model.spec))


def class_rows(model: Model, found: Counted) -> Iterator[Row]:
    """Parameters, and the bytes they are stored in, against the headers."""
    weights = model.weights
    if weights is None:
        yield Row(
            witness=WITNESS,
            quantity="parameters",
            counted=found.parameters,
            ours=None,
            unit="parameters",
            note="no header was read",
        )
        return
    names = tuple(name_reasons(weights, found, model.spec)) if found.parameters != weights.num_parameters else ()
    what = f"{found.architecture}" + (f", {len(found.tied)} tied" if found.tied else "")
    yield Row(
        witness=WITNESS,
        quantity="parameters",
        counted=found.parameters,
        ours=weights.num_parameters,
        unit="parameters",
        reasons=names,
        note=what,
    )
    width = DTYPE_BITS[dtype_of(model)] // 8
    reasons = (
        *byte_reasons(weights, found, width),
        *(Difference(reason=r.reason, elements=0, num_bytes=r.elements * width) for r in names),
    )
    yield Row(witness=WITNESS, quantity="stored bytes", counted=found.parameter_bytes, ours=weights.stored_bytes, reasons=reasons)


def byte_reasons(weights: Weights, found: Counted, width: int) -> Iterator[Difference]:
    """Why files and class differ in bytes where they agree in parameters; `width` is the model dtype's bytes an element."""
    sums: dict[str, list[int]] = {}
    for portion in weights.portions:
        more = portion.stored_bytes - portion.elements * width
        if more:
            row = sums.setdefault(portion.reason or f"stored as {portion.group.dtype}", [0, 0])
            row[0] += portion.stored_elements - portion.elements
            row[1] += more
    for reason, (elements, size) in sums.items():
        yield Difference(reason=reason, elements=elements, num_bytes=size)
    kept = found.parameters * width - found.parameter_bytes
    if kept:
        yield Difference(reason="the class keeps some in another dtype", elements=0, num_bytes=kept)


def name_reasons(weights: Weights, found: Counted, spec: ModelSpec) -> Iterator[Difference]:
    """
    Parameters that only the files or only the class have, by name.

    A name on both sides with another number of elements is no reason: it stays unexplained.
    """
    ours: Counter[str] = Counter()
    for portion in weights.portions:
        ours[class_name(portion)] += portion.elements
    theirs: Counter[str] = Counter()
    for group in found.stored:
        theirs[group.pattern] += group.num_elements
    paired = dict(pairs(set(ours), set(theirs)))
    only_ours = {name: ours[name] for name in ours if name not in paired and ours[name]}
    only_theirs = {name: -theirs[name] for name in set(theirs) - set(paired.values())}
    for where, names in (("not in the class", only_ours), ("missing from the files", only_theirs)):
        for module, elements in sorted(by_module(names).items()):
            yield Difference(reason=f"{where}: {module}", elements=elements, num_bytes=0)


def by_module(names: Mapping[str, int]) -> dict[str, int]:
    """Elements of each module, its weight and bias together."""
    found: Counter[str] = Counter()
    for name, elements in names.items():
        found[name.rpartition(".")[0] or name] += elements
    return dict(found)


def class_name(portion: Portion) -> str:
    """The name of a packed weight as the class has it."""
    if portion.reason != "packed weights":
        return portion.group.pattern
    stem, _, last = portion.group.pattern.rpartition(".")
    return portion.group.pattern if last == "weight" else f"{stem}.weight"


def pairs(ours: set[str], theirs: set[str]) -> Iterator[tuple[str, str]]:
    """Names that are one tensor's: equal, but for a prefix such as `model.` and the words that norms once had."""
    ends = {name.split(".", 1)[-1]: name for name in theirs} | {name: name for name in theirs}
    for name in ours:
        stem, _, last = name.rpartition(".")
        today = f"{stem}.{RENAMED[last]}" if last in RENAMED else name
        found = next((ends[end] for end in (name, today, name.split(".", 1)[-1]) if end in ends), None)
        if found:
            yield name, found
