"""
Write hfmem/tables/loading.json: what each model class of the pinned transformers does with the weights it is given.

    python scripts/generate_loading.py [--check]

For every class that loads checkpoints: `ignored` (patterns of tensors it drops), `tied` (tensors that are another one)
and `fp32` (modules kept in float32; `strict` ones also when the model is bfloat16). Classes without any are left out.
`generators` are the model types that write tokens, so that keep a cache; all others transformers knows are encoders.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import re
import sys
from pathlib import Path
from typing import Any

from generated import write_or_check

os.environ["HF_HUB_OFFLINE"] = "1"
sys.path.insert(0, str(Path(__file__).parent.parent))
TABLE = Path(__file__).parent.parent / "hfmem" / "tables" / "loading.json"


def main() -> int:
    """Write the table, or with --check say whether it is up to date."""
    return write_or_check(TABLE, Path(__file__).name, __doc__.splitlines()[1], lambda: render(build()))


def build() -> dict[str, Any]:
    """Rows by class name, and the types that generate, over every modeling module of transformers."""
    import transformers.models

    rows: dict[str, dict[str, Any]] = {}
    generators: set[str] = set()
    named: dict[str, dict[str, list[str]]] = {}
    for package in sorted(info.name for info in pkgutil.iter_modules(transformers.models.__path__)):
        for module in modeling_modules(f"transformers.models.{package}"):
            rows.update(describe_module(module))
            generators.update(cls.config_class.model_type for cls in model_classes(module) if writes(cls))
            add_names(named.setdefault(package, {"buffers": [], "parameters": []}), Path(module.__file__).read_text())
    generators.discard("")
    generators.update(text_parts(generators))
    generators.update(sharing_types(rows_writing(generators)))
    return {
        "transformers": transformers.__version__,
        "generators": sorted(generators),
        "tensor_names": {name: row for name, row in named.items() if any(row.values())},
        "packages": packages(),
        "classes": dict(sorted(rows.items())),
    }


BUFFER = re.compile(r"self\.(\w+)\s*=\s*(?:nn\.|torch\.nn\.)?Buffer\(")
PARAMETER = re.compile(r"self\.(\w+)\s*(?::[^=\n]+)?=\s*(?:nn\.|torch\.nn\.)?Parameter\(")
ORDINARY = {"weight", "bias"}


def add_names(row: dict[str, list[str]], source: str) -> None:
    """What a module registers by name as persistent buffers and as parameters of its own."""
    buffers = {match[1] for match in BUFFER.finditer(source) if "persistent=False" not in call(source, match.end())}
    parameters = {match[1] for match in PARAMETER.finditer(source)}
    row["buffers"] = sorted((set(row["buffers"]) | buffers) - parameters - ORDINARY)
    row["parameters"] = sorted((set(row["parameters"]) | parameters) - ORDINARY)


def call(source: str, start: int) -> str:
    """The arguments of a call whose bracket is open at `start`, without spaces."""
    depth, end = 1, start
    while depth and end < len(source):
        depth += {"(": 1, ")": -1}.get(source[end], 0)
        end += 1
    return source[start:end].replace(" ", "")


def packages() -> dict[str, str]:
    """Model type → the package its classes are in, where that is named otherwise."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    found = {name: CONFIG_MAPPING[name].__module__.split(".")[2] for name in CONFIG_MAPPING}
    for cls in [CONFIG_MAPPING[name] for name in CONFIG_MAPPING]:
        for part in (getattr(cls, "sub_configs", None) or {}).values():
            if getattr(part, "model_type", ""):
                found.setdefault(part.model_type, part.__module__.split(".")[2])
    return {name: package for name, package in sorted(found.items()) if name != package}


def rows_writing(generators: set[str]) -> set[str]:
    """Names of the model classes that types known to write tokens are mapped to for writing them."""
    return {name for model_type, name in writing_classes() if model_type in generators}


def sharing_types(names: set[str]) -> set[str]:
    """Types that have no class of their own and are mapped to one of these."""
    return {model_type for model_type, name in writing_classes() if name in names}


def writing_classes() -> list[tuple[str, str]]:
    from transformers.models.auto import modeling_auto

    endings = ("CAUSAL_LM_MAPPING_NAMES", "TEXT_TO_TEXT_MAPPING_NAMES", "MULTIMODAL_LM_MAPPING_NAMES")
    mappings = [value for key, value in sorted(vars(modeling_auto).items()) if key.endswith(endings)]
    return [(model_type, name) for mapping in mappings for model_type, name in mapping.items() if isinstance(name, str)]


