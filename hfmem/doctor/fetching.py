"""Which files of a repository a loader fetches, which it leaves, and the command that gets just those."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase

from hfmem.checkpoint.formats import DIFFUSERS, NUMBERED, PICKLES, SENTENCE, choose, folder
from hfmem.checkpoint.gguf_files import is_gguf
from hfmem.checkpoint.tensors import Checkpoint
from hfmem.sources.base import Repository

# What AutoConfig, AutoTokenizer, AutoProcessor and generate read beside the weights: transformers 5.23's own constants
# (tokenization_utils_base, processing_utils, configuration_utils) and the VOCAB_FILES_NAMES of its tokenizers.
BESIDE = re.compile(
    r"config\.json|generation_config\.json|(audio_)?tokenizer.*\.json|special_tokens_map\.json|added_tokens\.json|vocab.*\.(json|txt)"
    r"|merges\.txt|.*\.model|tekken\.json|chat_template\.(json|jinja)|(video_)?preprocessor_config\.json|processor_config\.json"
    r"|.*\.jinja|hf_quant_config\.json|adapter_config\.json|modules\.json|.*sentence.*\.json|model_index\.json"
    r"|scheduler_config\.json|.*\.spm|.*\.tiktoken|bpe\.codes|dict\.txt|emoji\.json|(entity|target)_vocab\.json|byte_maps\.json"
    r"|word_(shape|pronunciation)\.json|prophetnet\.tokenizer|normalizer\.json"
)
CODE = re.compile(r"[\w\-]+\.py")  # of a model that config.json's auto_map names
MISTRAL = ("params.json", "tekken.json")  # read beside consolidated files
NOT_PARTS = ("onnx", "openvino", "original", "coreml", "gguf")  # folders that are the model again
FORMATS = (
    ("safetensors", (".safetensors",)), ("pytorch", PICKLES), ("gguf", (".gguf",)), ("onnx", (".onnx", ".onnx_data")),
    ("tensorflow", (".h5", ".tflite")), ("flax", (".msgpack",)), ("openvino", (".xml",)), ("coreml", (".mlmodel", ".mlpackage")),
)  # fmt: skip


def formats_of(names: Iterable[str]) -> tuple[str, ...]:
    """The formats whose files are there, by their endings."""
    found = list(names)
    return tuple(word for word, endings in FORMATS if any(name.endswith(endings) for name in found))


def fetched(files: Mapping[str, int | None], checkpoint: Checkpoint | None, *, code: bool = False) -> tuple[str, ...]:
    """
    What from_pretrained gets: one set of weights of each part and what is read beside them.

    Safetensors come before pickles and one variant before the others, as `checkpoint.formats.choose` has them; without a
    checkpoint, where a repository may not be read, the numbered files of a set stand for what its index names. `code` is
    whether config.json names some of the repository's own.
    """
    weights = dict.fromkeys(chosen(files, checkpoint))
    folders = {name.rpartition("/")[0] for name in weights} | {""}
    is_pipeline = DIFFUSERS in files or SENTENCE in files
    beside = (name for name in files if is_beside(name, folders, is_pipeline) and BESIDE.fullmatch(name.rpartition("/")[2]))
    more = {name for name in files if (code and CODE.fullmatch(name)) or (name in MISTRAL and is_consolidated(weights))}
    return tuple(sorted({*weights, *beside, *more}))


def is_consolidated(weights: Iterable[str]) -> bool:
    return any(name.startswith("consolidated") for name in weights)


def is_beside(name: str, folders: set[str], is_pipeline: bool) -> bool:
    """Whether a file lies beside weights; pipelines keep schedulers, tokenizers and poolings in folders of their own."""
    parent = name.rpartition("/")[0]
    return parent in folders or parent == "additional_chat_templates" or (is_pipeline and is_part(parent))


def is_part(parent: str) -> bool:
    return "/" not in parent and parent not in NOT_PARTS


def chosen(files: Mapping[str, int | None], checkpoint: Checkpoint | None) -> Iterator[str]:
    """The weight files and their indexes."""
    for place in places(files, checkpoint):
        own = folder(files, place)
        choice = choose(own)
        part = part_at(checkpoint, place)
        names = tuple(part.files) if part and part.files else choice.files or numbered(own, choice.format)
        for name in (*names, *([choice.index] if choice.index else [])):
            yield from (path for path in (f"{place}/{name}" if place else name, name) if path in files)


def places(files: Mapping[str, int | None], checkpoint: Checkpoint | None) -> list[str]:
    """The folders weights are read from; of a pipeline its parts, and not what lies beside them as one file."""
    if checkpoint is not None:
        found = [part.component or "" for part in checkpoint.parts()]
        return [place for place in found if place] if checkpoint.format == "diffusers" else found
    if DIFFUSERS in files or SENTENCE in files:
        parts = {name.partition("/")[0] for name in files if "/" in name and is_part(name.partition("/")[0])}
        return sorted(parts | ({""} if DIFFUSERS not in files else set()))
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


def download_command(found: Repository, revision: str | None, wanted: tuple[str, ...], where: str | None) -> str:
    """The `hf download` line that gets these files of a repository and no others."""
    words = ["hf", "download", found.repo_id, *(["--revision", revision] if revision else [])]
    if found.has_hidden or set(wanted) != set(found.files):
        words += [word for each in patterns(found.files, wanted) for word in ("--include", each)]
    words += [] if where or found.is_usual_cache else ["--cache-dir", found.cache_dir]
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
