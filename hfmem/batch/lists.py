"""Reading the list of models: a file or standard input as lines, CSV or JSON Lines; references with what is asked of each."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import IO, Any

from hfmem.errors import UsageError

# What a column of references is called: the Hub's words first.
REFERENCE_COLUMNS = ("model_id", "model", "repo_id", "id", "reference", "modelid", "repo", "path", "name")
MAX_LINE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One model of a list, and the options its line gives; `fault` says what is wrong with the line."""

    reference: str
    options: Mapping[str, Any] = field(default_factory=dict)
    where: str = ""
    fault: str | None = None


def read_list(place: str, *, column: str | None = None) -> Iterator[Line]:
    """The lines of a file, or of standard input for `-`, in the form its ending or its first line says. Raises `UsageError`."""
    with opened(place) as stream:
        first = first_line(stream)
        rest = chain([first] if first else [], stream)
        form = form_of(place, first, column)
        yield from FORMS[form](numbered(rest, place), column)


@contextmanager
def opened(place: str) -> Iterator[IO[str]]:
    with ExitStack() as stack:
        if place == "-":
            yield sys.stdin
            return
        try:
            stream = stack.enter_context(
                Path(place).expanduser().open(encoding="utf-8-sig", newline="", errors="surrogateescape")
            )
        except OSError as error:
            hint = "a file with a model a line, CSV, JSON Lines, or - for standard input"
            raise UsageError(f"the list {place} cannot be read: {error.strerror}", code="bad-list", hint=hint) from error
        yield stream


def first_line(stream: IO[str]) -> str:
    """The first line that says something; the ones before it do not count."""
    for line in iter(lambda: stream.readline(MAX_LINE), ""):
        if line.strip() and not line.lstrip().startswith("#"):
            return line
    return ""


def form_of(place: str, first: str, column: str | None) -> str:
    """A form by the file's ending; else JSON and a known or named column show in the first line."""
    ending = Path(place).suffix.lower()
    known = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv", ".txt": "lines"}
    if ending in known:
        return known[ending]
    if first.lstrip()[:1] in ("{", '"'):
        return "jsonl"
    names = [name.strip().lower() for name in first.split(",")]
    return "csv" if column or (len(names) > 1 and any(name in REFERENCE_COLUMNS for name in names)) else "lines"


@dataclass(slots=True)
class Numbered:
    """Lines of a file, and the number of the one that was read last."""

    lines: Iterator[str]
    place: str
    number: int = 0

    def __iter__(self) -> Iterator[str]:
        for line in self.lines:
            self.number += 1
            yield line

    @property
    def where(self) -> str:
        return f"line {self.number} of {'standard input' if self.place == '-' else self.place}"


def numbered(lines: Iterator[str], place: str) -> Numbered:
    return Numbered(lines, place)


def plain_lines(lines: Numbered, column: str | None) -> Iterator[Line]:
    """A reference a line; `#` begins a remark where a word does not."""
    for line in lines:
        text = line.strip()
        if text and not text.startswith("#"):
            yield Line(reference=text.partition(" #")[0].strip(), where=lines.where)


def json_lines(lines: Numbered, column: str | None) -> Iterator[Line]:
    """A string or an object a line."""
    for line in lines:
        if line.strip():
            yield json_line(line, lines.where, column)


def json_line(text: str, where: str, column: str | None) -> Line:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Line(reference=text.strip()[:200], where=where, fault=f"{where} is not JSON: {str(error)[:80]}")
    if isinstance(value, str):
        return Line(reference=value, where=where)
    if not isinstance(value, dict):
        return Line(reference=text.strip()[:200], where=where, fault=f"{where} is no text and no object")
    return entry(value, where, column)


def csv_lines(lines: Numbered, column: str | None, delimiter: str = ",") -> Iterator[Line]:
    """Rows under a header, one of whose columns has the references."""
    reader = csv.DictReader(lines, delimiter=delimiter, restkey="")
    names = list(reader.fieldnames or [])
    if column is None and len(names) == 1 and names[0].strip().lower() not in REFERENCE_COLUMNS:
        yield Line(reference=names[0].strip(), where=lines.where)  # a list without a header
        column = names[0]
    elif reference_column(names, column) is None:
        hint = f"its columns are {', '.join(names[:20])}: name one with --column"
        raise UsageError(f"{lines.place} has no column {column or 'model_id'!r}", code="bad-list", hint=hint)
    try:
        for row in reader:
            yield entry({name: value for name, value in row.items() if name and value not in (None, "")}, lines.where, column)
    except csv.Error as error:
        raise UsageError(f"{lines.where} is no CSV: {error}", code="bad-list") from error


def tsv_lines(lines: Numbered, column: str | None) -> Iterator[Line]:
    return csv_lines(lines, column, "\t")


def entry(value: Mapping[str, Any], where: str, column: str | None) -> Line:
    """A reference and the options beside it."""
    name = reference_column(list(value), column)
    reference = value.get(name) if name is not None else None
    if not isinstance(reference, str) or not reference.strip():
        return Line(reference="", where=where, fault=f"{where} names no model: {column or 'model_id'} is missing")
    options = {key.strip().lower().replace("-", "_"): given for key, given in value.items() if key != name}
    return Line(reference=reference.strip(), options=options, where=where)


def reference_column(names: list[str], column: str | None) -> str | None:
    if column is not None:
        return column if column in names else None
    spelled = {name.strip().lower(): name for name in names}
    return next((spelled[name] for name in REFERENCE_COLUMNS if name in spelled), None)


FORMS = {"lines": plain_lines, "jsonl": json_lines, "csv": csv_lines, "tsv": tsv_lines}
