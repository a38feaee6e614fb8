"""A chart as PNG: the SVG, drawn by resvg, with a font of its own where that is installed."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from hfmem.errors import UsageError
from hfmem.report.chart import Chart
from hfmem.report.chart_svg import WIDTH, height_of, render_chart_svg

FONT, FACES = "font_roboto", ("Roboto-Regular.ttf", "Roboto-Medium.ttf", "Roboto-Bold.ttf")
DENSITY = 2  # pixels of the picture to one of the drawing


def render_chart_png(chart: Chart) -> bytes:
    """The light picture. Raises `UsageError` where the plot extra is not installed."""
    try:
        draw = import_module("resvg_py").svg_to_bytes
    except ImportError as error:
        hint = "pip install 'hfmem-cli[plot]', or write an .svg or .html file, which need nothing"
        raise UsageError("a PNG is drawn by the plot extra, which is not installed", code="no-plot-extra", hint=hint) from error
    return bytes(
        draw(
            svg_string=render_chart_svg(chart),
            width=WIDTH * DENSITY,
            height=height_of(chart) * DENSITY,
            font_files=font_files(),
            font_family="Roboto",
            sans_serif_family="Roboto",
        )
    )


def font_files() -> list[str]:
    """The font of the plot extra, so that a machine without fonts draws words too; found without running its package."""
    spec = find_spec(FONT)
    folders = [Path(folder) / "files" for folder in (spec.submodule_search_locations or ())] if spec else []
    return [str(folder / face) for folder in folders for face in FACES if (folder / face).is_file()]
