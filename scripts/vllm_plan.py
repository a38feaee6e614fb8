"""
Run vLLM's own planner over the layers of many models and write what it answers: fixtures/vllm_plans.json.

Usage: scripts/vllm_plan [--write]. Needs an environment with torch and vLLM's package (installed without its dependencies);
what else vLLM imports on its way to the planner is replaced by stand-ins, for none of it is asked.
"""

import argparse
import importlib.abc
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "fixtures" / "vllm_plans.json"
VERSION = "0.33.0"
POOL = 40 * 2**30
# configuration, ranks, bits of a key, context, tokens of a batch
CASES = [
    ("meta-llama--Llama-3.1-8B-Instruct", 1, 16, 131072, 8192), ("meta-llama--Llama-3.1-8B-Instruct", 4, 8, 8192, 2048),
    ("google--gemma-2-2b-it", 1, 16, 8192, 2048), ("google--gemma-3-4b-it", 1, 16, 131072, 8192),
    ("google--gemma-3-4b-it", 2, 16, 4096, 8192), ("google--gemma-3-1b-it", 1, 16, 32768, 8192),
    ("google--gemma-3-270m", 1, 16, 32768, 2048), ("google--gemma-4-26B-A4B", 1, 16, 131072, 8192),
    ("google--gemma-4-26B-A4B", 2, 16, 32768, 8192), ("openai--gpt-oss-20b", 1, 16, 131072, 8192),
    ("openai--gpt-oss-20b", 2, 8, 32768, 16384), ("deepseek-ai--DeepSeek-V2-Lite", 1, 16, 32768, 8192),
    ("deepseek-ai--DeepSeek-V3", 8, 16, 163840, 8192), ("Qwen--Qwen3-Coder-Next", 1, 16, 262144, 8192),
    ("Qwen--Qwen3-Coder-Next", 2, 16, 262144, 8192), ("Qwen--Qwen3.5-0.8B", 1, 16, 32768, 8192),
    ("ai21labs--Jamba-v0.1", 1, 16, 262144, 8192), ("ibm-granite--granite-4.0-h-tiny", 1, 16, 131072, 8192),
    ("nvidia--NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", 1, 16, 131072, 8192),
    ("nvidia--NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", 2, 8, 131072, 8192), ("LiquidAI--LFM2-1.2B", 1, 16, 32768, 8192),
    ("AntonV--mamba2-130m-hf", 1, 16, 8192, 8192), ("tiiuae--falcon-mamba-7b", 1, 16, 8192, 8192),
    ("mistralai--Mistral-7B-v0.3", 1, 16, 32768, 8192), ("openai--whisper-large-v3", 1, 16, 448, 8192),
    ("tiiuae--falcon-7b-instruct", 1, 16, 2048, 2048), ("microsoft--phi-2", 1, 16, 2048, 2048),
    ("MiniMaxAI--MiniMax-M2.1", 4, 16, 196608, 8192), ("zai-org--GLM-4.5", 8, 16, 131072, 8192),
]  # fmt: skip
SHARED = ROOT.parent / "shared" / "data" / "configs"
# The same for configurations that are not among the fixtures; read where they are, and left out where not.
MORE = [
    ("meta-llama__Llama-4-Scout-17B-16E-Instruct", 4, 16, 131072, 8192), ("zai-org__GLM-5-FP8", 8, 16, 131072, 8192),
    ("deepseek-ai__DeepSeek-V3.2-Exp_InferSim_copy", 8, 16, 131072, 8192), ("Qwen__Qwen3.5-27B", 4, 16, 50000, 8192),
    ("Qwen__Qwen3.5-397B-A17B", 8, 16, 262144, 8192), ("nvidia__Nemotron-H-56B-Base-8K", 4, 16, 8192, 8192),
    ("google__gemma-4-E2B-it", 1, 16, 32768, 8192), ("mosaicml__mpt-7b", 1, 16, 2048, 2048),
]  # fmt: skip


# Mixtures no configuration above has: pages as (kind, block size, bytes a token, state bytes, reach), each so many times.
MIXTURES: dict[str, list[tuple[tuple[str, int, int, int, int], int]]] = {
    "chunks beside full attention": [(("full", 16, 2048, 0, 0), 12), (("chunk", 16, 2048, 0, 8192), 36)],
    "two widths of windows": [
        (("full", 16, 4096, 0, 0), 6),
        (("window", 16, 2048, 0, 1024), 20),
        (("window", 16, 2048, 0, 4096), 4),
    ],
    "a window that must be padded": [(("full", 16, 4096, 0, 0), 8), (("window", 16, 3072, 0, 512), 8)],
    "nearly as many windows as full layers": [(("full", 16, 4096, 0, 0), 13), (("window", 16, 4096, 0, 128), 12)],
    "latents and states": [(("latent", 128, 1152, 0, 0), 7), (("state", 128, 0, 147_456, 0), 20)],
    "latents beside their indexer": [(("latent", 64, 1152, 0, 0), 61), (("latent", 64, 132, 0, 0), 61)],
    "windows alone": [(("window", 16, 4096, 0, 4096), 32)],
}  # fmt: skip


