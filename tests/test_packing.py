"""Weights of a configuration alone: which modules its packing section means, and at how many bits."""

import json
import time
from typing import Any

import checkpoints
import pytest

from hfmem import api
from hfmem.memory.packing import bits_in
from hfmem.model.modules import exclusions, selection
from hfmem.model.read import read_model
from hfmem.model.schemes import schemes
from hfmem.sources.memory import MemorySource
from hfmem.witness.class_count import unpacked_note

DOWN = "model.layers.3.mlp.down_proj"
QUERY = "model.layers.3.self_attn.q_proj"


# a name of a list, the modules it means, the modules it does not
NAMES: list[tuple[str, list[str], list[str]]] = [
    ("lm_head", ["lm_head"], ["model.embed_tokens", QUERY]),
    ("visual", ["model.visual.blocks.0.attn.qkv"], [QUERY]),
    ("model.layers.3.self_attn", [QUERY], [DOWN, "model.layers.33.self_attn.q_proj"]),
    ("model.language_model.layers.3.mlp.down_proj", [DOWN], [QUERY]),
    ("self_attn", [QUERY], [DOWN, "model.layers.3.my_self_attn.q_proj"]),
    ("model.layers.0*", ["model.layers.0.mlp.up_proj"], ["model.layers.10.mlp.up_proj", QUERY]),
    ("model.layers.*.self_attn", [QUERY], [DOWN]),
    ("*.attn.*", ["layers.3.attn.wq"], ["layers.3.ffn.w1", "layers.3.attn_norm"]),
    ("mtp.*", ["mtp.fc"], [QUERY]),
    ("*", [QUERY, DOWN], []),
    ("re:.*self_attn.*", [QUERY], [DOWN]),
    (r"re:.*mlp\.(gate|up|gate_up|down)_proj.*", [DOWN, "model.layers.0.mlp.gate_up_proj"], [QUERY, "model.layers.0.mlp.gate"]),
    (r"re:.*\.mlp\.gate$", ["model.layers.0.mlp.gate"], ["model.layers.0.mlp.gate_proj"]),
    ("re:vision_tower.*", ["model.vision_tower.layers0"], [QUERY]),
    ("re:.*(?:q|k)_proj$", [QUERY], [DOWN]),
    ("re:.*[0-9]+.*", [], [QUERY]),  # more than pieces, gaps and one choice: not known, and nothing is left out for it
    ("re:(", [], [QUERY]),
]


@pytest.mark.parametrize(("name", "meant", "others"), NAMES, ids=[row[0] for row in NAMES])
def test_modules_a_name_means(name: str, meant: list[str], others: list[str]) -> None:
    found = selection([name])
    assert [module for module in (*meant, *others) if found.holds(module)] == meant


@pytest.mark.parametrize(
    "raw", [{}, {"quantization_config": {"ignore": "lm_head"}}, {"quantization_config": {"ignore": [1, None]}}]
)
def test_a_section_without_a_list_leaves_nothing_out(raw: dict[str, Any]) -> None:
    assert not exclusions(raw).holds("lm_head")


@pytest.mark.parametrize(
    "names",
    [["re:" + ".*a" * 90], ["*a" * 140], ["re:" + "(a|a)*" * 40], [f"{number}*x*y" for number in range(30_000)], ["a" * 10**6]],
    ids=["gaps", "stars", "choices", "thousands", "long"],
)
def test_no_list_takes_long(names: list[str]) -> None:
    """Seconds against the microseconds it takes: an expression that doubles with each star would never end."""
    found, started = selection(names), time.process_time()
    for layer in range(200):
        found.holds(f"model.layers.{layer}." + "a" * 60 + ".q_proj")
    assert time.process_time() - started < 5


def section(method: str, **more: Any) -> dict[str, Any]:
    return {"quant_method": method, **more}


def compressed(weights: dict[str, Any], *targets: str, **more: Any) -> dict[str, Any]:
    groups = {"group_0": {"weights": weights, "targets": list(targets or ("Linear",))}}
    return section("compressed-tensors", config_groups=groups, **more)


NVFP4 = {"num_bits": 4, "type": "float", "group_size": 16}

