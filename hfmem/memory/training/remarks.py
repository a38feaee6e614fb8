"""What a reader of a training estimate should know: how weights were counted, and options without effect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hfmem.errors import HfmemError
from hfmem.memory.estimate import Note
from hfmem.memory.subject import Model
from hfmem.memory.training.adapters import words
from hfmem.memory.training.matrices import TOWERS, Tensors
from hfmem.memory.training.packed import is_packed
from hfmem.memory.training.workload import Training
from hfmem.tables.aliases import FUSED_MODULES

ADAPTER_OPTIONS = ("lora_rank", "lora_targets", "lora_dropout", "dora", "adapter_dtype", "modules_to_save", "float32_residual")
QUANTIZATION_OPTIONS = ("quantization", "double_quantization")


def remarks(
    model: Model, tensors: Sequence[Tensors], packed: int | None, workload: Training, missing: HfmemError | None
) -> Iterator[Note]:
    """Every remark that holds."""
    if missing:
        yield Note(code=missing.code, message=missing.message, hint=missing.hint)
    if model.weights is None:
        message = "no tensor shapes were read: weights are counted from the configuration, as Llama is built"
        yield Note(code="weights-from-config", message=message, hint="a directory or repository with safetensors files is exact")
    if packed is None and is_packed(model):
        yield Note(code="unpacked", message=f"the checkpoint is quantised; {workload.method} training takes its weights unpacked")
    unmet = unmet_targets(tensors, workload)
    if unmet:
        yield Note(code="no-such-module", message=f"no module of this model is named {', '.join(unmet)}; the other targets count")
    idle = idle_options(model, workload, packed is not None)
    if idle:
        yield Note(code="no-effect", message=f"without effect here: {', '.join(idle)}")
    towers = [stack.role for stack in model.spec.stacks if stack.role in TOWERS]
    if towers and len(model.spec.stacks) > 1 and workload.image_tokens is None:
        yield Note(code="no-images", message=f"the {towers[0]} tower reads nothing", hint="--image-tokens says how much it does")


def unmet_targets(tensors: Sequence[Tensors], workload: Training) -> list[str]:
    if not workload.trains_adapters:
        return []
    known = {tensor.module for tensor in tensors} | {"all-linear"}
    members = {name for name, parts in FUSED_MODULES.items() if any(member in known for part in parts for member in part)}
    return sorted(words(workload.lora_targets) - known - members)


def idle_options(model: Model, workload: Training, is_packed: bool) -> list[str]:
    """Options that were given and change nothing for this model and method."""
    changed = workload.changed_options()
    idle = list(ADAPTER_OPTIONS) if not workload.trains_adapters else []
    idle += QUANTIZATION_OPTIONS if workload.method != "qlora" or is_packed else ()
    roles = {stack.role for stack in model.spec.stacks}
    idle += [] if roles & set(TOWERS) or "encoder" in roles else ["image_tokens"]
    idle += [] if "encoder" in roles else ["encoder_tokens"]
    idle += ["master_weights"] if workload.master_weights and workload.precision in ("fp32", "mixed") else []
    return [f"--{name.replace('_', '-')}" for name in idle if name in changed]
