"""A picture of a report as a terminal shows it; the same text gives the same picture."""

from __future__ import annotations

import io
import zlib

from hfmem.report.markup import NOT_XML, markup

WIDEST = 160  # columns; longer lines go on below
FONTS = "ui-monospace,'Cascadia Mono','SF Mono',Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace"
# rich's own, without the fonts it fetches; braces are doubled for str.format
FRAME = """<svg class="rich-terminal" role="img" aria-label="LABEL" viewBox="0 0 {width} {height}" \
xmlns="http://www.w3.org/2000/svg">
<title>LABEL</title>
<style>
.{unique_id}-matrix {{ font-family: FONTS; font-size: {char_height}px; line-height: {line_height}px; white-space: pre }}
.{unique_id}-title {{ font-family: FONTS; font-size: 18px; font-weight: bold }}
{styles}
</style>
<defs>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def render_picture(text: str, title: str) -> str:
    """The text in a terminal's window, as SVG that fetches nothing. `text` has no control characters but line breaks."""
    from rich.console import Console
    from rich.text import Text

    shown = NOT_XML.sub("�", text)
    width = min(WIDEST, max(20, *map(len, shown.splitlines()), len(title) + 12))
    console = Console(
        record=True,
        file=io.StringIO(),
        width=width,
        height=25,  # without one rich asks the terminal, and a dumb one has eighty columns
        force_terminal=True,
        color_system="truecolor",
        legacy_windows=False,
    )
    console.print(Text(shown), end="\n", highlight=False, markup=False, emoji=False)
    label = markup(title).replace("{", "{{").replace("}", "}}")
    frame = FRAME.replace("LABEL", label).replace("FONTS", FONTS)
    return console.export_svg(title=title, code_format=frame, unique_id=f"hfmem-{zlib.crc32(shown.encode()):08x}")
