"""What is asked of a model."""

from __future__ import annotations

from dataclasses import dataclass

from hfmem.errors import UsageError
from hfmem.tables.llama_cpp import GGUF_TYPES
from hfmem.tables.packing import SPELLINGS, WHAT_IF
from hfmem.units import MIB

# What a process holds on the device before a tensor exists. Source: vLLM start-up logs on H100 with one GPU, 79.19 GiB of
# memory of which 78.68 GiB were free, plus the 8 to 32 MiB cuBLAS keeps as workspace.
RUNTIME_BYTES, RUNTIME_LOW, RUNTIME_HIGH = 530 * MIB, 300 * MIB, 800 * MIB
DEFAULT_CONTEXT = 8192
MAX_TOKENS = 2**40
KV_BITS: dict[str, float] = {
    "float32": 32, "float16": 16, "bfloat16": 16, "float8": 8, "int8": 8, "int4": 4, "q8_0": 8.5, "q5_1": 6, "q5_0": 5.5,
    "q4_1": 5, "q4_0": 4.5, "iq4_nl": 4.5, "fp4_e2m1": 4.5,
}  # fmt: skip
# What each engine caches keys in: llama.cpp's blocks (34, 24, 22, 20, 18 bytes for 32 elements), SGLang's FP4 (16 elements and
# an 8-bit scale); transformers' 4 and 8 bits are quantised caches.
KV_DTYPES: dict[str, tuple[str, ...]] = {
    "transformers": ("float32", "float16", "bfloat16", "float8", "int8", "int4"),
    "vllm": ("float16", "bfloat16", "float8"),
    "sglang": ("float16", "bfloat16", "float8", "int8", "fp4_e2m1"),
    "llama.cpp": ("float32", "float16", "bfloat16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"),
}
KV_SPELLINGS = {"fp8_e4m3": "float8", "fp8_e5m2": "float8", "fp8": "float8", "fp4": "fp4_e2m1", "q8_0": "q8_0", "q4_0": "q4_0"}
ENGINES = ("transformers", "vllm", "sglang", "llama.cpp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """
    Serving: `batch` sequences of `context` tokens each, prompt and answer together.

    A field left None is resolved for the model, the engine and the device: context to min(8192, its maximum), dtypes to the
    stored ones, the rest to the engine's own defaults. `engine` may name a version: "vllm@0.19".
    """

    batch: int = 1
    context: int | None = None
    engine: str = "transformers"
    weights_dtype: str | None = None
    kv_dtype: str | None = None
    encoder_tokens: int | None = None  # tokens the encoder of an encoder-decoder reads
    tp: int = 1  # ranks that share every layer
    pp: int = 1  # stages of layers
    dp: int = 1  # copies of the attention layers; experts are shared by all of them
    ep: bool = False  # experts are handed out whole
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None  # SGLang: chunked_prefill_size; llama.cpp: ubatch
    gpu_memory_utilization: float | None = None  # SGLang: mem_fraction_static
    enforce_eager: bool = False
    flash_attention: bool = True  # llama.cpp

    def __post_init__(self) -> None:
        counts = {"batch": self.batch, "context": self.context, "encoder-tokens": self.encoder_tokens}
        counts |= {"max-num-seqs": self.max_num_seqs, "max-num-batched-tokens": self.max_num_batched_tokens}
        for name, value in counts.items():
            if value is not None and not 1 <= value <= MAX_TOKENS:
                raise UsageError(f"--{name} is {value}; it should be from 1 to 2^40", code="bad-workload")
        for name, value in (("tp", self.tp), ("pp", self.pp), ("dp", self.dp)):
            if not 1 <= value <= 65_536:
                raise UsageError(f"--{name} is {value}; it should be from 1 to 65,536", code="bad-workload")
        share = self.gpu_memory_utilization
        if share is not None and not 0 < share <= 1:
            raise UsageError(f"--gpu-memory-utilization is {share}; it should be above 0 and at most 1", code="bad-workload")
        check_engine(self)
        if self.weights_dtype is not None and not is_file_type(self.weights_dtype) and self.engine_name != "llama.cpp":
            named_dtype("weights-dtype", self.weights_dtype, WHAT_IF)
        named_dtype("kv-dtype", self.kv_dtype, KV_BITS)

    @property
    def engine_name(self) -> str:
        return self.engine.partition("@")[0]

    @property
    def num_devices(self) -> int:
        """Devices the ranks take: SGLang's replicas of attention share the tensor-parallel ones."""
        return self.tp * self.pp * (1 if self.engine_name == "sglang" else self.dp)

    @property
    def engine_version(self) -> tuple[int, ...] | None:
        """The version asked for; None for the newest that is known."""
        text = self.engine.partition("@")[2]
        return tuple(int(part) for part in text.split(".")) if text else None


def check_engine(workload: Inference) -> None:
    """An engine there is, a version that is one, and no option the engine has not."""
    name, _, version = workload.engine.partition("@")
    if name not in ENGINES:
        raise UsageError(f"--engine {workload.engine!r} is not known", code="bad-workload", hint=f"engines: {', '.join(ENGINES)}")
    numbers = all(part.isascii() and part.isdecimal() and len(part) < 6 for part in version.split("."))
    if "@" in workload.engine and (name != "vllm" or not numbers):
        hint = "for example vllm@0.19; only vLLM's versions differ here"
        raise UsageError(f"--engine {workload.engine!r} names no version", code="bad-workload", hint=hint)
    own = Inference.__dataclass_fields__
    given = [option for option in SERVER_OPTIONS if getattr(workload, option) != own[option].default]
    if given and name == "transformers":
        option = f"--{given[0].replace('_', '-')}"
        raise UsageError(f"{option} is an option of serving engines", code="bad-workload", hint="--engine vllm or sglang")


def check_dtypes(workload: Inference) -> None:
    """The dtypes are the engine's own: asked once the checkpoint has settled which engine it is."""
    name = workload.engine_name
    if name != "llama.cpp" and is_file_type(workload.weights_dtype or ""):
        message = f"--weights-dtype {workload.weights_dtype} is llama.cpp's"
        raise UsageError(message, code="bad-dtype", hint="--engine llama.cpp")
    dtype = named_dtype("kv-dtype", workload.kv_dtype, KV_BITS)
    if dtype is not None and dtype not in KV_DTYPES[name]:
        hint = f"{name} has {', '.join(KV_DTYPES[name])}"
        raise UsageError(f"--kv-dtype {dtype} is not {name}'s", code="bad-dtype", hint=hint)


def is_file_type(name: str) -> bool:
    """Whether it is a file type of llama.cpp's: Q4_K_M, or q4-k-m."""
    return name.lower().replace("-", "_") in GGUF_TYPES


SERVER_OPTIONS = ("tp", "pp", "dp", "ep", "max_num_seqs", "max_num_batched_tokens", "gpu_memory_utilization", "enforce_eager")


def named_dtype(option: str, text: str | None, known: dict[str, tuple[float, int]] | dict[str, float]) -> str | None:
    """A dtype by its full name; `bf16` is bfloat16. Raises `UsageError` listing the names there are."""
    if text is None or text in ("auto", "stored"):
        return None
    spelled = text.lower()
    name = KV_SPELLINGS.get(spelled, "") if option == "kv-dtype" else ""
    name = name or SPELLINGS.get(spelled, spelled)
    if name not in known:
        raise UsageError(f"--{option} {text!r} is not known", code="bad-dtype", hint=f"one of: auto, {', '.join(known)}")
    return name
