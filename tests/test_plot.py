"""Charts: sensible axes, exact crossings, pictures that are whole and harmless, and files that are written whole or not at all."""

import json
import math
import os
import resource
import stat
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import checkpoints
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import hfmem
from hfmem import api
from hfmem.cli import app
from hfmem.commands.saving import save
from hfmem.errors import ExitCode, HfmemError, UsageError
from hfmem.hardware import parse_target
from hfmem.hardware.axis import finer, powers
from hfmem.hardware.sweep import Sweep, sweep
from hfmem.memory.subject import Model
from hfmem.memory.training.workload import Training
from hfmem.memory.workload import Inference
from hfmem.report.braille import Plane
from hfmem.report.chart import Chart, Crossing, Limit, Series
from hfmem.report.chart_html import render_chart_html
from hfmem.report.chart_png import font_files, render_chart_png
from hfmem.report.chart_scale import counted, scale_of, step_of
from hfmem.report.chart_svg import render_chart_svg
from hfmem.report.chart_table import render_chart_markdown
from hfmem.report.chart_text import render_chart_text
from hfmem.report.escape import terminal
from hfmem.report.labels import Box, Label, around, free_box, spread_out
from hfmem.report.picture import render_picture
from hfmem.report.sweep_chart import chart_of
from hfmem.units import GIB, MIB

RUNNER = CliRunner()
LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
HOSTILE = "<script>alert(1)</script>&\"'\x1b[31m\u202e\ud800]]>"
PLAIN = Chart(title="t", x_label="tokens", series=(Series(name="a", points=((1024, GIB), (2048, 2 * GIB))),))


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.write(LLAMA, tmp_path_factory.mktemp("plot") / "llama")


@pytest.fixture(scope="module")
def model(directory: Path) -> Model:
    return api.load(directory)


def swept(model: Model, workload: Inference | Training, x: str, *on: str, points: tuple[int, ...] | None = None) -> Sweep:
    return sweep(api.estimator_of(model), api.asked_of(model, workload), [parse_target(each) for each in on], x=x, points=points)


def run(*arguments: str | Path) -> Any:
    return RUNNER.invoke(app, ["plot", *map(str, arguments)])


@pytest.mark.parametrize(
    ("number", "words"),
    [(1, "1"), (1000, "1,000"), (1024, "1k"), (40960, "40k"), (131072, "128k"), (2**20, "1M"), (1500, "1,500")],
)
def test_numbers_of_an_axis(number: int, words: str) -> None:
    assert counted(number) == words


@pytest.mark.parametrize(
    ("num_bytes", "step"),
    [(87 * GIB, 20 * GIB), (46 * GIB, 10 * GIB), (12 * GIB, 2 * GIB), (700 * MIB, 200 * MIB), (5000 * GIB, 1000 * GIB),
     (12_000 * GIB, 2000 * GIB), (3 * 1024, 1024), (1, 1024)],
)  # fmt: skip
def test_steps_of_memory_are_one_two_or_five(num_bytes: int, step: int) -> None:
    assert step_of(num_bytes) == step


@given(st.integers(1, 2**60))
def test_an_axis_has_a_handful_of_ticks_that_reach_the_line(num_bytes: int) -> None:
    scale = scale_of(replace(PLAIN, series=(Series(name="a", points=((1, num_bytes),)),)))
    assert scale.top >= num_bytes
    assert len(scale.ticks) <= 8
    assert scale.ticks[-1] == scale.top


@given(start=st.integers(0, 12), end=st.integers(1, 2**20))
def test_the_marks_are_powers_of_two_and_the_end(start: int, end: int) -> None:
    marks = powers(2 ** min(start, end.bit_length() - 1), end)
    assert marks[-1] == end and all(not number & (number - 1) for number in marks[:-1])
    assert set(marks) <= set(finer(marks)) and list(finer(marks)) == sorted(set(finer(marks)))


