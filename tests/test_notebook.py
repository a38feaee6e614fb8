"""What a notebook shows of an estimate: every part of the report, whole HTML, and nothing a checkpoint could slip in."""

import json
from html.parser import HTMLParser
from pathlib import Path

import checkpoints
import pytest

from hfmem import api
from hfmem.memory.estimate import Estimate
from hfmem.memory.subject import Model
from hfmem.memory.training.workload import Training
from hfmem.memory.workload import Inference
from hfmem.report.html_estimate import render_estimate_html
from hfmem.report.text import LABELS
from hfmem.units import memory


class Tree(HTMLParser):
    """The tags of a fragment; every one that opens has to close, the last one first."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.names: set[str] = set()
        self.words = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.tags.append(tag)
        self.names |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return api.load(checkpoints.write("meta-llama/Llama-3.1-8B-Instruct", tmp_path_factory.mktemp("notebook")))


@pytest.fixture(scope="module")
def serving(model: Model) -> Estimate:
    return api.estimate(model, Inference(context=32768), on=["RTX 4090", "T4"])


def test_every_item_is_there_with_size_share_range_and_basis(serving: Estimate) -> None:
    tree = Tree(render_estimate_html(serving))
    for item in serving.peak.items:
        assert LABELS[item.name] in tree.words and memory(item.num_bytes or 0) in tree.words and item.basis in tree.words
        assert item.note in tree.words
    assert "64.7%" in tree.words and "2.7 – 4.9 GiB" in tree.words
    assert f"total{memory(serving.total_bytes)}" in tree.words
    assert "inference with transformers · batch 1 · context 32,768" in tree.words


def test_the_bar_has_a_stretch_for_every_item_and_names_the_wide_ones(serving: Estimate) -> None:
    text = render_estimate_html(serving)
    assert text.count("<rect") == len(serving.peak.items)
    assert ">kv cache</text>" in text and ">logits</text>" not in text
    assert "<title>logits: 751.50 KiB</title>" in text


def test_verdicts_have_a_sign_and_a_word(serving: Estimate) -> None:
    words = Tree(render_estimate_html(serving)).words
    assert "≈ tight 98%" in words and "✗ no −8.38 GiB" in words and "35,056" in words


def test_a_training_step_has_its_phases(model: Model) -> None:
    estimate = api.estimate(model, Training(method="lora"))
    words = Tree(render_estimate_html(estimate)).words
    assert f"{estimate.peak.name} {memory(estimate.peak.total_bytes)} (peak)" in words
    assert all(phase.name in words for phase in estimate.phases)
    assert "longest context" not in words


def test_styles_stay_at_their_elements_and_nothing_is_fetched(serving: Estimate) -> None:
    text = render_estimate_html(serving)
    tree = Tree(text)
    assert not {"script", "style", "link", "img", "iframe"} & set(tree.tags)
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "") and "url(" not in text
    assert not any(name.startswith("on") for name in tree.names)


def test_a_hostile_checkpoint_is_text(tmp_path: Path) -> None:
    hostile = "<img src=x onerror=alert(1)>\"'&\x1b[31m\u202e"
    config = {"model_type": hostile, "architectures": [hostile], "num_hidden_layers": 2}
    (tmp_path / "config.json").write_text(json.dumps(config))
    text = render_estimate_html(api.estimate(tmp_path))
    tree = Tree(text)
    assert "img" not in tree.tags and "onerror" not in tree.names
    assert "<img src=x onerror=alert(1)>" in tree.words
    assert not {"\x1b", "\u202e"} & set(text)


def test_an_unknown_part_is_named_and_notes_are_shut_away(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "no-such-type"}')
    estimate = api.estimate(tmp_path)
    tree = Tree(render_estimate_html(estimate))
    assert "a part is unknown, this is what is known" in tree.words and "there are no weight files" in tree.words
    assert tree.tags.count("details") == (2 if estimate.notes else 1)
    assert all(note.message in tree.words for note in estimate.notes)
