"""Reading the list of models: a file or standard input as lines, CSV or JSON Lines; references with what is asked of each."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from io import TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import IO, Any

from hfmem.errors import UsageError

# What a column of references is called: the Hub's words first.
REFERENCE_COLUMNS = ("model_id", "model", "repo_id", "id", "reference", "modelid", "repo", "path", "name")
ENDINGS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".tsv": "tsv", ".txt": "lines"}
DELIMITERS = {"csv": ",", "tsv": "\t", "semicolons": ";"}
FORMS_THERE_ARE = "a file with a model a line, CSV, JSON Lines, or - for standard input"
MAX_LINE = 1_000_000
MAX_REFERENCE, SHOWN = 4096, 200


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
        lines = bounded(stream)
        skipped, first = first_line(lines)
        if "\0" in first:
            raise UsageError(f"the list {named(place)} is no text", code="bad-list", hint=FORMS_THERE_ARE)
        form = form_of(place, first, column)
        yield from FORMS[form](Numbered(chain([first] if first else [], lines), place, skipped), column)


@contextmanager
def opened(place: str) -> Iterator[IO[str]]:
    """The text of a file or of standard input: UTF-8, and bytes that are none stay what they are."""
    if place == "-" and sys.stdin is None:
        raise UsageError("standard input is closed", code="bad-list", hint="give a file")
    with ExitStack() as stack:
        if place == "-":
            text = TextIOWrapper(sys.stdin.buffer, encoding="utf-8-sig", newline="", errors="surrogateescape")
            stack.callback(text.detach)
            yield text
            return
        try:
            path = Path(place).expanduser()
            stream = stack.enter_context(path.open(encoding="utf-8-sig", newline="", errors="surrogateescape"))
        except OSError as error:
            message = f"the list {place} cannot be read: {error.strerror}"
            raise UsageError(message, code="bad-list", hint=FORMS_THERE_ARE) from error
        yield stream


def bounded(stream: IO[str]) -> Iterator[str]:
    """Lines, of which a very long one is cut; what is cut off is read past, and such a line is no model's anyway."""
    for line in iter(lambda: stream.readline(MAX_LINE), ""):
        yield line
        while len(line) == MAX_LINE and not line.endswith("\n"):
            line = stream.readline(MAX_LINE)


def first_line(lines: Iterator[str]) -> tuple[int, str]:
    """How many lines come before the first that says something, and that one."""
    for number, line in enumerate(lines):
        if line.strip() and not line.lstrip().startswith("#"):
            return number, line
    return 0, ""


def form_of(place: str, first: str, column: str | None) -> str:
    """A form by the file's ending; else JSON and a known or named column show in the first line."""
    ending = Path(place).suffix.lower()
    if ending in ENDINGS:
        return ENDINGS[ending]
    if ending != ".csv" and first.lstrip()[:1] in ("{", '"'):
        return "jsonl"
    for form, sign in DELIMITERS.items():
        names = [name.strip().strip('"').lower() for name in first.split(sign)]
        if len(names) > 1 and any(name in REFERENCE_COLUMNS or name == (column or "").lower() for name in names):
            return form
    return "csv" if column or ending == ".csv" else "lines"


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
        return f"line {self.number} of {named(self.place)}"


def named(place: str) -> str:
    return "standard input" if place == "-" else place


def plain_lines(lines: Numbered, column: str | None) -> Iterator[Line]:
    """A reference a line; `#` begins a remark where a word does not."""
    if column is not None:
        message = f"{named(lines.place)} is a list of lines, which has no column {column!r}"
        raise UsageError(message, code="bad-list", hint="leave --column out")
    for line in lines:
        text = line.strip()
        if text and not text.startswith("#"):
            yield of_length(text.partition(" #")[0].strip(), {}, lines.where)


def json_lines(lines: Numbered, column: str | None) -> Iterator[Line]:
    """A string or an object a line."""
    for line in lines:
        if line.strip():
            yield json_line(line, lines.where, column)


def json_line(text: str, where: str, column: str | None) -> Line:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Line(reference=text.strip()[:SHOWN], where=where, fault=f"{where} is not JSON: {str(error)[:80]}")
    if isinstance(value, str):
        return of_length(value, {}, where)
    if not isinstance(value, dict):
        return Line(reference=text.strip()[:SHOWN], where=where, fault=f"{where} is no text and no object")
    return entry(value, where, column)


def delimited_lines(lines: Numbered, column: str | None, *, delimiter: str) -> Iterator[Line]:
    """Rows under a header, one of whose columns has the references."""
    reader = csv.DictReader(lines, delimiter=delimiter, restkey="")
    try:
        names = list(reader.fieldnames or [])
        if column is None and len(names) == 1 and names[0].strip().lower() not in REFERENCE_COLUMNS:
            yield of_length(names[0].strip(), {}, lines.where)  # a list without a header
            column = names[0]
        check_header(names, column, lines.place)
        for row in reader:
            yield entry({name: value for name, value in row.items() if name and value not in (None, "")}, lines.where, column)
    except csv.Error as error:
        raise UsageError(f"{lines.where} is no CSV: {error}", code="bad-list") from error


def check_header(names: list[str], column: str | None, place: str) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"{named(place)} has the column {twice!r} twice", code="bad-list", hint="name each once")
    if names and reference_column(names, column) is None:
        hint = f"its columns are {', '.join(names[:20])}: name one with --column"
        raise UsageError(f"{named(place)} has no column {column or 'model_id'!r}", code="bad-list", hint=hint)


def entry(value: Mapping[str, Any], where: str, column: str | None) -> Line:
    """A reference and the options beside it."""
    name = reference_column(list(value), column)
    reference = value.get(name) if name is not None else None
    if not isinstance(reference, str) or not reference.strip():
        return Line(reference="", where=where, fault=f"{where} names no model: {column or 'model_id'} is missing")
    options = {key.strip().lower().replace("-", "_"): given for key, given in value.items() if key != name}
    return of_length(reference.strip(), options, where)


def of_length(reference: str, options: Mapping[str, Any], where: str) -> Line:
    """The line of a reference; of one that is longer than any path, its beginning."""
    if len(reference) > MAX_REFERENCE:
        return Line(reference=reference[:SHOWN], where=where, fault=f"{where} is too long for a reference")
    return Line(reference=reference, options=options, where=where)


def reference_column(names: list[str], column: str | None) -> str | None:
    if column is not None:
        return column if column in names else None
    spelled = {name.strip().lower(): name for name in names}
    return next((spelled[name] for name in REFERENCE_COLUMNS if name in spelled), None)


FORMS: dict[str, Callable[[Numbered, str | None], Iterator[Line]]] = {
    "lines": plain_lines,
    "jsonl": json_lines,
    **{form: partial(delimited_lines, delimiter=sign) for form, sign in DELIMITERS.items()},
}