@pytest.mark.parametrize(
    ("name", "workload", "x", "marks"),
    [
        (LLAMA, Inference(), "context", tuple(2**power for power in range(10, 18))),
        (LLAMA, Inference(context=20000), "context", (1024, 2048, 4096, 8192, 16384, 20000)),
        ("openai-community/gpt2", Inference(), "context", (128, 256, 512, 1024)),  # it knows no more positions
        ("state-spaces/mamba-130m-hf", Inference(), "context", tuple(2**power for power in range(10, 18))),  # and it any
        (LLAMA, Inference(), "batch", (1, 2, 4, 8, 16, 32, 64, 128, 256)),
        (LLAMA, Training(batch=12), "batch", (1, 2, 4, 8, 12)),
        (LLAMA, Inference(engine="vllm"), "tp", (1, 2, 4, 8)),
        (LLAMA, Inference(engine="sglang", tp=4), "tp", (1, 2, 4)),
        ("Qwen/Qwen2.5-1.5B", Inference(engine="vllm"), "tp", (1, 2, 4)),  # 12 heads are not divided by 8
    ],
)
def test_an_axis_ends_where_the_model_or_the_user_says(
    name: str, workload: Inference | Training, x: str, marks: tuple[int, ...], tmp_path: Path
) -> None:
    assert swept(api.load(checkpoints.write(name, tmp_path)), workload, x).marks == marks


CROSSINGS: list[tuple[Inference | Training, str, str]] = [
    (Inference(), "context", "RTX 4090"),
    (Inference(), "context", "2xRTX 3060"),
    (Inference(engine="vllm"), "context", "RTX 4090"),
    (Inference(engine="sglang"), "context", "RTX 4090"),
    (Inference(), "batch", "H100"),
    (Inference(engine="vllm"), "batch", "2xL40S"),
    (Inference(engine="vllm", max_num_seqs=4), "batch", "H100"),
    (Training(method="lora"), "context", "H100"),
    (Training(method="qlora", checkpointing="full"), "batch", "H100"),
]


@pytest.mark.parametrize(("workload", "x", "device"), CROSSINGS)
def test_the_number_at_the_crossing_fits_and_the_next_does_not(
    model: Model, workload: Inference | Training, x: str, device: str
) -> None:
    found = swept(model, workload, x, device).reaches[0]

    def verdict(number: int) -> str:
        changes: dict[str, Any] = {x: number}
        if not number:  # none: nothing less can be asked
            return "fits"
        return api.fit(model, replace(workload, **changes), [device], instead=False).rows[0].fit.verdict

    assert verdict(found.last) in ("fits", "tight") and verdict(found.last + 1) == "no"
    assert verdict(found.sure) == "fits" and verdict(found.sure + 1) != "fits"


@pytest.mark.parametrize(("workload", "x", "device"), CROSSINGS)
def test_the_line_goes_through_the_crossing_under_the_limit(
    model: Model, workload: Inference | Training, x: str, device: str
) -> None:
    found = swept(model, workload, x, device).reaches[0]
    line = {point.x: point for point in found.points}
    assert line[found.last].num_bytes <= found.limit_bytes
    assert all(point.low_bytes <= point.num_bytes <= point.high_bytes for point in found.points)
    beyond = [point.num_bytes for number, point in line.items() if number > found.last]
    assert all(num_bytes > line[found.last].num_bytes for num_bytes in beyond)


def test_ranks_end_where_the_first_fits(model: Model) -> None:
    found = swept(model, Inference(engine="vllm", context=65536), "tp", "RTX 4090", "T4", "RTX 3050 8GB")
    assert [reach.last for reach in found.reaches] == [2, 4, 0]
    verdicts = [api.fit(model, Inference(engine="vllm", context=65536, tp=tp), ["T4"]).rows[0].fit.verdict for tp in (2, 4)]
    assert verdicts[0] == "no" and verdicts[1] in ("fits", "tight")
    assert "T4 (" in chart_of(found).sentences[1] and "fits from tp 4 on" in chart_of(found).sentences[1]


def test_points_may_be_named(model: Model) -> None:
    found = swept(model, Inference(), "context", points=(3000, 1000, 1000))
    assert found.marks == (1000, 3000)
    at = {point.x: point.num_bytes for point in found.points}
    assert at[3000] == api.estimate(model, Inference(context=3000)).total_bytes
    with pytest.raises(UsageError, match="no numbers of context"):
        swept(model, Inference(), "context", points=(0,))
    with pytest.raises(UsageError, match="no numbers of context"):
        swept(model, Inference(), "context", points=())


