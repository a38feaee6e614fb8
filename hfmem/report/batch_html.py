"""A list of models as one HTML file: readable without a script, sorted and filtered with one, nothing fetched from anywhere."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator
from hashlib import sha256
from importlib.resources import files

from hfmem._version import __version__
from hfmem.report.batch_rows import Row
from hfmem.report.device_lines import device_name
from hfmem.report.html_row import COLUMNS, FIRST_SHOWN, model_rows
from hfmem.report.html_summary import controls, device_counts, legend, tiles, workload
from hfmem.report.html_survey import Survey, survey
from hfmem.report.html_text import safe
from hfmem.units import memory

MOST_FIXED_DEVICES = 4  # with more, the table is wider than screens and scrolls in its own box
PATTERNS = """<svg class=defs width=0 height=0 aria-hidden=true><defs>
<pattern id=pc width=6 height=6 patternUnits=userSpaceOnUse patternTransform=rotate(45)>
<path class=bg d="M0 0h6v6H0z"/><path d="M0 0v6"/></pattern>
<pattern id=pa width=5 height=5 patternUnits=userSpaceOnUse>
<path class=bg d="M0 0h5v5H0z"/><circle cx=2.5 cy=2.5 r=1.1 /></pattern>
<pattern id=pt width=6 height=6 patternUnits=userSpaceOnUse>
<path class=bg d="M0 0h6v6H0z"/><path d="M3 0v6M0 3h6"/></pattern>
<pattern id=pr width=4 height=4 patternUnits=userSpaceOnUse>
<path class=bg d="M0 0h4v4H0z"/><path d="M0 2h4"/></pattern>
</defs></svg>
"""
CHART = """<section id=chart hidden aria-labelledby=chart-title><h2 id=chart-title>Memory against context</h2>
<div class=under><p id=picked aria-live=polite></p><p class=how>Tick models in the table to choose up to 8.</p>
<button type=button id=unpick hidden>Back to the first models</button>
<label><input type=checkbox id=log> Logarithmic memory axis</label></div>
<div class=plot id=plot></div>
<ol class=lines id=lines aria-label="Lines of the chart"></ol>
<p class=sub id=beyond></p>
<details class=numbers><summary>The chart as a table</summary>
<div class=scroll tabindex=0 role=region aria-label="Numbers of the chart" id=numbers></div></details>
</section>
"""
READING = """<p class=sub>Sizes of memory are in GiB, downloads in GB. ✓ fits: so does the top of the estimate's range.
≈ tight: the estimate fits, the top of its range does not. ✗ no: it does not fit. ? unknown: a part of it is not known.
The share is how full the device is; the tokens are the longest context it has room for."""


def render_batch_html(rows: Iterable[Row], *, title: str) -> Iterator[str]:
    """
    The report in pieces, written as they come.

    `rows` is read twice, for the counts and for the table: give a list, or an object that starts anew each time.
    """
    if iter(rows) is rows:
        raise ValueError("the rows of an HTML report are read twice, and an iterator can be read once")
    return pieces(rows, title)


def pieces(rows: Iterable[Row], title: str) -> Iterator[str]:
    found = survey(rows)
    style, script = asset("report.css"), asset("chart.js") + asset("report.js")
    yield head(title, style, script)
    yield f"<header><h1>{safe(title)}</h1><p class=lead>{workload(found)}</header>\n<main>\n"
    yield "<section aria-labelledby=summary-title><h2 id=summary-title>Summary</h2>\n<div class=summary>"
    yield from tiles(found)
    yield from device_counts(found)
    yield f"</div></section>\n{CHART if found.has_curves else ''}"
    yield f"<section aria-labelledby=models-title><h2 id=models-title tabindex=-1>Models</h2>\n{legend(found)}{controls(found)}"
    yield from table(rows, found)
    yield f"{READING}</section>\n</main>\n<footer><p>Created by hfmem {safe(__version__)}.</footer>\n<script>{script}</script>\n"


def asset(name: str) -> str:
    return files("hfmem.report").joinpath("assets", name).read_text(encoding="utf-8")


def head(title: str, style: str, script: str) -> str:
    """A policy that lets nothing in but this style sheet and this script, by their hashes."""
    policy = f"default-src 'none'; style-src {hash_of(style)}; script-src {hash_of(script)}; base-uri 'none'; form-action 'none'"
    return f"""<!DOCTYPE html>
<html lang=en>
<meta charset=utf-8>
<meta http-equiv=Content-Security-Policy content="{policy}">
<meta name=viewport content="width=device-width, initial-scale=1">
<meta name=color-scheme content="light dark">
<meta name=generator content="hfmem {safe(__version__)}">
<title>{safe(title)}</title>
<style>{style}</style>
<a class=skip href="#models-title">Skip to the table of models</a>
{PATTERNS}"""


def hash_of(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def table(rows: Iterable[Row], found: Survey) -> Iterator[str]:
    wide = " wide" if len(found.devices) > MOST_FIXED_DEVICES else ""
    yield f'<div class="scroll{wide}" tabindex=0 role=region aria-label="Table of models">'
    yield f"<table class=models id=models data-first={FIRST_SHOWN}>\n"
    yield "<caption>Memory of each model; open a line for its parts, remarks and origin</caption>\n"
    yield f"<colgroup>{''.join(f'<col class=c{number}>' for number in range(len(COLUMNS)))}"
    yield f"{'<col class=cd>' * len(found.devices)}</colgroup>\n<thead><tr>"
    yield from column_headings(found)
    yield "</thead>\n"
    for number, row in enumerate(rows):
        yield model_rows(number, row, found)
    yield "</table></div>\n<p id=none hidden>No model matches.\n"
    yield "<p id=rest hidden><button type=button id=all>Show all</button>\n"


def column_headings(found: Survey) -> Iterator[str]:
    for number, name in enumerate(COLUMNS):
        kind = ("text", "text", "number", "number", "number", "")[number]
        yield f'<th scope=col data-kind="{kind}">{name}'
    for key, usable in found.usable_bytes.items():
        alone = f" data-usable={usable:d}" if key[1] == 1 else ""
        each = " each" if key[1] > 1 else ""
        name = f"<span>{safe(device_name(*key))}</span><small>{memory(usable)}{each}</small>"
        yield f"<th scope=col class=v data-kind=number{alone}>{name}"
