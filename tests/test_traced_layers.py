"""What real layers save for their backward pass, traced, against the formulas and the table made from such traces."""

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

pytest.importorskip("torch", reason="tracing real layers needs the verify extra: pip install 'hfmem-cli[verify]'")
pytest.importorskip("transformers", reason="tracing real layers needs the verify extra: pip install 'hfmem-cli[verify]'")

from generate_activations import allowed, rows_of, small  # noqa: E402 - found by the path above
from trace_layers import bytes_a_token  # noqa: E402

from hfmem.memory.training.extras import extra_bytes  # noqa: E402
from hfmem.model.read import read_model  # noqa: E402

CONFIGS: dict[str, Any] = {
    row["type"]: row["full"]
    for row in json.loads(gzip.decompress((ROOT / "fixtures" / "caches.json.gz").read_bytes()))
    if row["variant"] == "default"
}
TYPES = ("llama", "mixtral", "gemma3_text", "glm4", "starcoder2", "deepseek_v3", "qwen3_moe", "olmo2", "qwen3", "ernie")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("trains", [True, False], ids=["trained", "frozen"])
@pytest.mark.parametrize("name", TYPES)
def test_real_layers_save_what_the_formula_and_the_table_say(name: str, trains: bool) -> None:
    config = small(CONFIGS[name])
    spec = read_model(config)
    slopes = bytes_a_token(config, spec.num_layers or 0, trains)
    assert spec.decoder is not None
    for layer, (_, (_, rest, total)) in zip(spec.decoder.layers[-len(slopes) :], rows_of(spec, slopes, trains), strict=True):
        extra = extra_bytes(spec, layer, spec.hidden_size or 0, trains)
        assert extra is not None
        assert abs(extra - rest) <= allowed(total)