# workload, axis, devices → words of the sentences
SENTENCES: list[tuple[Inference | Training, str, tuple[str, ...], str]] = [
    (Inference(), "context", ("H100",), "H100 80GB (79.19 GiB usable): holds all 131,072 tokens of the model"),
    (Inference(), "context", ("T4",), "holds not even 1 token (T4 computes no bfloat16: load in float16)"),
    (Inference(engine="vllm"), "context", ("RTX 4090",), "GiB filled by vllm): the line crosses at 43,600 tokens, one more"),
    (Inference(engine="vllm", max_num_seqs=1), "batch", ("H100",), "the line crosses at 1 sequence, one more does not fit (room"),
    (Training(method="lora"), "context", ("RTX 4090",), "one more does not fit; surely fits none"),
    (Inference(engine="vllm"), "tp", ("RTX 3060",), "fits from tp 4 on, surely from tp 8 on"),
    (Inference(engine="vllm"), "tp", ("7GiB",), "fits from tp 8 on, surely at none"),
    (Inference(engine="vllm"), "tp", ("1GiB",), "fits at no tp to 8"),
]


@pytest.mark.parametrize(("workload", "x", "on", "words"), SENTENCES)
def test_sentences(model: Model, workload: Inference | Training, x: str, on: tuple[str, ...], words: str) -> None:
    assert words in "\n".join(chart_of(swept(model, workload, x, *on)).sentences)


def test_a_small_model_on_a_large_card_holds_every_batch(tmp_path: Path) -> None:
    small = api.load(checkpoints.write("EleutherAI/pythia-70m-deduped", tmp_path))
    assert "holds 65,536 sequences, the end of the axis" in " ".join(
        chart_of(swept(small, Inference(context=1), "batch", "16TiB")).sentences
    )


def test_devices_that_need_the_same_share_a_line(model: Model) -> None:
    one = chart_of(swept(model, Inference(), "context", "RTX 4090", "H100"))
    assert [line.name for line in one.series] == ["needed"] and one.y_label == "memory"
    two = chart_of(swept(model, Inference(), "context", "RTX 4090", "2xRTX 4090", "L40S"))
    assert [line.name for line in two.series] == ["RTX 4090, L40S", "2 × RTX 4090"]
    assert two.y_label == "memory of one device"


def test_a_chart_says_what_is_wrong_with_it() -> None:
    with pytest.raises(ValueError, match="a chart has a line"):
        replace(PLAIN, series=())
    with pytest.raises(ValueError, match="x does not rise"):
        Series(name="a", points=((2, 1), (1, 1)))
    with pytest.raises(ValueError, match="1 points below and 0 above"):
        Series(name="a", points=((1, 1),), low=((1, 1),))


def limits(*sizes: float) -> tuple[Limit, ...]:
    return tuple(Limit(name=f"card {size:g}", num_bytes=int(size * GIB)) for size in sizes)


@pytest.mark.parametrize(
    ("line", "cards", "top"),
    [
        ((10, 20), (), 25),  # the line and a tenth
        ((10, 20), (24,), 30),  # the card and a tenth
        ((10, 200), (24,), 50),  # a line far above the card leaves the chart
        ((60, 200), (24,), 100),  # but it begins on it
        ((1, 2), (80,), 3),  # a card far above the line is not drawn
    ],
)
def test_neither_line_nor_card_is_squeezed(line: tuple[int, int], cards: tuple[float, ...], top: float) -> None:
    series = Series(name="a", points=((1024, line[0] * GIB), (2048, line[1] * GIB)))
    assert scale_of(replace(PLAIN, series=(series,), limits=limits(*cards))).top == pytest.approx(top * GIB, rel=0.01)