class StandIn(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Any package that is not installed, as an object that answers everything."""

    def find_spec(self, name: str, path: object, target: object = None) -> Any:
        if name.startswith("vllm") or name.partition(".")[0] in sys.stdlib_module_names or not asked_by_vllm():
            return None
        return importlib.util.spec_from_loader(name, self, is_package=True)

    def create_module(self, spec: Any) -> ModuleType:
        module = MagicMock(name=spec.name)
        module.__spec__, module.__path__, module.__name__ = spec, [], spec.name
        return module  # type: ignore[return-value]

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run."""


def asked_by_vllm() -> bool:
    """Whether the import that is under way stands in a file of vLLM; other packages find out by themselves what they lack."""
    frame = sys._getframe(2)
    while frame and "importlib" in frame.f_code.co_filename:
        frame = frame.f_back  # type: ignore[assignment]
    return bool(frame) and "vllm" in str(frame.f_globals.get("__name__", ""))


def layers_of(name: str, tp: int, kv_bits: int) -> tuple[Any, list[Any]]:
    from hfmem.memory.engines.pages import Paging, pages_of
    from hfmem.model.read import read_model

    path = ROOT / "fixtures" / name / "config.json"
    path = path if path.is_file() else SHARED / f"{name}.json"
    model = read_model(json.loads(path.read_text()))
    element = {"F32": 4}.get(model.dtype or "BF16", 2)
    assert model.decoder is not None
    pages = pages_of(model, model.decoder.layers, Paging(kv_bits=kv_bits, model_bytes=element, tp=tp))
    return model, [page for layer in pages for page in layer]


def spec_of(page: Any) -> Any:
    """The page as vLLM's own value, of as many bytes."""
    import torch
    from vllm.v1 import kv_cache_interface as v

    common: dict[str, Any] = {"block_size": page.block_size, "num_kv_heads": 1, "dtype": torch.uint8}
    if page.kind == "latent":
        return v.MLAAttentionSpec(head_size=page.token_bytes, **common)
    if page.kind == "state":
        shapes, padded = ((page.state_bytes,),), page.padded_bytes or None
        return v.MambaSpec(block_size=page.block_size, shapes=shapes, dtypes=(torch.uint8,), page_size_padded=padded)
    common |= {"head_size": page.token_bytes // 2, "head_size_v": page.token_bytes - page.token_bytes // 2}
    if page.kind == "window":
        return v.SlidingWindowSpec(sliding_window=page.reach, **common)
    if page.kind == "chunk":
        return v.ChunkedLocalAttentionSpec(attention_chunk_size=page.reach, **common)
    return v.CrossAttentionSpec(**common) if page.kind == "cross" else v.FullAttentionSpec(**common)


def settings(context: int, batched: int, encoder: int) -> Any:
    """What the planner asks of a configuration."""
    from vllm.v1.kv_cache_interface import KVCacheLayout

    return SimpleNamespace(
        scheduler_config=SimpleNamespace(disable_hybrid_kv_cache_manager=False, max_num_encoder_input_tokens=encoder),
        model_config=SimpleNamespace(max_model_len=context, supports_kv_cache_grouping=False),
        cache_config=SimpleNamespace(
            mamba_cache_mode="none",
            num_gpu_blocks_override=None,
            prefix_cache_retention_interval=None,
            get_resolved_kv_cache_layout=lambda: KVCacheLayout.LBNHC,
        ),
        parallel_config=SimpleNamespace(decode_context_parallel_size=1),
        attention_config=SimpleNamespace(hisparse_config=None),
        max_in_flight_tokens=2 * batched,
    )


def ask(name: str, tp: int, kv_bits: int, context: int, batched: int) -> dict[str, Any]:
    model, pages = layers_of(name, tp, kv_bits)
    question = {"model": name, "tp": tp, "kv_bits": kv_bits}
    return question | planned(pages, context, batched, model.encoder_positions or 0)


def mixture(name: str) -> list[tuple[Any, int]]:
    """Pages that are given, and how many there are of each."""
    from hfmem.memory.engines.pages import Page

    return [
        (Page(kind=kind, block_size=block, token_bytes=token, state_bytes=state, reach=reach), count)
        for (kind, block, token, state, reach), count in MIXTURES[name]
    ]


def ask_mixture(name: str) -> dict[str, Any]:
    """The answer for pages that are given."""
    pages = [page for page, count in mixture(name) for _ in range(count)]
    return {"mixture": name} | planned(pages, 32768, 8192, 0)


def planned(pages: list[Any], context: int, batched: int, encoder: int) -> dict[str, Any]:
    from vllm.v1.core import kv_cache_planning as planning
    from vllm.v1.core.kv_cache_utils import get_kv_cache_capacity

    config = settings(context, batched, encoder)
    groups = planning.get_kv_cache_groups(config, {f"layer.{i}": spec_of(page) for i, page in enumerate(pages)})
    found = planning.get_kv_cache_config_from_groups(config, groups, POOL)
    tokens, concurrency = get_kv_cache_capacity(config, found)
    per_block = planning._get_kv_cache_bytes_per_block(groups, config.cache_config.get_resolved_kv_cache_layout())
    return {
        "context": context, "max_num_batched_tokens": batched, "bytes_per_block": per_block,
        "num_groups": len(groups), "num_blocks": found.num_blocks,
        "blocks_per_request": round(found.num_blocks / concurrency), "tokens": tokens,
        "max_concurrency": round(concurrency, 6),
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    sys.meta_path.append(StandIn())
    cases = [case for case in (*CASES, *MORE) if case in CASES or (SHARED / f"{case[0]}.json").is_file()]
    rows = [*(ask(*case) for case in cases), *(ask_mixture(name) for name in MIXTURES)]
    text = json.dumps({"vllm": VERSION, "pool_bytes": POOL, "plans": rows}, indent=1) + "\n"
    if arguments.write:
        GOLDEN.write_text(text)
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
