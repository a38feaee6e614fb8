"""A sweep in every way a chart is written."""

from __future__ import annotations

from hfmem.hardware.sweep import Sweep
from hfmem.report.chart_svg import render_chart_svg
from hfmem.report.chart_table import render_chart_markdown
from hfmem.report.chart_text import render_chart_text
from hfmem.report.sweep_chart import chart_of


def render_sweep_text(sweep: Sweep, *, width: int = 80) -> str:
    return render_chart_text(chart_of(sweep), width=width)


def render_sweep_markdown(sweep: Sweep) -> str:
    return render_chart_markdown(chart_of(sweep))


def render_sweep_svg(sweep: Sweep) -> str:
    return render_chart_svg(chart_of(sweep))


def render_sweep_html(sweep: Sweep) -> str:
    from hfmem.report.chart_html import render_chart_html

    return render_chart_html(chart_of(sweep))


def render_sweep_png(sweep: Sweep) -> bytes:
    from hfmem.report.chart_png import render_chart_png

    return render_chart_png(chart_of(sweep))