def hostile() -> Chart:
    crossing = Crossing(x=1024, num_bytes=GIB, label=f"crosses {HOSTILE}")
    series = tuple(
        Series(
            name=HOSTILE,
            points=((1024, n * GIB), (2048, n * 2 * GIB)),
            low=((1024, 1), (2048, 2)),
            high=((1024, GIB), (2048, GIB)),
        )
        for n in (1, 2)
    )
    return Chart(
        title=HOSTILE, subtitle=HOSTILE, x_label=HOSTILE, y_label=HOSTILE, series=series, sentences=(HOSTILE,),
        limits=(Limit(name=HOSTILE, num_bytes=GIB, crossing=crossing), Limit(name=HOSTILE, num_bytes=999 * GIB)),
    )  # fmt: skip


def test_a_hostile_name_is_text_in_every_picture() -> None:
    pictures = (render_chart_svg(hostile()), render_chart_html(hostile()), render_picture(terminal(HOSTILE), "<b>&{x}"))
    for picture in pictures:
        assert not any(part in picture for part in ("<script", "<b>", "\x1b", "\u202e", "\ud800"))
        assert picture.encode()
    for picture in (pictures[0], pictures[2]):
        assert "<script>alert(1)</script>" in "".join(ElementTree.fromstring(picture).itertext()).replace("\xa0", " ")
    assert not {"\x1b", "\u202e"} & set(render_chart_text(hostile()) + render_chart_markdown(hostile()))
    assert "<script" not in render_chart_markdown(hostile()).replace("\\<script", "")


PICTURES = [
    (Inference(), "context", ("RTX 4090", "L40S", "H100")),
    (Inference(), "context", ("RTX 4090", "2xRTX 4090", "RTX 3090", "RTX 3090 Ti")),
    (Inference(engine="vllm"), "tp", ("RTX 4090",)),
    (Training(method="lora"), "context", ("H100", "RTX 4090")),
    (Inference(), "batch", ()),
]


@pytest.mark.parametrize(("workload", "x", "on"), PICTURES)
def test_a_picture_is_whole_and_alone(model: Model, workload: Inference | Training, x: str, on: tuple[str, ...]) -> None:
    chart = chart_of(swept(model, workload, x, *on))
    picture = render_chart_svg(chart)
    root = ElementTree.fromstring(picture)
    words = "".join(root.itertext())
    assert root.get("role") == "img" and root[0].tag.endswith("title") and root[1].tag.endswith("desc")
    assert all(f"{sentence}." in (root[1].text or "") for sentence in chart.sentences)
    assert all(limit.name in words for limit in chart.limits)
    assert all(limit.crossing.label in words for limit in chart.limits if limit.crossing)
    assert "prefers-color-scheme:dark" in picture
    assert not any(
        part in picture.replace("http://www.w3.org/2000/svg", "") for part in ("http", "url(", "<script", "@import", "nan")
    )


@pytest.mark.parametrize(("workload", "x", "on"), PICTURES)
@pytest.mark.parametrize("width", [20, 40, 80, 120, 200])
def test_a_terminal_of_any_width_holds_the_chart(
    model: Model, workload: Inference | Training, x: str, on: tuple[str, ...], width: int
) -> None:
    chart = chart_of(swept(model, workload, x, *on))
    text = render_chart_text(chart, width=width)
    title, *others = text.splitlines()
    assert title == chart.title
    assert max(map(len, others)) <= max(width, 34)  # the plot is never narrower
    assert chart.x_label in text and text == "\n".join(line.rstrip() for line in text.splitlines())
    if width >= 80:
        assert all(limit.name in text for limit in chart.limits)
    assert not any(limit.crossing for limit in chart.limits) or "●" in text


def test_a_chart_of_one_point_has_a_place() -> None:
    one = replace(PLAIN, series=(Series(name="a", points=((7, GIB),)),))
    assert "⠂" in render_chart_text(one) or any("⠁" <= letter <= "⣿" for letter in render_chart_text(one))
    ElementTree.fromstring(render_chart_svg(one))


def test_labels_are_moved_apart_and_stay_inside() -> None:
    placed = spread_out([Label(at=at, words="") for at in (95, 10, 12, 99)], low=0, high=100, gap=20)
    assert [label.at for label in placed] == [10, 12, 95, 99]
    assert [label.place for label in placed] == [10, 30, 80, 100]
    crowded = spread_out([Label(at=0, words="")] * 5, low=0, high=40, gap=20)
    assert [label.place for label in crowded] == [0, 20, 40, 60, 80]


