"""What the text of an HTML report says; what a browser makes of it is in test_batch_html_page."""

import re
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from html_rows import ROWS, device, html, ok, part

from hfmem import Inference, Training, api
from hfmem.memory.outcome import Outcome
from hfmem.report.batch_html import MOST_FIXED_DEVICES, render_batch_html
from hfmem.report.batch_rows import Row, row_of
from hfmem.report.html_summary import MOST_PRINTED
from hfmem.units import GIB

FIXTURES = Path(__file__).parent.parent / "fixtures"


def test_the_rows_are_read_twice_and_an_iterator_is_refused() -> None:
    with pytest.raises(ValueError, match="read twice"):
        render_batch_html(iter(ROWS), title="Models")


def test_the_report_is_written_as_its_rows_are_read() -> None:
    """Two passes, and no row is held until the end."""
    read: list[int] = []

    class Counted(list[Row]):
        def __iter__(self) -> Iterator[Row]:
            for number, row in enumerate(super().__iter__()):
                read.append(number)
                yield row

    at = [
        len(read) for piece in render_batch_html(Counted(ROWS), title="Models") if "<tbody class=" in piece and "data-s" in piece
    ]
    assert at == [len(ROWS) + number + 1 for number in range(len(ROWS))]


def test_nothing_but_this_style_and_this_script_may_run() -> None:
    text = html(ROWS)
    policy = re.search(r'Content-Security-Policy content="([^"]*)"', text)
    assert policy and policy[1].startswith("default-src 'none'; ") and "unsafe" not in policy[1]
    for tag in ("style", "script"):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert f"{tag}-src 'sha256-{b64encode(sha256(inside.encode()).digest()).decode()}'" in policy[1]
    assert re.findall(r"https?://[^\"']*", text) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"\b(src|href|style|on\w+)=(?!\"#)", re.sub(r"<(script|style)>.*?</\1>", "", text, flags=re.DOTALL))


def test_the_text_says_everything_without_a_script() -> None:
    text = html(ROWS, title="Third <quarter>")
    assert "<h1>Third &lt;quarter&gt;</h1>" in text
    assert "inference with transformers · batch 1 · context 8,192" in text
    assert "<b>✓ fits</b> 9%<small>to 8,192 tokens</small>" in text
    assert "<b>≈ tight</b> 100%<small>to 4,096 tokens</small>" in text
    assert "<b>✗ no</b> 613%<small>at no context</small>" in text
    assert "<b>? unknown</b>" in text and "<b>5.50 GiB</b><small>+ unknown part</small><small>4.5 – 6.5 GiB</small>" in text
    assert 'aria-label="weights 22.00 GiB, cache 256.00 MiB, activations 256.00 MiB, runtime and the rest 512.00 MiB"' in text
    assert "<code>gated</code> org/gated is gated <span class=h>hint: request access</span>" in text
    assert "<p><b>Note</b> the cache is not known <span class=h>hint: give --context</span>" in text
    assert "<th scope=row>kv cache<td>256.00 MiB<td>256.0 – 512.0 MiB<td>derived<td>kv_cache × 1 · of 2 layers" in text
    assert "<b>2 × A100 80GB</b> needs 11.50 GiB of 80.00 GiB usable" in text and "<dt>Commit<dd>cccc" in text
    assert "1 of them with an unknown part" in text and "1 gated · 1 broken" in text


SHAPES = [
    ("no rows", [], "<dt>Models<dd>0"),
    ("failures alone", [ROWS[4]], "<dt>Not estimated<dd>1<dd class=sub>1 gated"),
    ("no failure", [ROWS[0]], "<dt>Not estimated<dd>0<dd class=sub>none"),
    ("no devices", [ok("org/a", 1, devices=[])], "<details><summary>LlamaForCausalLM · bfloat16"),
    ("other contexts", [ok("org/a", 1), ok("org/b", 1, context=2048)], "context 2,048 to 8,192"),
    ("a device that one row lacks", [ok("org/a", 1), ok("org/b", 1, devices=[])], "<td class=v>not judged"),
    ("an unknown architecture", [ok("org/a", 1, architecture=None, model_type=None)], "<summary>unknown architecture"),
    (
        "training",
        [ok("org/a", 1, mode="training", engine=None, method="lora", items=[part("optimizer", GIB)])],
        "training 1.00 GiB",
    ),
    ("an unheard-of item", [ok("org/a", 1, items=[part("side_channel", GIB)])], "<th scope=row>side channel"),
    ("nothing to weigh", [ok("org/a", 1, items=[part("weights", 0)])], 'aria-label=""'),
]


@pytest.mark.parametrize(("rows", "expected"), [case[1:] for case in SHAPES], ids=[case[0] for case in SHAPES])
def test_lists_of_every_shape(rows: list[Row], expected: str) -> None:
    text = html(rows)
    assert expected in text
    assert ("id=chart" in text) == any(row["curve"] for row in rows)


def test_a_device_says_what_holds_it_back() -> None:
    pool = {"kv_cache_bytes": GIB, "kv_cache_tokens": 8192}
    said = device(("RTX 4090", 1), 30 * GIB) | {"reason": "heads do not divide", "capacity": pool, "memory_source": "spec"}
    text = html([ok("org/a", 1, devices=[said])])
    assert "7.00 GiB too little · heads do not divide · pool of 1.00 GiB, 8,192 tokens · size from the box" in text


def test_many_devices_scroll_in_a_box_of_their_own() -> None:
    several = [device(("RTX 4090", 1), GIB) | {"name": f"device {number}"} for number in range(MOST_FIXED_DEVICES + 1)]
    assert 'class="scroll wide"' in html([ok("org/a", 1, devices=several)])
    assert 'class="scroll"' in html([ok("org/a", 1, devices=several[1:])])


def test_a_long_list_is_printed_without_details_unless_asked() -> None:
    assert "id=paper checked" in html(ROWS[:1] * MOST_PRINTED)
    assert "id=paper>" in html(ROWS[:1] * (MOST_PRINTED + 1))


def test_a_row_takes_less_than_three_kilobytes() -> None:
    rows = [ok(f"organisation/model-of-a-usual-name-{number}", 2) for number in range(100)]
    assert (len(html(rows).encode()) - len(html([]).encode())) / 100 < 3000


def test_real_estimates_are_shown() -> None:
    folder = FIXTURES / "Qwen--Qwen3-0.6B"
    served = api.estimate(folder, Inference(context=2048, engine="vllm"), on=["RTX 4090", "2xA100 80GB"])
    trained = api.estimate(folder, Training(context=512))
    text = html([row_of(Outcome(index=0, reference="model", estimate=each, curve=((1024, GIB),))) for each in (served, trained)])
    assert (
        "inference with vllm · full training · batch 1 · context 512 to 2,048" in text
        and "2 × A100 80GB" in text
        and "pool of" in text
        and "<rect class=t" in text
    )
