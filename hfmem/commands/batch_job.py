"""One run of `hfmem batch`, from its options to its files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer

from hfmem.api import targets_of
from hfmem.batch.journal import Journal
from hfmem.batch.many import UNATTENDED, Question
from hfmem.commands.allocator import share_pools
from hfmem.commands.batch_outputs import Output, outputs_of, pieces_of
from hfmem.commands.batch_run import Asked, Part, shard_of, work, workers
from hfmem.commands.list_options import Listed
from hfmem.commands.progress import Progress, shown
from hfmem.commands.signals import stoppable, undisturbed
from hfmem.errors import ExitCode, HfmemError, NetworkError, UsageError
from hfmem.sources.rate_limit import opens_in
from hfmem.terminal import complain, write, write_pieces

ON_STDOUT = ("text", "json", "jsonl", "csv", "markdown", "html", "svg")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What was asked for, understood before any work is done."""

    asked: Asked
    part: Part
    question: Question
    outputs: tuple[Output, ...]
    format: str | None  # on standard output; None prints nothing
    journal: Path | None  # None keeps rows for as long as the process lives
    options: Mapping[str, Any]

    def run(self) -> ExitCode:
        """Work through the list, and write every output whatever ended that: what was done until then is in them."""
        share_pools()
        listed = Listed(self.asked.lines(self.question.access), self.options, self.options["train"])
        progress = Progress(self.part.size(self.asked.count()), opens_in)
        with Journal.at(self.journal, resume=self.options["resume"]) if self.journal else Journal.unnamed() as journal:
            ended = self.fill(journal, listed, progress)
            if ended is None or len(journal):
                self.write(journal)
            self.tell(ended if len(journal) else None, listed, journal.num_foreign)
            self.clear(journal, ended)
        if ended is not None and not isinstance(ended, KeyboardInterrupt):
            raise ended
        return ExitCode.INTERRUPTED if ended is not None else self.code(progress)

    def fill(self, journal: Journal, listed: Listed, progress: Progress) -> BaseException | None:
        """Put every row into the journal; what ended that before the list did."""
        entries = (entry for entry in listed if self.part.has(entry.index))
        streams, most = self.options["as_completed"], self.options["max_workers"]
        try:
            with stoppable(), workers(self.options["scheduler"]) as pool, shown(progress, quiet=self.options["quiet"]):
                for index in work(entries, self.question, journal, progress, executor=pool, max_workers=most):
                    if streams:
                        write(json.dumps(journal.read(index)))
        except BrokenExecutor as error:
            return NetworkError(f"the workers are gone: {type(error).__name__}", code="workers-lost", hint=self.again)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  raised again once the outputs are written
            return error
        return None

    def write(self, journal: Journal) -> None:
        """Every output; one that cannot be written keeps no other from being."""
        failures: list[HfmemError] = []
        with undisturbed():
            for output in self.outputs:
                try:
                    output.write(journal, self.asked.title)
                except HfmemError as error:
                    failures.append(error)
        if self.format and not self.options["as_completed"]:
            write_pieces(pieces_of(self.format, journal, self.asked.title))
        if failures:
            raise failures[0]

    def tell(self, ended: BaseException | None, listed: Listed, num_foreign: int) -> None:
        """What a reader of the outputs would not see in them."""
        if listed.unused and not self.options["quiet"]:
            typer.echo(f"note: columns that are no options were not used: {', '.join(map(ascii, listed.unused))[:200]}", err=True)
        if num_foreign:
            typer.echo(f"note: {num_foreign:,} rows of {self.journal} are of other models or options; it is kept", err=True)
        if ended is not None and not isinstance(ended, typer.Exit):  # whoever reads has read enough
            what = "interrupted" if isinstance(ended, KeyboardInterrupt) else "stopped"
            complain(f"{what}: the outputs have what was done until then", self.again)

    @property
    def again(self) -> str | None:
        return f"the same command with --resume goes on ({self.journal})" if self.journal else None

    def clear(self, journal: Journal, ended: BaseException | None) -> None:
        """Take the journal away once the outputs have every row, or where there is nothing in it."""
        is_ours = self.journal is not None and self.options["journal"] is None
        is_needed = journal.num_foreign or (len(journal) if ended is not None else 0)
        if self.journal is not None and (is_ours or journal.is_empty) and not is_needed:
            self.journal.unlink(missing_ok=True)

    def code(self, progress: Progress) -> ExitCode:
        fine = ("ok", "partial") if self.options["partial"] else ("ok",)
        failed = any(status not in fine for status in progress.statuses)
        return ExitCode.BATCH_FAILURES if failed and self.options["strict"] else ExitCode.OK


def job_of(options: dict[str, Any]) -> Job:
    """The job of a command line. Raises `UsageError` and `CannotTell` for what could not be done."""
    part, options["shard"] = shard_of(options["shard"] or ())
    outputs = tuple(outputs_of(options["output"] or ()))
    format = options["format"] or (None if outputs else "text")
    if format is not None and format not in ON_STDOUT:
        raise UsageError(f"--format {format!r} is not known", code="bad-format", hint=f"one of {', '.join(ON_STDOUT)}")
    if options["as_completed"] and options["format"] not in (None, "jsonl"):
        raise UsageError("--as-completed prints JSON Lines", code="bad-format", hint="leave --format out, or write jsonl")
    asked = Asked(**{name: options[name] for name in ("models", "column", "author", "search", "limit")})
    journal = journal_of(options, outputs)
    check_places(asked, outputs, journal)
    charted = format == "html" or any(output.format == "html" for output in outputs)
    return Job(
        asked=asked,
        part=part,
        question=question_of(options, charted),
        outputs=outputs,
        format=format,
        journal=journal,
        options=options,
    )


def question_of(options: dict[str, Any], curve: bool) -> Question:
    access = replace(UNATTENDED, **{name: options[name] for name in ("token", "cache_dir", "max_age")})
    return Question(workload=None, on=tuple(targets_of(options["on"] or ())), access=access, curve=curve)


def journal_of(options: dict[str, Any], outputs: tuple[Output, ...]) -> Path | None:
    """Beside the first output, unless another place is named."""
    named: Path | None = options["journal"]
    if named is None and outputs:
        named = outputs[0].path.with_name(f"{outputs[0].path.name}.journal")
    if named is None and options["resume"]:
        raise UsageError("there is no journal to go on from", code="no-journal", hint="give -o FILE or --journal FILE")
    return named


def check_places(asked: Asked, outputs: tuple[Output, ...], journal: Path | None) -> None:
    """The list, the journal and the outputs are different files, so that none is written over another."""
    places = {"the journal": journal, "the list": Path(asked.models).expanduser() if asked.is_file and asked.models else None}
    for name, place in places.items():
        if place is not None and any(same(place, output.path) for output in outputs):
            raise UsageError(f"{place} is {name} and an output", code="bad-output", hint="give each a name of its own")
    if journal is not None and places["the list"] is not None and same(journal, places["the list"]):
        raise UsageError(f"{journal} is the list and the journal", code="bad-output", hint="give each a name of its own")


def same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)
