"""
Write hfmem/tables/defaults.json: what every configuration class of the pinned transformers says when a key is absent.

    python scripts/generate_defaults.py [--check]

Each model type has up to six entries:

    fields   the declared default of each field, None left out
    derived  what the class makes of a None: a value, or a rule such as "=hidden_size//num_attention_heads" that was
             checked on changed sizes
    cycles   per-layer lists: the repeating pattern, and the last layer's value where it is fixed
    names    our name (transformers' canonical one) → the name the class stores it under
    parts    nested configuration → [its model type, what the outer class changes in it when it is absent, and true
             where it changes that even in one that is there]
    divides  true where the class refuses a hidden size its heads do not divide
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from generated import write_or_check

os.environ["HF_HUB_OFFLINE"] = "1"
TABLE = Path(__file__).parent.parent / "hfmem" / "tables" / "defaults.json"

# Fields that never change a size: labels, training noise, token ids, rope angles, generation and loss settings.
NOISE = re.compile(
    r"drop|_token|token_id|id2label|label2id|initializer|_init$|^init_|_eps$|epsilon|^rope_|_theta|^partial_rotary|"
    r"_coef|loss|problem_type|transformers_version|architectures|return_dict|output_attentions|output_hidden_states|"
    r"output_router|chunk_size_feed|_name_or_path|temperature|pretraining_tp|use_cache|softcap|beam|penalty|^do_|"
    r"(^|_)(bos|eos|pad|sep|decoder_start)_|^mask_|apply_spec|tokenizer|^prefix$|pruned|torchscript|bfloat16|normalize|"
    r"^norm_(mean|std|topk)|^summary_|mup_|time_step_(min|max|limit|floor|scale)|logit_scale|routed_scaling|router_jitter|"
    r"position_bias|out_features|out_indices|cardinality|lags|ignore_index|hidden_act|activation"
)
KEPT = {
    "hidden_act", "activation_function", "hidden_activation", "feed_forward_proj", "mlp_hidden_act", "activation",
    "final_logit_softcapping", "logits_soft_cap",
}  # fmt: skip
PER_LAYER = ("layer_types", "layers_block_type", "mlp_layer_types", "indexer_types", "no_rope_layers")
DERIVATIONS = (
    "num_attention_heads",
    "hidden_size",
    "hidden_size//num_attention_heads",
    "num_hidden_layers",
    "num_layers",
)
WRITERS = ("ForCausalLM", "ForConditionalGeneration", "LMHeadModel")
LAYER_COUNTS = (*range(3, 31), 37, 48)


def main() -> int:
    """Write the table, or with --check say whether it is up to date."""
    return write_or_check(TABLE, Path(__file__).name, __doc__.splitlines()[1], lambda: render(build()))


def build() -> dict[str, Any]:
    """Model type → entry, for every type transformers maps and every nested type those refer to."""
    from transformers import __version__
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    classes = {name: CONFIG_MAPPING[name] for name in CONFIG_MAPPING}
    for cls in list(classes.values()):
        for part in (getattr(cls, "sub_configs", None) or {}).values():
            if getattr(part, "model_type", ""):
                classes.setdefault(part.model_type, part)
    types = {name: describe(classes[name]) for name in sorted(classes)}
    return {"transformers": __version__, "types": types, "architectures": architectures(set(types))}


def architectures(types: set[str]) -> dict[str, str]:
    """Class name of a model → its model type, for configurations that name the class alone."""
    from transformers.models.auto import modeling_auto

    found: dict[str, str] = {}
    for mapping in (value for key, value in sorted(vars(modeling_auto).items()) if key.endswith("_MAPPING_NAMES")):
        for model_type, names in mapping.items():
            for name in (names,) if isinstance(names, str) else names:
                if (
                    name
                    and name.endswith(WRITERS)
                    and model_type in types
                    and likeness(name, model_type) > likeness(name, found.get(name))
                ):
                    found[name] = model_type
    return dict(sorted(found.items()))


def likeness(architecture: str, model_type: str | None) -> int:
    """How much of a class name a model type spells; several types may share one class."""
    if model_type is None:
        return -1
    spelled = model_type.replace("_", "").replace("-", "")
    return len(spelled) if architecture.lower().startswith(spelled) else 0


def render(table: dict[str, Any]) -> str:
    """One line per model type, so that a change of one type is a change of one line."""
    lines = [f"  {json.dumps(name)}: {json.dumps(entry, sort_keys=True)}" for name, entry in table["types"].items()]
    head = f'{{"transformers": {json.dumps(table["transformers"])},\n"architectures": {json.dumps(table["architectures"])},\n'
    return head + '"types": {\n' + ",\n".join(lines) + "\n}}\n"


def describe(cls: Any) -> dict[str, Any]:
    """The entry of one configuration class; a class that cannot be built without arguments gives its declared fields."""
    declared = declared_defaults(cls)
    try:
        instance = cls()
    except Exception as error:  # the class itself refuses to be built empty: its declared defaults are still true
        print(f"{cls.model_type}: {type(error).__name__}, declared fields only", file=sys.stderr)
        instance = None
    parts = describe_parts(cls, instance)
    fields = {k: v for k, v in declared.items() if v is not None and k not in parts and plain(v)}
    if getattr(instance, "is_encoder_decoder", False):
        fields["is_encoder_decoder"] = True
    derived, cycles = describe_derived(cls, instance, declared, parts) if instance is not None else ({}, {})
    names = {k: v for k, v in getattr(cls, "attribute_map", {}).items() if not NOISE.search(k)}
    entry = {"fields": fields, "derived": derived, "cycles": cycles, "names": names, "parts": parts, "divides": divides(cls)}
    return {key: value for key, value in entry.items() if value}


def divides(cls: Any) -> bool:
    """Whether the class refuses a hidden size that its heads do not divide."""
    try:
        cls(hidden_size=4 * 7 + 1, num_attention_heads=4, num_key_value_heads=4)
    except Exception as error:  # what we want to know is whether it is for this reason
        return "multiple of" in str(error) or "divisible" in str(error)
    return False


def declared_defaults(cls: Any) -> dict[str, Any]:
    """Field → declared default; fields of the base class only where the class gives them another default."""
    from transformers import PreTrainedConfig

    base = {field.name: default_of(field) for field in dataclasses.fields(PreTrainedConfig)}
    found = {field.name: default_of(field) for field in dataclasses.fields(cls)}
    return {
        name: value
        for name, value in found.items()
        if (name in KEPT or not NOISE.search(name)) and not name.startswith("_") and (name not in base or base[name] != value)
    }


def default_of(field: Any) -> Any:
    if field.default is not dataclasses.MISSING:
        return listed(field.default)
    return None if field.default_factory is dataclasses.MISSING else listed(field.default_factory())


def listed(value: Any) -> Any:
    return [listed(item) for item in value] if isinstance(value, (list, tuple)) else value


def plain(value: Any) -> bool:
    """Whether JSON can say it, and in less than a table of its own."""
    try:
        return len(json.dumps(value, allow_nan=False)) < 6000
    except (TypeError, ValueError):
        return False


def describe_parts(cls: Any, instance: Any) -> dict[str, Any]:
    parts = {}
    for name, part_class in (getattr(cls, "sub_configs", None) or {}).items():
        part = getattr(instance, name, None) if instance is not None else None
        if part is None:
            parts[name] = [getattr(part_class, "model_type", "") or None, None]
        else:
            changed = changes(part)
            parts[name] = [
                part.model_type or None,
                changed,
                *([True] if changed and merges(cls, name, part, changed) else []),
            ]
    return parts


def merges(cls: Any, name: str, part: Any, changed: dict[str, Any]) -> bool:
    """Whether the outer class still applies its changes when the nested configuration only says its type."""
    try:
        other = cls(**{name: {"model_type": part.model_type}})
    except Exception:  # a class that wants more than the type does not merge
        return False
    return changes(getattr(other, name)) == changed


def changes(part: Any) -> dict[str, Any]:
    """What an outer class sets in a nested configuration beyond what the nested class would make of its sizes."""
    own, declared = type(part)(), declared_defaults(type(part))
    return {
        name: listed(value)
        for name, value in vars(part).items()
        if name in declared and plain(value) and value != expected(part, own, name, declared)
    }


def expected(part: Any, own: Any, name: str, declared: dict[str, Any]) -> Any:
    """The value a field would have by the nested class alone, given the other sizes the outer class sets."""
    value = vars(own).get(name)
    rule = find_rule(type(part), own, name) if declared[name] is None and isinstance(value, int) else None
    if rule is None:
        return value
    sizes = [attribute(part, key) for key in rule[1:].split("//")]
    return sizes[0] // (sizes[1] if len(sizes) == 2 else 1)


def describe_derived(cls: Any, instance: Any, declared: dict[str, Any], parts: dict[str, Any]) -> tuple[Any, Any]:
    derived, cycles = {}, {}
    for name, value in declared.items():
        actual = listed(vars(instance).get(name))
        if name in parts or actual is None or (value is not None and value != "auto") or not plain(actual):
            continue
        cycle = find_cycle(cls, name) if name in PER_LAYER else None
        if cycle:
            cycles[name] = cycle
        else:
            derived[name] = find_rule(cls, instance, name) or actual
    return derived, cycles


def attribute(config: Any, name: str) -> Any:
    """A field by its canonical name, read past classes that refuse to name one value for all layers."""
    return vars(config).get(getattr(config, "attribute_map", {}).get(name, name))


def find_rule(cls: Any, instance: Any, name: str) -> str | None:
    """The rule among DERIVATIONS that still gives the class's value after the sizes are changed."""
    sizes = {key: attribute(instance, key) for key in ("num_attention_heads", "hidden_size", "num_hidden_layers", "num_layers")}
    changed = {
        key: value * factor for (key, value), factor in zip(sizes.items(), (2, 10, 3, 5), strict=True) if isinstance(value, int)
    }
    try:
        other = cls(**changed)
    except Exception:  # a class that refuses changed sizes keeps its value as a constant
        return None
    for rule in DERIVATIONS:
        values = [changed.get(key) for key in rule.split("//")]
        if None not in values and attribute(other, name) == values[0] // (values[1] if len(values) == 2 else 1):
            return f"={rule}"
    return None


def find_cycle(cls: Any, name: str) -> dict[str, Any] | None:
    """The shortest pattern, of at most twelve, that gives the class's list at every depth tried."""
    count_name = getattr(cls, "attribute_map", {}).get("num_hidden_layers", "num_hidden_layers")
    lists = []
    for count in LAYER_COUNTS:
        try:
            lists.append(list(getattr(cls(**{count_name: count}), name)))
        except Exception:  # a class that validates depth against other lists has no cycle to find
            return None
    if [len(layers) for layers in lists] != list(LAYER_COUNTS):
        return None
    for length in range(1, 13):
        for fixed in (0, 1):
            pattern = lists[-1][:length]
            if fits(lists, pattern, fixed):
                return {"pattern": pattern, "last": lists[-1][-1]} if fixed else {"pattern": pattern}
    return None


def fits(lists: list[list[Any]], pattern: list[Any], fixed: int) -> bool:
    repeats = all(
        value == pattern[index % len(pattern)] for layers in lists for index, value in enumerate(layers[: len(layers) - fixed])
    )
    return repeats and (not fixed or len({layers[-1] for layers in lists}) == 1)


if __name__ == "__main__":
    sys.exit(main())