def text_parts(generators: set[str]) -> set[str]:
    """Types that a model which writes tokens nests as its text decoder, however deep."""
    from hfmem.tables.aliases import TEXT_PARTS

    types = json.loads((TABLE.parent / "defaults.json").read_bytes())["types"]
    found: set[str] = set()
    while True:
        outer = generators | found
        inner = {
            part[0]
            for name in outer
            for key, part in types.get(name, {}).get("parts", {}).items()
            if key in TEXT_PARTS and part[0]
        }
        if inner <= found:
            return found
        found |= inner


def writes(cls: Any) -> bool:
    return getattr(cls, "config_class", None) is not None and bool(cls.can_generate())


def model_classes(module: Any) -> list[Any]:
    from transformers import PreTrainedModel

    classes = (value for value in vars(module).values() if isinstance(value, type) and issubclass(value, PreTrainedModel))
    return [cls for cls in classes if cls.__module__ == module.__name__]


def modeling_modules(package: str) -> list[Any]:
    found = []
    path = importlib.import_module(package).__path__
    for info in pkgutil.iter_modules(path):
        if info.name.startswith("modeling_"):
            try:
                found.append(importlib.import_module(f"{package}.{info.name}"))
            except ImportError as error:  # an optional dependency of one model is not installed
                print(f"{package}.{info.name}: {error}", file=sys.stderr)
    return found


def describe_module(module: Any) -> dict[str, dict[str, Any]]:
    classes = model_classes(module)
    rows = {cls.__name__: describe(cls, classes) for cls in classes}
    return {name: row for name, row in rows.items() if row}


def describe(cls: Any, siblings: list[Any]) -> dict[str, Any]:
    row = {
        "ignored": dropped(cls),
        "tied": dict(sorted({**inherited_ties(cls, siblings), **ties(cls)}.items())),
        "fp32": names(cls, "_keep_in_fp32_modules"),
        "strict": names(cls, "_keep_in_fp32_modules_strict"),
    }
    return {key: value for key, value in row.items() if value}


def ties(cls: Any) -> dict[str, str]:
    """Target → source of the parameters a class ties."""
    tied = getattr(cls, "_tied_weights_keys", None)
    return tied if isinstance(tied, dict) else {}


def inherited_ties(cls: Any, siblings: list[Any]) -> dict[str, str]:
    """What the base model inside a class with a head ties, by its names there."""
    prefix = getattr(cls, "base_model_prefix", "")
    bases = [base for base in siblings if base is not cls and base.__name__.endswith("Model") and same_family(base, cls)]
    return {f"{prefix}.{key}": f"{prefix}.{value}" for base in bases if prefix for key, value in ties(base).items()}


def same_family(base: Any, cls: Any) -> bool:
    """Whether a class is a model of the same configuration, and ends in a head where the other has none."""
    return base.config_class is cls.config_class and not cls.__name__.endswith("Model") and cls.can_generate()


def dropped(cls: Any) -> list[str]:
    """The patterns of tensors it drops that match nothing the class itself has."""
    patterns = names(cls, "_keys_to_ignore_on_load_unexpected")
    owned = own_names(cls) if patterns else []
    return [pattern for pattern in patterns if not any(re.search(anchored(pattern), name) for name in owned)]


def anchored(pattern: str) -> str:
    return pattern if pattern.startswith("^") else rf"(?:^|\.)(?:{pattern})"


def own_names(cls: Any) -> list[str]:
    """Names of the tensors of the class at its default configuration; none where it cannot be built so."""
    import torch

    try:
        with torch.device("meta"):
            return list(cls(cls.config_class()).state_dict())
    except Exception:  # abstract bases and classes that want a configuration of their own own nothing we can ask for
        return []


def names(cls: Any, attribute: str) -> list[str]:
    """A class attribute that lists names; one that an instance computes is left out."""
    value = getattr(cls, attribute, None)
    return sorted(value) if isinstance(value, (list, tuple, set)) else []


def render(table: dict[str, Any]) -> str:
    lines = [f"  {json.dumps(name)}: {json.dumps(row, sort_keys=True)}" for name, row in table["classes"].items()]
    parts = ("transformers", "generators", "tensor_names", "packages")
    head = "{" + "".join(f"{json.dumps(part)}: {json.dumps(table[part], sort_keys=True)},\n" for part in parts)
    return head + '"classes": {\n' + ",\n".join(lines) + "\n}}\n"


if __name__ == "__main__":
    sys.exit(main())
