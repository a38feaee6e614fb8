"""
Names and shapes of what transformers' own classes hold, for configurations on stdin; needs torch and transformers.

Only what tells tools something about caches is kept: key projections and their fused forms, and one name of every layer.
Nothing at all means that no class could be built.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import warnings
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
import transformers

FAMILIES = (
    "AutoModelForCausalLM", "AutoModelForImageTextToText", "AutoModelForSeq2SeqLM", "AutoModelForSpeechSeq2Seq",
    "AutoModelForMultimodalLM", "AutoModelForTextToWaveform", "AutoModel",
)  # fmt: skip
TELLING = re.compile(r"k_proj\.w|attn\.k\.weight|qkv_proj\.weight|c_attn\.weight")
TOWERS = re.compile(
    r"vision|visual|image|audio|speech|sound|tower|encoder\.|qformer|perceiver|resampler|sam_|vit|detokenizer|talker|code2wav"
)
LAYER = re.compile(r"^.*?(?:^|\.)(?:layers|h)\.\d+\.")


def shapes(raw: dict[str, Any], reduced: bool) -> dict[str, list[int]]:
    """The tensors of the first class that can be built; without its towers where its decoder is not as deep as real ones."""
    with contextlib.suppress(Exception):
        config = transformers.AutoConfig.for_model(**raw)
        for family in FAMILIES:
            with contextlib.suppress(Exception), torch.device("meta"):
                found = kept(getattr(transformers, family).from_config(config, dtype=torch.bfloat16).state_dict())
                return {name: shape for name, shape in found.items() if not (reduced and TOWERS.search(name))} or found
    return {}


def kept(tensors: dict[str, torch.Tensor]) -> dict[str, list[int]]:
    seen: set[str] = set()
    found = {}
    for name, tensor in tensors.items():
        layer = LAYER.match(name)
        if not found or TELLING.search(name) or (layer and layer[0] not in seen):
            found[name] = list(tensor.shape)
        if layer:
            seen.add(layer[0])
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    with contextlib.redirect_stdout(sys.stderr):
        answers = {question["id"]: shapes(question["config"], question["reduced"]) for question in json.load(sys.stdin)}
    json.dump(answers, sys.stdout)