def test_a_label_crosses_a_line_rather_than_another_label() -> None:
    whole = Box(left=0, top=0, right=300, bottom=100)
    first, second, third = (Box(left=left, top=0, right=left + 10, bottom=10) for left in (0, 20, 40))
    assert free_box((first, second, third), whole, taken=[first], crossed=[second]) == third
    assert free_box((first, second, third), whole, taken=[first], crossed=[second, third]) == second
    assert free_box((first, second), whole, taken=[first, second]) == first


@given(x=st.floats(0, 900), y=st.floats(0, 500), width=st.floats(1, 2000), rising=st.booleans())
def test_a_label_takes_a_place_inside_where_there_is_one(x: float, y: float, width: float, rising: bool) -> None:
    whole = Box(left=0, top=0, right=900, bottom=500)
    box = free_box(around(x, y, width, rising=rising), whole)
    assert whole.holds(box) or not any(whole.holds(other) for other in around(x, y, width, rising=rising))


def test_a_picture_of_a_report_is_the_same_twice_and_fetches_nothing(directory: Path) -> None:
    found = RUNNER.invoke(app, ["estimate", str(directory), "--format", "svg"])
    assert found.exit_code == 0
    assert found.stdout == RUNNER.invoke(app, ["estimate", str(directory), "--format", "svg"]).stdout
    root = ElementTree.fromstring(found.stdout)
    words = "".join(root.itertext()).replace("\xa0", " ")
    assert "COMPONENT" in words and "hfmem" in words
    assert not any(part in found.stdout for part in ("cdnjs", "@font-face", "https:", "textualize"))


@pytest.mark.parametrize(
    "arguments", [["fit", "DIR", "--on", "T4"], ["check", "DIR"], ["devices", "4090"], ["train", "DIR", "--explain"]]
)
def test_every_report_has_a_picture(directory: Path, arguments: list[str]) -> None:
    found = RUNNER.invoke(app, [*(str(directory) if part == "DIR" else part for part in arguments), "--format", "svg"])
    assert found.exit_code == 0, found.output
    assert ElementTree.fromstring(found.stdout).tag.endswith("svg")


def test_a_report_as_text_loads_neither_rich_nor_charts(directory: Path) -> None:
    code = f"import sys, hfmem.cli as c\ntry:\n    c.app(['estimate', {str(directory)!r}, '-q'])\nexcept SystemExit:\n    pass\n"
    program = code + "print('rich.console' in sys.modules, any(name.startswith('hfmem.report.chart') for name in sys.modules))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.split()[-2:] == ["False", "False"]


COMMANDS: list[tuple[list[str], ExitCode, str]] = [
    (["DIR", "--on", "RTX 4090"], ExitCode.OK, "RTX 4090 (23.65 GiB usable): the line crosses at 35,056 tokens"),
    (["DIR"], ExitCode.OK, "tokens of context"),
    (
        ["DIR", "--x", "batch", "--train", "--method", "lora", "--context", "1024", "--on", "H100"],
        ExitCode.OK,
        "sequences at once",
    ),
    (["DIR", "--on", "RTX 4090", "--on", "H100", "-q"], ExitCode.OK, "35056\n131072\n"),
    (["DIR", "--on", "RTX 4090", "--format", "markdown"], ExitCode.OK, "| 8,192 | 17.39 GiB (16.93 GiB – 17.97 GiB) |"),
    (["DIR", "--on", "RTX 4090", "--format", "svg"], ExitCode.OK, "crosses RTX 4090 at 35,056 tokens"),
    (["DIR", "-q"], ExitCode.USAGE, "none is named"),
    (["DIR", "--x", "layers"], ExitCode.USAGE, "one of: context, batch, tp"),
    (["DIR", "--x", "tp"], ExitCode.USAGE, "--engine vllm or sglang"),
    (["DIR", "--x", "tp", "--train"], ExitCode.USAGE, "training has no --tp"),
    (["DIR", "--x", "tp", "--engine", "vllm", "--on", "2xH100"], ExitCode.USAGE, '--on "H100 80GB"'),
    (["DIR", "--method", "lora"], ExitCode.USAGE, "is an option of training"),
    (["DIR", "--on", "RTX 4091"], ExitCode.USAGE, "did you mean"),
    (["DIR", "-o", "chart.gif"], ExitCode.USAGE, "-o chart.gif ends in none of .svg, .html, .png"),
    (["DIR", "-o", "chart"], ExitCode.USAGE, "hint: -o chart.svg"),
    (["DIR", "-o", "chart.svg", "--format", "json"], ExitCode.USAGE, "--format json is printed, -o is written"),
    (["DIR", "-o", "chart.svg", "-q", "--on", "T4"], ExitCode.USAGE, "--quiet is printed"),
    (["DIR", "-o", "no/such/chart.svg"], ExitCode.USAGE, "hint: mkdir -p no/such"),
    (["DIR", "--width", "3"], ExitCode.USAGE, "width"),
    (["./nothing-here"], ExitCode.NOT_FOUND, "nothing-here"),
]


