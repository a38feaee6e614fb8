"""What is asked of a model."""

from __future__ import annotations

from dataclasses import dataclass

from hfmem.errors import UsageError
from hfmem.tables.packing import SPELLINGS, WHAT_IF
from hfmem.units import MIB

# What a process holds on the device before a tensor exists. Source: vLLM start-up logs on H100 with one GPU, 79.19 GiB of
# memory of which 78.68 GiB were free, plus the 8 to 32 MiB cuBLAS keeps as workspace.
RUNTIME_BYTES, RUNTIME_LOW, RUNTIME_HIGH = 530 * MIB, 300 * MIB, 800 * MIB
DEFAULT_CONTEXT = 8192
MAX_TOKENS = 2**40
KV_BITS = {"float32": 32, "float16": 16, "bfloat16": 16, "float8": 8, "int8": 8, "int4": 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """
    Serving: `batch` sequences of `context` tokens each, prompt and answer together.

    A field left None is resolved for the model: context to min(8192, its maximum), dtypes to the stored ones.
    """

    batch: int = 1
    context: int | None = None
    engine: str = "transformers"
    weights_dtype: str | None = None
    kv_dtype: str | None = None
    encoder_tokens: int | None = None  # tokens the encoder of an encoder-decoder reads

    def __post_init__(self) -> None:
        for name, value in (("batch", self.batch), ("context", self.context), ("encoder-tokens", self.encoder_tokens)):
            if value is not None and not 1 <= value <= MAX_TOKENS:
                raise UsageError(f"--{name} is {value}; it should be from 1 to 2^40", code="bad-workload")
        if self.engine != "transformers":
            raise UsageError(f"--engine {self.engine!r} is not known", code="bad-workload", hint="engines: transformers")
        named_dtype("weights-dtype", self.weights_dtype, WHAT_IF)
        named_dtype("kv-dtype", self.kv_dtype, KV_BITS)


def named_dtype(option: str, text: str | None, known: dict[str, tuple[float, int]] | dict[str, int]) -> str | None:
    """A dtype by its full name; `bf16` is bfloat16. Raises `UsageError` listing the names there are."""
    if text is None or text in ("auto", "stored"):
        return None
    name = SPELLINGS.get(text.lower(), text.lower())
    if name not in known:
        raise UsageError(f"--{option} {text!r} is not known", code="bad-dtype", hint=f"one of: auto, {', '.join(known)}")
    return name
