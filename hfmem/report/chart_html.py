"""A chart as a page of its own: the picture, what it says, and its numbers as a table."""

from __future__ import annotations

from hfmem.report.chart import Chart
from hfmem.report.chart_svg import render_chart_svg
from hfmem.report.chart_table import heads, rows
from hfmem.report.markup import markup

STYLE = """
:root{color-scheme:light dark}body{font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;max-width:960px;
margin:2rem auto;padding:0 1rem;background:#fff;color:#1f2328}svg{max-width:100%;height:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}caption{text-align:left;color:#59636e;padding:.5rem 0}
th,td{padding:.3rem .9rem;text-align:right;border-bottom:1px solid #d8dee4}
@media (prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}caption{color:#9198a1}th,td{border-color:#2a313c}}
""".replace("\n", "")


def render_chart_html(chart: Chart) -> str:
    """A whole page without script; nothing of it lies elsewhere."""
    told = [f"<li>{markup(sentence)}</li>" for sentence in chart.sentences]
    lines = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>{markup(chart.title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>",
        render_chart_svg(chart).rstrip(),
        *(["<ul>", *told, "</ul>"] if told else []),
        f"<table>\n<caption>{markup(chart.y_label)} against {markup(chart.x_label)}</caption>",
        "<thead><tr>" + "".join(f'<th scope="col">{markup(head)}</th>' for head in heads(chart)) + "</tr></thead>\n<tbody>",
        *(table_row(row) for row in rows(chart)),
        "</tbody>\n</table>\n</main>\n</body>\n</html>",
    ]
    return "\n".join(lines) + "\n"


def table_row(cells: list[str]) -> str:
    first, *others = map(markup, cells)
    return f'<tr><th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in others) + "</tr>"