@pytest.mark.parametrize(("arguments", "code", "said"), COMMANDS)
def test_commands(
    directory: Path, arguments: list[str], code: ExitCode, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = run(
        *(directory if part == "DIR" else part for part in arguments), *([] if "--width" in arguments else ["--width", "200"])
    )
    assert found.exit_code == code, found.output
    assert said in (found.stdout if code is ExitCode.OK else found.stderr)
    assert list(tmp_path.iterdir()) == []


def test_json_has_points_in_bytes_and_how_far_each_device_goes(directory: Path) -> None:
    found = json.loads(run(directory, "--on", "RTX 4090", "--format", "json").stdout)
    assert found["schema"] == "hfmem.plot/1" and found["x"] == "context" and found["complete"] is True
    assert found["marks"] == [2**power for power in range(10, 18)]
    device = found["devices"][0]
    assert device["max_context"] == 35056 and device["sure_max_context"] == 29076 and device["filled_by"] is None
    assert {"x", "bytes", "low_bytes", "high_bytes"} == set(device["points"][0]) and found["points"] == []
    ranks = json.loads(run(directory, "--x", "tp", "--engine", "vllm", "--on", "RTX 4090", "--format", "json").stdout)
    assert ranks["devices"][0]["min_tp"] == 1 and ranks["devices"][0]["filled_by"] == "vllm"


def test_an_unknown_part_is_said_and_is_exit_code_7(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "no-such-type"}')
    found = run(tmp_path, "--on", "H100", "--width", "200")
    assert found.exit_code == ExitCode.CANNOT_TELL
    assert "H100 80GB: cannot tell, a part is unknown\nweights is unknown: there are no weight files" in found.stdout
    assert run(tmp_path, "--on", "H100", "--partial").exit_code == 0
    assert run(tmp_path, "--on", "H100", "--partial", "-q").stdout == "unknown\n"
    device = json.loads(run(tmp_path, "--on", "H100", "--partial", "--format", "json").stdout)["devices"][0]
    assert device["max_context"] is None
    assert run(tmp_path, "-o", tmp_path / "chart.svg").exit_code == ExitCode.CANNOT_TELL
    assert "is unknown" in (tmp_path / "chart.svg").read_text()


@pytest.mark.parametrize("columns", ["40", "80", "132"])
def test_a_process_takes_the_width_of_its_terminal(directory: Path, columns: str) -> None:
    environment = {**os.environ, "COLUMNS": columns, "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-m", "hfmem", "plot", str(directory), "--on", "RTX 4090"]
    found = subprocess.run(command, capture_output=True, encoding="utf-8", env=environment, check=True)
    assert int(columns) // 2 < max(len(line) for line in found.stdout.splitlines()[1:]) <= int(columns)


@pytest.mark.parametrize(
    ("name", "start"), [("chart.svg", b"<svg "), ("chart.html", b"<!doctype html>"), ("CHART.SVG", b"<svg ")]
)
def test_a_file_is_written_as_its_name_ends(directory: Path, tmp_path: Path, name: str, start: bytes) -> None:
    found = run(directory, "--on", "RTX 4090", "-o", tmp_path / name)
    assert found.exit_code == 0 and found.stdout == ""
    assert (tmp_path / name).read_bytes().startswith(start)
    assert b"35,056 tokens" in (tmp_path / name).read_bytes()


def test_a_png_without_its_extra_says_what_to_install(directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    found = run(directory, "-o", tmp_path / "chart.png")
    assert found.exit_code == ExitCode.USAGE
    assert "hint: pip install 'hfmem-cli[plot]'" in found.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_png_is_twice_as_dense_as_the_drawing() -> None:
    pytest.importorskip("resvg_py", reason="the plot extra is not installed")
    data = render_chart_png(PLAIN)
    assert data.startswith(b"\x89PNG\r\n\x1a\n") and struct.unpack(">II", data[16:24]) == (1920, 1080)


def test_words_of_a_png_have_a_font_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("font_roboto", reason="the plot extra is not installed")
    assert [Path(file).name for file in font_files()] == ["Roboto-Regular.ttf", "Roboto-Medium.ttf", "Roboto-Bold.ttf"]
    monkeypatch.setattr("hfmem.report.chart_png.FONT", "no_such_font")
    assert font_files() == []


def test_a_saved_file_has_every_piece_and_the_mode_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        save(tmp_path / "a.txt", ["é", b"\x00", "\ud800"])
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").read_bytes() == b"\xc3\xa9\x00\\ud800"
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


def test_a_replaced_file_keeps_its_mode_and_a_link_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    (tmp_path / "a.txt").chmod(0o600)
    (tmp_path / "link.txt").symlink_to("a.txt")
    save(tmp_path / "link.txt", ["new"])
    assert (tmp_path / "link.txt").is_symlink() and (tmp_path / "a.txt").read_text() == "new"
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o600


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), OSError("of whoever makes the pieces"), ValueError("no piece")])
def test_whatever_happens_the_file_stays_as_it_was(tmp_path: Path, failure: BaseException) -> None:
    (tmp_path / "a.txt").write_text("old")

    def pieces() -> Iterator[str]:
        yield "new"
        assert any(path.read_text() == "new" for path in tmp_path.glob("*.part"))  # written as it came
        raise failure

    with pytest.raises(type(failure)) as caught:
        save(tmp_path / "a.txt", pieces())
    assert caught.value is failure
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"] and (tmp_path / "a.txt").read_text() == "old"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (".", "is a directory"),
        ("no/file.svg", "is no directory"),
        ("a.txt/file.svg", "is no directory"),
        ("x" * 300, "File name too long"),
        ("fifo", "is no regular file"),
        pytest.param("/proc/file.svg", "cannot be written", marks=pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc")),
        pytest.param("locked.txt", "read-only", marks=pytest.mark.skipif(os.geteuid() == 0, reason="root may write anything")),
    ],
)  # fmt: skip
def test_where_no_file_can_be_is_refused_before_any_work(tmp_path: Path, path: str, message: str) -> None:
    (tmp_path / "a.txt").write_text("old")
    (tmp_path / "locked.txt").write_text("old")
    (tmp_path / "locked.txt").chmod(0o444)
    os.mkfifo(tmp_path / "fifo")
    asked = []
    with pytest.raises(UsageError, match=message):
        save(tmp_path / path, (asked.append(piece) or "" for piece in "ab"))  # type: ignore[func-returns-value]
    assert asked == []


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(HfmemError, match=r"a\.txt cannot be written: File too large") as caught:
            save(tmp_path / "a.txt", ["x" * 3000] * 3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.exit_code == ExitCode.UNEXPECTED
    assert list(tmp_path.iterdir()) == []


def test_a_logarithm_has_equal_steps_for_powers_of_two() -> None:
    scale = scale_of(replace(PLAIN, series=(Series(name="a", points=tuple((2**power, 1) for power in range(10, 18))),)))
    places = [scale.across(2**power) for power in range(10, 18)]
    assert places == pytest.approx([step / 7 for step in range(8)])
    assert math.isclose(scale.across(1024), 0) and math.isclose(scale.across(2**17), 1)


def test_where_an_engine_refuses_is_where_a_line_ends(model: Model) -> None:
    real = api.estimator_of(model)

    def refusing(workload: Any, card: Any) -> Any:
        if (workload.context or 0) > 5000:
            raise UsageError("no more than 5,000 tokens", code="bad-workload")
        return real(workload, card)

    found = sweep(refusing, Inference(), [parse_target("H100")], x="context", points=(1000, 4000))
    assert found.reaches[0].last == 5000
    assert "the line crosses at 5,000 tokens, one more does not fit (no more than 5,000 tokens)" in chart_of(found).sentences[0]
    assert chart_of(found).limits[0].crossing is None  # beyond the axis


def test_ranks_a_model_does_not_take_are_refused_where_they_are_named(model: Model) -> None:
    with pytest.raises(UsageError, match="--tp 3 does not divide"):
        swept(model, Inference(engine="vllm"), "tp", "T4", points=(1, 3))


def test_lines_of_different_length_leave_cells_empty() -> None:
    longer = Series(name="b", points=((1024, GIB), (2048, GIB), (4096, GIB)))
    assert "| 4,096 |  | 1.00 GiB |" in render_chart_markdown(replace(PLAIN, series=(*PLAIN.series, longer)))


def test_numbers_that_would_touch_are_left_out() -> None:
    crowded = replace(PLAIN, series=(Series(name="a", points=tuple((number, GIB) for number in range(1024, 1124))),))
    words = [each.text for each in ElementTree.fromstring(render_chart_svg(crowded)).iter()]
    names = [word for word in words if word in ("1,122", "1,123")]
    assert names == ["1,123"]
    assert "1,123" in render_chart_text(crowded)


def test_nothing_is_drawn_outside_the_plane() -> None:
    plane = Plane(2, 1)
    plane.dot(4, 0)
    plane.dot(0, -1)
    plane.stroke(1, 99, 2)
    plane.write(1, 0, "ab")
    plane.write(0, 1, "c")
    assert plane.rows() == ["⢠a"]
    plane.under(0, "╌")
    assert plane.rows() == ["⢠a"] and not plane.is_free(1, 0, 2) and not plane.is_free(0, 0, 1)


def test_a_model_of_images_has_no_context_to_grow(tmp_path: Path) -> None:
    directory = checkpoints.write("google/vit-base-patch16-224-in21k", tmp_path / "vit")
    found = RUNNER.invoke(app, ["plot", str(directory), "--on", "T4"])
    assert (found.exit_code, "hint: --x batch" in found.output) == (2, True)
    assert RUNNER.invoke(app, ["plot", str(directory), "--on", "T4", "--x", "batch"]).exit_code == 0


def test_every_tick_of_memory_is_what_it_says() -> None:
    for mebibytes in range(100, 40_000, 37):
        line = Series(name="x", points=((1, mebibytes * 2**20), (2, mebibytes * 2**20)))
        scale = scale_of(Chart(title="", x_label="", series=(line,)))
        unit = scale.unit[0]
        assert [int(scale.size(tick).replace(",", "")) * unit for tick in scale.ticks] == list(scale.ticks)


@pytest.mark.parametrize("points", [["a"], [1.5], [True], [0], []])
def test_points_are_whole_numbers(points: Any, directory: Path) -> None:
    with pytest.raises(UsageError, match="are no numbers of context"):
        hfmem.curve(directory, points=points)


def test_the_library_says_what_is_wrong_with_a_call(directory: Path) -> None:
    with pytest.raises(UsageError, match="on is one device"):
        hfmem.estimate(directory, on="T4")
    with pytest.raises(UsageError, match="the workload is a str"):
        hfmem.estimate(directory, "x")  # type: ignore[arg-type]
    assert {"estimate", "check", "Inference"} <= set(dir(hfmem))


def test_names_of_many_devices_stay_in_the_picture() -> None:
    limits = tuple(Limit(name=f"card {n}", num_bytes=(10 + n) * 2**30) for n in range(15))
    line = Series(name="x", points=((1, 2**30), (2, 30 * 2**30)))
    root = ElementTree.fromstring(render_chart_svg(Chart(title="", x_label="", series=(line,), limits=limits)))
    height = float(root.attrib["height"])
    places = [float(each.attrib["y"]) for each in root.iter() if each.tag.endswith("text") and "y" in each.attrib]
    assert len(places) > 30
    assert max(places) < height
