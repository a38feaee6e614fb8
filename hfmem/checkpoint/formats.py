"""Which files of a tree are its weights, and in which format: what from_pretrained would load, nothing twice."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hfmem.checkpoint.gguf_files import is_gguf

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
DIFFUSERS = "model_index.json"
SENTENCE = "modules.json"
ADAPTER = "adapter_config.json"
PREFERRED = (SINGLE, "diffusion_pytorch_model.safetensors", "adapter_model.safetensors")
INDEXES = (INDEX, "diffusion_pytorch_model.safetensors.index.json")
BIN_INDEXES = ("pytorch_model.bin.index.json", "diffusion_pytorch_model.bin.index.json")
NUMBERED = re.compile(r"(?P<stem>.+)-(?P<number>\d{1,6})-of-(?P<count>\d{1,6})\.(?P<ending>safetensors|bin)")
BIN = re.compile(r"(pytorch_model|diffusion_pytorch_model|adapter_model|model)([.-].*)?\.(bin|pt|pth)")
VARIANT = re.compile(r"\.(fp16|fp32|bf16|non_ema|ema|fp8)\.safetensors$|\.(fp16|fp32|bf16|non_ema)[.-]")
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".nemo", ".pkl")
SINGLE_BINS = ("pytorch_model.bin", "diffusion_pytorch_model.bin", "adapter_model.bin")
# What trainers leave beside a model: arguments and states of a run, no weights.
RUN_STATE = re.compile(r"(training_args|optimizer|scheduler|scaler|rng_state|random_states|global_step|trainer_state).*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The weight files of one folder: an index, files, or nothing known."""

    format: str  # "safetensors", "pytorch", "gguf" or "none"
    index: str | None = None
    files: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()  # the same weights in another format or variant
    unclear: tuple[str, ...] = ()  # beside one file picked by its name: other models, for all we know


def choose(names: Iterable[str]) -> Choice:
    """
    The files one folder's weights are read from, in the order transformers looks for them; an adapter's come first.

    GGUF files are what is left, and often lie in a folder for each quantisation.
    """
    below = sorted(names)
    found = [name for name in below if "/" not in name]
    if ADAPTER in found and any(name.startswith("adapter_model.") for name in found):
        found = [name for name in found if name.startswith("adapter_model.")]
    safetensors = [name for name in found if name.endswith(".safetensors")]
    pickles = tuple(name for name in found if BIN.fullmatch(name))
    single = next((name for name in PREFERRED if name in safetensors), None)
    if single:
        same = (name for name in found if name in INDEXES or (name in safetensors and name != single))
        return Choice(format="safetensors", files=(single,), skipped=(*same, *pickles))
    index = next((name for name in INDEXES if name in found), None)
    if index:
        return Choice(format="safetensors", index=index, skipped=pickles)
    if safetensors:
        files = plain_or_variant(safetensors)
        unclear = unrelated(files, safetensors)
        same = (name for name in safetensors if name not in (*files, *unclear))
        return Choice(format="safetensors", files=files, skipped=(*same, *pickles), unclear=unclear)
    return choose_other(found, pickles, below)


def choose_other(found: list[str], pickles: tuple[str, ...], below: list[str]) -> Choice:
    single = next((name for name in SINGLE_BINS if name in pickles), None)
    if single:
        return Choice(format="pytorch", files=(single,), skipped=tuple(name for name in pickles if name != single))
    index = next((name for name in BIN_INDEXES if name in found), None)
    if index or pickles:
        return Choice(format="pytorch", index=index, files=one_set(pickles))
    are_beside = any(is_gguf(name) for name in found) or not any(name.endswith(".safetensors") for name in below)
    gguf = tuple(name for name in below if is_gguf(name)) if are_beside else ()
    if gguf:
        return Choice(format="gguf", files=gguf)
    rest = tuple(name for name in found if name.endswith(PICKLES) and not RUN_STATE.fullmatch(name))
    return Choice(format="pytorch", files=one_set(rest)) if rest else Choice(format="none")


def unrelated(files: tuple[str, ...], names: list[str]) -> tuple[str, ...]:
    """What lies beside a single file picked by its name; beside a set of shards lie the same weights again."""
    if len(files) > 1 or NUMBERED.fullmatch(files[0]):
        return ()
    return tuple(name for name in names if name not in files and not VARIANT.search(name))


def plain_or_variant(safetensors: list[str]) -> tuple[str, ...]:
    """Without a file of the usual name: the numbered shards of one set, else the consolidated file, else what is there."""
    plain = [name for name in safetensors if not VARIANT.search(name)] or safetensors
    return one_set(tuple(plain))


def one_set(files: tuple[str, ...]) -> tuple[str, ...]:
    """Files that are one model: a numbered set where there is one; else one file, the shortest name."""
    numbered = [name for name in files if NUMBERED.fullmatch(name)]
    if numbered:
        sets = {(m["stem"], m["count"]) for name in numbered if (m := NUMBERED.fullmatch(name))}
        stem, count = min(sets)
        return tuple(name for name in numbered if name.startswith(f"{stem}-") and f"-of-{count}." in name)
    plain = [name for name in files if not VARIANT.search(name)] or list(files)
    consolidated = [name for name in plain if re.fullmatch(r"consolidated\.\d+\.\w+", name)]
    return tuple(consolidated) or tuple(sorted(plain, key=len)[:1])


def missing_numbers(files: Iterable[str]) -> list[str]:
    """Names that a numbered set of shards lacks."""
    known = [match for name in files if (match := NUMBERED.fullmatch(name))]
    if not known:
        return []
    first, numbers = known[0], {int(match["number"]) for match in known}
    width, start = len(first["number"]), 0 if 0 in numbers else 1
    missing = (number for number in range(start, start + int(first["count"])) if number not in numbers)
    return [f"{first['stem']}-{number:0{width}d}-of-{first['count']}.{first['ending']}" for number in missing]


def folder(files: Mapping[str, int | None], name: str) -> dict[str, int | None]:
    """The files of one sub-folder, by their names in it."""
    prefix = f"{name}/" if name else ""
    return {path.removeprefix(prefix): size for path, size in files.items() if path.startswith(prefix)}