# what it is, the section, bits of a weight of a feed-forward matrix and of an attention one (None: not packed)
SECTIONS: list[tuple[str, dict[str, Any], float | None, float | None]] = [
    ("fp8", section("fp8"), 8, 8),
    ("awq", section("awq", bits=4, group_size=128), 4 + 20 / 128, 4 + 20 / 128),
    ("gptq 3 bit", section("gptq", bits=3, group_size=128), 3 + 19 / 128, 3 + 19 / 128),
    ("gptq, a scale a column", section("gptq", bits=4, group_size=-1), 4, 4),
    ("gptq, nonsense", section("gptq", bits=4, group_size=1), 6.5, 6.5),
    ("mlx", {"bits": 4, "group_size": 64}, 4.5, 4.5),
    ("mlx mxfp4", {"bits": 4, "group_size": 32, "mode": "mxfp4"}, 4.25, 4.25),
    ("hqq", section("hqq", quant_config={"weight_quant_params": {"nbits": 4, "group_size": 64}}), 4.5, 4.5),
    ("nf4", section("bitsandbytes", load_in_4bit=True), 4.5, 4.5),
    ("nf4 nested", section("bitsandbytes", load_in_4bit=True, bnb_4bit_use_double_quant=True), 4 + 8.125 / 64, 4 + 8.125 / 64),
    ("int8", section("bitsandbytes", load_in_8bit=True), 8, 8),
    ("exl2", section("exl2", bits=4.65), 4.65, 4.65),
    ("aqlm", section("aqlm", in_group_size=8, num_codebooks=1, nbits_per_codebook=16), 2, 2),
    ("w4a16", compressed({"num_bits": 4, "type": "int", "group_size": 128}), 4.125, 4.125),
    (
        "w4a16 with zeros",
        compressed({"num_bits": 4, "type": "int", "group_size": 128, "symmetric": False}),
        4 + 20 / 128,
        4 + 20 / 128,
    ),
    ("nvfp4", compressed(NVFP4, format="nvfp4-pack-quantized"), 4.5, 4.5),
    ("nvfp4, attention out", compressed(NVFP4, ignore=["re:.*self_attn.*"]), 4.5, None),
    ("fp8, attention alone", compressed({"num_bits": 8, "type": "float"}, "re:.*self_attn.*"), None, 8),
    ("modelopt nvfp4", section("modelopt", quant_algo="NVFP4", ignore=["model.layers.*.self_attn"]), 4.5, None),
    ("modelopt fp8", section("modelopt", quant_algo="FP8"), 8, 8),
    (
        "modelopt mixed",
        section(
            "modelopt",
            quant_algo="MIXED_PRECISION",
            quantized_layers={DOWN: {"quant_algo": "W4A16_NVFP4", "group_size": 16}, QUERY: {"quant_algo": "FP8"}},
        ),
        4.5,
        8,
    ),
    ("fp8 with NVFP4 experts", section("fp8", quantized_layers={DOWN: {"quant_algo": "NVFP4"}}), 4.5, 8),
    ("mxfp4", section("mxfp4", modules_to_not_convert=["model.layers.*.self_attn"]), 4.25, None),
    ("a method nobody knows", section("zip"), None, None),
    ("no bits", section("gptq"), None, None),
]


@pytest.mark.parametrize(("said", "down", "query"), [row[1:] for row in SECTIONS], ids=[row[0] for row in SECTIONS])
def test_bits_of_a_weight(said: dict[str, Any], down: float | None, query: float | None) -> None:
    spec = read_model({"model_type": "llama", "quantization_config": said})
    found, excluded = tuple(schemes(spec)), exclusions(spec.raw)
    assert [bits_in(module, found, excluded) for module in (DOWN, QUERY)] == [down, query]


PACKED = [name for name in checkpoints.names() if {"quantization_config", "quantization"} & checkpoints.config(name).keys()]


@pytest.mark.parametrize("name", PACKED)
def test_a_configuration_alone_weighs_what_the_files_weigh(name: str, tmp_path: Any) -> None:
    """The rest of 0.2 % are block scales of FP8, the order of columns GPTQ keeps, and scales of whole matrices."""
    pytest.importorskip("torch", reason="the class is counted with the verify extra")
    whole = api.load(str(checkpoints.write(name, tmp_path / "whole")))
    alone = api.weighed(api.load_source(MemorySource({"config.json": json.dumps(checkpoints.config(name)).encode()})), False)
    assert whole.weights is not None and alone.weights is not None
    assert alone.weights.loaded_bytes == pytest.approx(whole.weights.loaded_bytes, rel=2e-3)


@pytest.mark.parametrize(("said", "codes"), [(section("gptq"), ["packing-unknown"]), (section("fp8"), [])])
def test_a_packing_that_says_no_bits_is_a_note(said: dict[str, Any], codes: list[str]) -> None:
    spec = read_model({"model_type": "llama", "quantization_config": said})
    assert [note.code for note in unpacked_note(spec)] == codes
