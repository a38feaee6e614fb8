"""Which files of a repository a loader fetches, which it leaves, and the command that gets just those."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase

from hfmem.checkpoint.formats import DIFFUSERS, NUMBERED, PICKLES, SENTENCE, choose, folder
from hfmem.checkpoint.gguf_files import is_gguf
from hfmem.checkpoint.tensors import Checkpoint

# What AutoConfig, AutoTokenizer, AutoProcessor and generate read beside the weights (transformers 5.23:
# tokenization_utils_base, processing_utils, configuration_utils, and the vocabulary files of its tokenizers).
BESIDE = re.compile(
    r"config\.json|generation_config\.json|tokenizer.*\.json|special_tokens_map\.json|added_tokens\.json|vocab\.(json|txt)|merges\.txt"
    r"|.*\.model|tekken\.json|chat_template\.(json|jinja)|(video_)?preprocessor_config\.json|processor_config\.json"
    r"|additional_chat_templates/.*\.jinja|hf_quant_config\.json|adapter_config\.json|modules\.json|.*sentence.*\.json"
    r"|model_index\.json|scheduler_config\.json|source\.spm|target\.spm|.*\.tiktoken"
)
FORMATS = (
    ("safetensors", (".safetensors",)), ("pytorch", PICKLES), ("gguf", (".gguf",)), ("onnx", (".onnx", ".onnx_data")),
    ("tensorflow", (".h5", ".tflite")), ("flax", (".msgpack",)), ("openvino", (".xml",)), ("coreml", (".mlmodel", ".mlpackage")),
)  # fmt: skip


def formats_of(names: Iterable[str]) -> tuple[str, ...]:
    """The formats whose files are there, by their endings."""
    found = list(names)
    return tuple(word for word, endings in FORMATS if any(name.endswith(endings) for name in found))


def fetched(files: Mapping[str, int | None], checkpoint: Checkpoint | None) -> tuple[str, ...]:
    """
    What from_pretrained gets: one set of weights of each part and what is read beside them.

    Safetensors come before pickles and one variant before the others, as `checkpoint.formats.choose` has them; without a
    checkpoint, where a repository may not be read, the numbered files of a set stand for what its index names.
    """
    weights = dict.fromkeys(chosen(files, checkpoint))
    folders = {name.rpartition("/")[0] for name in weights} | {""}
    beside = (name for name in files if in_folders(name, folders) and BESIDE.fullmatch(name.rpartition("/")[2]))
    return tuple(sorted({*weights, *beside}))


def in_folders(name: str, folders: set[str]) -> bool:
    """Whether a file lies beside weights; pipelines keep schedulers and tokenizers in folders of their own."""
    parent = name.rpartition("/")[0]
    return parent in folders or (len(folders) > 2 and "/" not in parent)


def chosen(files: Mapping[str, int | None], checkpoint: Checkpoint | None) -> Iterator[str]:
    """The weight files and their indexes."""
    for place in places(files, checkpoint):
        own = folder(files, place)
        choice = choose(own)
        prefix = f"{place}/" if place else ""
        part = part_at(checkpoint, place)
        names = tuple(part.files) if part and part.files else choice.files or numbered(own, choice.format)
        yield from (prefix + name for name in (*names, *([choice.index] if choice.index else [])) if prefix + name in files)


def places(files: Mapping[str, int | None], checkpoint: Checkpoint | None) -> list[str]:
    """The folders weights are read from."""
    if checkpoint is not None:
        return [part.component or "" for part in checkpoint.parts()]
    if DIFFUSERS in files or SENTENCE in files:
        return sorted({name.partition("/")[0] for name in files if "/" in name} | {""})
    return [""]


def part_at(checkpoint: Checkpoint | None, place: str) -> Checkpoint | None:
    parts = checkpoint.parts() if checkpoint else ()
    return next((part for part in parts if (part.component or "") == place), None)


def numbered(own: Mapping[str, int | None], format: str) -> tuple[str, ...]:
    """The numbered files of one set, where their index could not be read."""
    ending = ".safetensors" if format == "safetensors" else ".bin"
    return tuple(name for name in own if NUMBERED.fullmatch(name) and name.endswith(ending))


def vllm_weights(files: Mapping[str, int | None], weights: Iterable[str]) -> tuple[str, ...]:
    """
    What vLLM fetches instead: the consolidated files where there are any (its "mistral" format comes first), else the same.

    vLLM 0.33, model_executor/model_loader/default_loader.py.
    """
    consolidated = tuple(name for name in files if fnmatchcase(name, "consolidated*.safetensors"))
    return consolidated or tuple(weights)


def is_weight(name: str) -> bool:
    return name.endswith((".safetensors", *PICKLES)) or is_gguf(name)


def download_command(
    repo_id: str, revision: str | None, files: Mapping[str, int | None], wanted: Iterable[str], where: str | None
) -> str:
    """The `hf download` line that gets these files and no others."""
    words = ["hf", "download", repo_id, *(["--revision", revision] if revision else [])]
    names = tuple(wanted)
    words += [word for each in patterns(files, names) for word in ("--include", each)] if set(names) != set(files) else []
    return shlex.join([*words, *(["--local-dir", where] if where else [])])


def patterns(files: Mapping[str, int | None], wanted: tuple[str, ...]) -> list[str]:
    """As few patterns as match just the wanted files: one for shards of a set, one for an ending, names for the rest."""
    left, found = dict.fromkeys(wanted), []
    for pattern in candidates(wanted):
        matched = {name for name in files if fnmatchcase(name, pattern)}
        if len(matched & left.keys()) > 1 and matched <= set(wanted):
            found.append(pattern)
            left = {name: None for name in left if name not in matched}
    return [*found, *(escaped(name) for name in left)]


def candidates(wanted: tuple[str, ...]) -> Iterator[str]:
    """All of an ending first, then all shards of a set, then all of a folder."""
    endings = dict.fromkeys(name[name.rindex(".") :] for name in wanted if "." in name)
    yield from (f"*{escaped(ending)}" for ending in endings)
    sets = dict.fromkeys((m["stem"], m["count"], m["ending"]) for name in wanted if (m := NUMBERED.fullmatch(name)))
    yield from (f"{escaped(stem)}-*-of-{count}.{ending}" for stem, count, ending in sets)
    yield from (f"{escaped(folder)}/*" for folder in dict.fromkeys(name.rpartition("/")[0] for name in wanted) if folder)


def escaped(name: str) -> str:
    """A name as a pattern that matches it alone."""
    return re.sub(r"([*?\[])", r"[\1]", name)
