"""Where the rows of a list go: each output a file by its ending, or standard output in a format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hfmem.commands.saving import place, save, try_out
from hfmem.commands.showing import renderer
from hfmem.errors import UsageError
from hfmem.report.batch_rows import Row

# A format → the module of `hfmem.report` and its function.
REPORTS = {
    "text": "batch_text.render_batch_text",
    "json": "batch_json.render_batch_json",
    "jsonl": "batch_json.render_batch_lines",
    "csv": "batch_csv.render_batch_csv",
    "markdown": "batch_text.render_batch_markdown",
    "html": "batch_html.render_batch_html",
    "svg": "batch_picture.render_batch_picture",
    "parquet": "batch_parquet.render_batch_parquet",
}
ENDINGS = {
    ".txt": "text", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".md": "markdown",
    ".markdown": "markdown", ".html": "html", ".htm": "html", ".svg": "svg", ".parquet": "parquet",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Output:
    """A file, and the format its ending says. Raises `UsageError` before any work where it could not be written."""

    path: Path

    def __post_init__(self) -> None:
        if self.path.suffix.lower() not in ENDINGS:
            message = f"{self.path} has no ending that says what to write"
            raise UsageError(message, code="bad-output", hint=f"one of {', '.join(ENDINGS)}")
        try_out(self.path)
        if self.format == "parquet":
            renderer("batch_parquet.require_pyarrow")()

    @property
    def format(self) -> str:
        return ENDINGS[self.path.suffix.lower()]

    def write(self, rows: Iterable[Row], title: str) -> None:
        """The whole file, or nothing of it."""
        save(self.path, pieces_of(self.format, rows, title))


def outputs_of(paths: Iterable[Path]) -> list[Output]:
    found = [Output(path) for path in paths]
    if len({place(output.path) for output in found}) < len(found):
        raise UsageError("two outputs are the same file", code="bad-output", hint="give each a name of its own")
    return found


def pieces_of(format: str, rows: Iterable[Row], title: str) -> Iterator[Any]:
    """The report in pieces; `rows` may be gone through more than once."""
    render: Callable[..., Iterator[Any]] = renderer(REPORTS[format])
    return (partial(render, title=title) if format == "html" else render)(rows)
