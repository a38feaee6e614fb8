"""The HTML report of a list in real Chromium: sorting, filtering, the chart, keyboard, contrast, paper, hostile text."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import CONTRAST, STRUCTURE, UNNAMED, emulate, open_browser, requests, resize
from html_rows import BY_TOTAL, HOSTILE, ROWS, UNKNOWN, device, html, ok, part

from hfmem.report.batch_rows import Row
from hfmem.report.escape import terminal
from hfmem.report.html_row import FIRST_SHOWN
from hfmem.units import GIB

ENTER, SPACE, TAB = "\ue007", " ", "\ue004"


class Page:
    """The report in a browser."""

    def __init__(self, driver: Any, path: Path) -> None:
        self.driver, self.path = driver, path

    def show(self, rows: list[Row] = ROWS, title: str = "Models") -> None:
        self.path.write_text(html(rows, title), encoding="utf-8")
        self.driver.get(self.path.as_uri())

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def find(self, query: str) -> Any:
        return self.driver.find_element("css selector", query)

    def models(self) -> list[str]:
        """The names on show, from the top."""
        return [str(name) for name in self.run(
            "return [...document.querySelectorAll('tbody.m')].filter((m) => m.checkVisibility()).map((m) => m.querySelector('th .r').textContent)"
        )]  # fmt: skip

    def sort(self, column: int) -> str:
        self.driver.find_elements("css selector", "#models thead button")[column].click()
        return str(self.run("return document.querySelectorAll('#models thead [aria-sort]')[arguments[0]].ariaSort", column))

    def choose(self, name: str, value: str) -> None:
        setting = (
            "const it = document.getElementById(arguments[0]); it.value = arguments[1]; it.dispatchEvent(new Event('input'))"
        )
        self.run(setting, name, value)

    def lines(self) -> list[str]:
        return [str(line) for line in self.run("return [...document.querySelectorAll('#lines .r')].map((it) => it.textContent)")]


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with open_browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def page(driver: Any, tmp_path: Path) -> Iterator[Page]:
    resize(driver, 1440, 1000)
    emulate(driver)
    shown = Page(driver, tmp_path / "report.html")
    shown.show()
    yield shown
    assert [entry["message"] for entry in driver.get_log("browser")] == []


def test_every_row_is_on_the_page_and_nothing_else_is_asked_for(page: Page) -> None:
    requests(page.driver)
    page.show()
    assert page.models() == [row["reference"] for row in ROWS]
    assert page.find("#count").text == "15 models"
    assert requests(page.driver) == [page.path.as_uri()]


def test_sorting_by_memory_leaves_the_unknown_last_both_ways(page: Page) -> None:
    assert page.sort(4) == "ascending"
    assert page.models() == BY_TOTAL + UNKNOWN
    assert page.sort(4) == "descending"
    assert page.models() == BY_TOTAL[::-1] + UNKNOWN
    assert page.sort(4) == "none"
    assert page.models() == [row["reference"] for row in ROWS]


def test_sorting_by_name_counts_numbers_as_numbers(page: Page) -> None:
    by_name = [
        *(f"many/model-{number}" for number in range(8)),
        "org/broken",
        "org/gated",
        "org/large",
        "org/medium",
        "org/partial",
    ]
    by_name += ["org/Small-2", "org/small-10"]
    assert page.sort(0) == "ascending"
    assert page.models() == by_name
    assert page.sort(0) == "descending"
    assert page.models() == by_name[::-1]


def test_sorting_by_status_and_by_a_device(page: Page) -> None:
    page.sort(1)
    assert page.models()[:3] == ["org/broken", "org/gated", "org/medium"]
    page.sort(5)
    assert page.models()[-3:] == ["org/gated", "org/partial", "org/broken"]  # a device's need is unknown for these


FILTERS = [
    ("words of a name", {"find": "MODEL many 3"}, ["many/model-3"]),
    ("an architecture", {"find": "mamba"}, ["org/small-10"]),
    ("a packing", {"find": "gptq"}, ["org/partial"]),
    ("a status by its word", {"find": "broken"}, ["org/broken"]),
    ("a failure's message", {"find": "is gated"}, ["org/gated"]),
    ("a status", {"status": "partial"}, ["org/partial"]),
    ("what fits a device", {"fits": "0f", "find": "org"}, ["org/Small-2", "org/small-10"]),
    ("what is tight on a device", {"fits": "0t"}, ["org/medium"]),
    ("what does not fit a device", {"fits": "1n"}, ["org/large"]),
    ("nothing", {"find": "<b>"}, []),
]  # fmt: skip


@pytest.mark.parametrize(("chosen", "expected"), [case[1:] for case in FILTERS], ids=[case[0] for case in FILTERS])
def test_filtering(page: Page, chosen: dict[str, str], expected: list[str]) -> None:
    for name, value in chosen.items():
        page.choose(name, value)
    assert page.models() == expected
    assert page.find("#count").text == f"{len(expected)} of 15 models"
    assert page.find("#none").is_displayed() == (not expected)
    page.find("#clear").click()
    assert len(page.models()) == len(ROWS)


def test_details_open_and_the_chart_is_chosen_from_the_keyboard(page: Page) -> None:
    details = page.find("tbody.m details")
    page.find("tbody.m summary").send_keys(ENTER)
    assert details.get_attribute("open") and page.find("tbody.m .i").is_displayed()
    page.find("tbody.m summary").send_keys(ENTER)
    assert not details.get_attribute("open")
    page.find("#open").click()
    assert page.run("return document.querySelectorAll('tbody.m details[open]').length") == 13
    page.find("tbody.m .p").send_keys(SPACE)
    assert page.lines() == ["org/medium"]


def test_the_chart_follows_the_table_until_models_are_chosen(page: Page) -> None:
    drawn = "return document.querySelectorAll('#plot g .line').length"
    first = ["org/medium", "org/Small-2", "org/small-10", "org/large", *(f"many/model-{number}" for number in range(4))]
    assert page.lines() == first and page.run(drawn) == 8
    page.choose("find", "small")
    assert page.lines() == ["org/Small-2", "org/small-10"] and page.run(drawn) == 2
    page.find("tbody.m:not([hidden]) .p").click()
    page.choose("find", "")
    assert page.lines() == ["org/Small-2"] and "1 chosen model" in page.find("#picked").text
    assert [limit.text for limit in page.driver.find_elements("css selector", "#plot .limits")] == ["RTX 4090 · 23.00 GiB"]
    assert "H100 80GB with 79.00 GiB" in page.find("#beyond").text
    page.find("#unpick").click()
    assert page.lines() == first
    page.find("#chart summary").click()
    assert "1,024 tokens 4,096 tokens 16,384 tokens" in page.find("#numbers").text and "146.00 GiB" in page.find("#numbers").text


def test_a_line_stands_out_while_its_row_is_pointed_at(page: Page) -> None:
    faint = "return document.querySelectorAll('#plot .faint').length"
    page.run("document.querySelector('tbody.m td').dispatchEvent(new MouseEvent('mouseover', { bubbles: true }))")
    assert page.run(faint) == 7
    page.run("document.getElementById('models').dispatchEvent(new MouseEvent('mouseleave'))")
    assert page.run(faint) == 0


def test_eight_models_are_the_most_a_chart_takes(page: Page) -> None:
    for box in page.driver.find_elements("css selector", "tbody.m .p")[:8]:
        box.click()
    assert page.run("return document.querySelectorAll('tbody.m .p:disabled').length") == 4


def test_the_memory_axis_can_be_either(page: Page) -> None:
    page.find("#log").click()
    assert page.find("#plot [text-anchor=end]").text == "0 KiB"
    page.find("#log").click()
    assert page.find("#plot [text-anchor=end]").text == "2 GiB"


def test_a_long_table_begins_with_its_first_rows_and_a_button_for_the_rest(page: Page) -> None:
    page.show([ok(f"org/model-{number}", 1 + number / 100) for number in range(FIRST_SHOWN + 50)])
    assert len(page.models()) == FIRST_SHOWN and page.find("#count").text == "250 models, the first 200 shown"
    page.choose("find", "model-249")
    assert page.models() == ["org/model-249"]
    page.choose("find", "")
    assert [page.sort(4), page.sort(4)] == ["ascending", "descending"]
    assert page.models()[0] == "org/model-249"
    page.find("#all").click()
    assert len(page.models()) == FIRST_SHOWN + 50 and not page.find("#rest").is_displayed()


def test_a_page_without_a_script_is_read_and_not_controlled(page: Page) -> None:
    page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.show([*ROWS, *ROWS[:1] * FIRST_SHOWN])
        rows = page.driver.find_elements("css selector", "tbody.m")
        assert len(rows) == len(ROWS) + FIRST_SHOWN and rows[-1].is_displayed()
        assert not any(page.find(query).is_displayed() for query in ("#controls", "#chart", "#rest"))
        assert not page.driver.find_elements("css selector", "thead button, tbody.m input")
    finally:
        page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_structure_and_names_are_what_a_screen_reader_needs(page: Page) -> None:
    assert page.run(STRUCTURE) == [] and page.run(UNNAMED) == []
    live = page.run("return [...document.querySelectorAll('[aria-live]')].map((it) => it.id)")
    assert live == ["picked", "count"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(page: Page, scheme: str) -> None:
    emulate(page.driver, scheme=scheme)
    page.find("tbody.m .p").click()
    page.find("#open").click()
    page.find("#chart summary").click()
    count, complaints = page.run(CONTRAST)
    assert complaints == [] and count > 500
    dark = page.run("return getComputedStyle(document.body).backgroundColor") == "rgb(18, 22, 26)"
    assert dark == (scheme == "dark")


def test_what_has_the_focus_is_seen(page: Page) -> None:
    """From the skip link through the controls into the table."""
    seen = []
    for _ in range(24):
        page.driver.switch_to.active_element.send_keys(TAB)
        name, style, width = page.run(
            "const it = document.activeElement, style = getComputedStyle(it);"
            "return [it.id || it.tagName, style.outlineStyle, parseFloat(style.outlineWidth)]"
        )
        seen.append(name)
        assert style != "none" and width >= 2, name
    assert seen[0] == "A" and {"find", "status", "fits", "clear", "open", "paper", "log", "scale", "INPUT", "SUMMARY"} <= set(
        seen
    )


@pytest.mark.parametrize("width", [360, 800, 1280, 1920])
def test_the_page_is_never_wider_than_the_window(page: Page, width: int) -> None:
    resize(page.driver, width, 900)
    page.show()
    page.find("#open").click()
    assert page.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0


def test_bars_are_shares_until_one_scale_is_asked_for(page: Page) -> None:
    widths = "return [...document.querySelectorAll('tbody.m .b')].map((bar) => Math.round(bar.getBoundingClientRect().width))"
    shares = page.run(widths)
    page.find("#scale").click()
    scaled = page.run(widths)
    assert len(set(shares)) == 1 and scaled[3] == shares[3] == max(scaled) and scaled[0] < scaled[3] / 5


def test_paper_has_no_controls_no_dark_and_details_where_asked(page: Page) -> None:
    page.find("tbody.m summary").click()
    page.run("dispatchEvent(new Event('beforeprint'))")
    assert page.run("return document.querySelectorAll('tbody.m details[open]').length") == 13
    page.run("dispatchEvent(new Event('afterprint'))")
    assert page.run("return document.querySelectorAll('tbody.m details[open]').length") == 1
    emulate(page.driver, media="print", scheme="dark")
    assert not any(page.find(query).is_displayed() for query in ("#controls", ".skip", "#log", "tbody.m .p", "#scale"))
    assert page.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.run("return getComputedStyle(document.getElementById('models').tHead).display") == "table-header-group"
    assert page.find("tbody.m .i").is_displayed() and page.run(CONTRAST)[1] == []


def hostile(text: str) -> Row:
    """A model whose every word is that text."""
    words = ("reference", "source", "revision", "commit", "model_type", "architecture", "dtype", "quantization")
    note = {"code": text, "message": text, "hint": text}
    item = part("weights", GIB) | {"name": text, "formula": text, "note": text, "basis": text}
    devices = [device(("RTX 4090", 1), GIB) | {"name": text, "reason": text}]
    return ok("", 1) | dict.fromkeys(words, text) | {"items": [item], "devices": devices, "notes": [note], "peak_phase": text}


def test_hostile_text_is_shown_and_does_nothing(page: Page) -> None:
    rows = [hostile(text) for text in HOSTILE]
    rows += [ROWS[4] | dict.fromkeys(("reference", "code", "message", "hint"), text) for text in HOSTILE]
    page.show(rows, title=HOSTILE[1])
    page.find("#open").click()
    shown = [terminal(text).encode("utf-8", "backslashreplace").decode() for text in HOSTILE]
    assert page.models() == shown * 2 and page.driver.title == HOSTILE[1]
    for query, number in (("script", 1), ("style", 1), ("img, iframe, object, embed, form, base", 0), ("a:not([href^=\\#])", 0)):
        assert len(page.driver.find_elements("css selector", query)) == number, query
    assert (
        page.run(
            "return [...document.querySelectorAll('*')].flatMap((it) => it.getAttributeNames()).filter((n) => /^on|^style$/.test(n))"
        )
        == []
    )
    assert page.run("return window.hacked") is None and page.run(STRUCTURE) == []
    page.choose("find", "<script>window")
    assert page.models() == [shown[0], shown[1]] * 2
    assert page.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
