"""The first witness: the class on the meta device beside the headers, and every reason why the two differ."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from hfmem.checkpoint.tensors import DTYPE_BITS, Grouping, Tensor, TensorGroup
from hfmem.memory.estimate import Note
from hfmem.memory.inference import model_dtype
from hfmem.memory.packing import packed_groups
from hfmem.memory.subject import Model
from hfmem.memory.weights import TORCH_NAMES, Difference, Portion, Weights, weigh
from hfmem.model.schemes import schemes
from hfmem.model.spec import ModelSpec
from hfmem.witness.ask import Limits, ask
from hfmem.witness.values import Counted, Row, Sizes

WITNESS = "class on meta"
PACKING_SECTIONS = ("quantization_config", "compression_config", "quantization")
NOT_IN_CLASS = "not in the class: "
RENAMED = {"gamma": "weight", "beta": "bias"}


def count_class(model: Model, limits: Limits | None = None) -> Counted:
    """What the class of a model's config.json holds. Raises `CannotTell` as `ask` does."""
    raw = {name: value for name, value in model.spec.raw.items() if name not in PACKING_SECTIONS}  # a class is never packed
    request = {"config": raw, "dtype": TORCH_NAMES[dtype_of(model)]}
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
        num_bytes = math.prod(shape) * DTYPE_BITS[dtype] // 8
        grouping.add(Tensor(name=name, dtype=dtype, shape=tuple(shape), stored_bytes=num_bytes, file=""))
    return grouping.groups()


def with_class_weights(model: Model, found: Counted) -> Model:
    """A model without headers, weighed as its class is built: nothing is stored, and every tensor is known."""
    checkpoint = replace(model.checkpoint, format="class", groups=tuple(packed_groups(found.groups, model.spec)))
    notes = (*model.notes, *unpacked_note(model.spec))
    return replace(model, checkpoint=checkpoint, weights=weigh(checkpoint, model.spec), notes=notes)


def unpacked_note(spec: ModelSpec) -> Iterator[Note]:
    """Says that a packing was not understood, so that 16 bits a weight are no silent guess."""
    if spec.quantization and not any(schemes(spec)):
        message = f"quantization_config ({spec.quantization.method}) does not say its bits; weights are counted unpacked"
        yield Note(code="packing-unknown", message=message, hint="the files themselves say")


def class_rows(model: Model, found: Counted) -> Iterator[Row]:
    """Parameters and tensors against the headers, and where the stored bytes are."""
    weights, row = model.weights, partial(Row, witness=WITNESS)
    if weights is None:
        yield row(quantity="parameters", counted=found.parameters, ours=None, unit="parameters", note="no header was read")
        return
    paired = paired_names(weights, found)
    extra = tuple(extra_modules(weights, paired))
    what = f"{found.architecture}" + (f", {len(found.tied)} tied" if found.tied else "")
    ours, theirs = weights.num_parameters, found.parameters
    yield row(quantity="parameters", counted=theirs, ours=ours, unit="parameters", reasons=extra, note=what)
    tensors, met, missing = matched(weights, found, paired)
    yield row(
        quantity="tensors", counted=tensors, ours=met, unit="tensors", note=f"not in the files: {missing}" if missing else ""
    )
    width = DTYPE_BITS[dtype_of(model)] // 8
    more = (Difference(reason=r.reason, elements=0, num_bytes=r.elements * width) for r in extra)
    reasons = (*byte_reasons(weights, found, width), *more)
    counted_bytes, stored_bytes = found.parameter_bytes, weights.stored_bytes
    yield row(quantity="stored bytes", counted=counted_bytes, ours=stored_bytes, reasons=reasons, is_account=True)


def paired_names(weights: Weights, found: Counted) -> dict[str, str]:
    """A file's name → the class's name of the same tensor."""
    return dict(pairs({class_name(p) for p in weights.portions if p.elements}, {group.pattern for group in found.stored}))


def matched(weights: Weights, found: Counted, paired: Mapping[str, str]) -> tuple[int, int, str]:
    """Tensors the class has, how many of them the files have under the same name and shape, and the first that they have not."""
    ours: Counter[tuple[str, tuple[int, ...] | None]] = Counter()
    for portion in weights.portions:
        if portion.elements:
            shape = None if portion.reason == "packed weights" else portion.group.shape
            ours[class_name(portion), shape] += portion.count
    names = {theirs: name for name, theirs in paired.items()}
    total = met = 0
    missing = ""
    for group in found.stored:
        name = names.get(group.pattern, "")
        have = min(group.count, ours[name, group.shape] + ours[name, None])
        total, met = total + group.count, met + have
        missing = missing or (f"{group.pattern} {list(group.shape)}" if have < group.count else "")
    return total, met, missing


def strangers(model: Model, found: Counted) -> tuple[str, tuple[str, ...]]:
    """The first tensor of the class that the files have not ("" for none), and the modules of the files it does not know."""
    if model.weights is None:
        return "", ()
    paired = paired_names(model.weights, found)
    extra = tuple(row.reason.removeprefix(NOT_IN_CLASS) for row in extra_modules(model.weights, paired))
    return matched(model.weights, found, paired)[2], extra


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


def extra_modules(weights: Weights, paired: Mapping[str, str]) -> Iterator[Difference]:
    """Parameters that only the files have, by module: loading drops them. What only the class has is no reason, but an error."""
    extra: Counter[str] = Counter()
    for portion in weights.portions:
        name = class_name(portion)
        if portion.elements and name not in paired:
            extra[name.rpartition(".")[0] or name] += portion.elements  # a module's weight and bias together
    for module, elements in sorted(extra.items()):
        yield Difference(reason=f"{NOT_IN_CLASS}{module}", elements=elements, num_bytes=0)


def class_name(portion: Portion) -> str:
    """The name of a packed weight as the class has it."""
    if portion.reason != "packed weights":
        return portion.group.pattern
    stem, _, last = portion.group.pattern.rpartition(".")
    if last.endswith("_blocks"):
        return portion.group.pattern.removesuffix("_blocks")
    return portion.group.pattern if last == "weight" else f"{stem}.weight"


def pairs(ours: set[str], theirs: set[str]) -> Iterator[tuple[str, str]]:
    """Names that are one tensor's: equal, but for what `spellings` undoes."""
    ends = {end: name for name in theirs for end in spellings(name)} | {name: name for name in theirs}
    for name in ours:
        found = next((ends[end] for end in (name, *spellings(name)) if end in ends), None)
        if found:
            yield name, found


def spellings(name: str) -> Iterator[str]:
    """A name without a prefix such as `model.`, without a tower's inner module, and with the words norms have today."""
    stem, _, last = name.rpartition(".")
    today = f"{stem}.{RENAMED.get(last, last)}".replace(".vision_model.", ".")
    yield today
    yield today.split(".", 1)[-1]
