"""One run of `hfmem batch`, from its options to its files."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
from hfmem.errors import ExitCode, UsageError
from hfmem.sources.rate_limit import opens_in
from hfmem.terminal import complain, write

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
        """Work through the list and write every output, what there is of them after an interrupt too."""
        share_pools()
        listed = Listed(self.asked.lines(self.question.access), self.options, self.options["train"])
        progress = Progress(self.part.size(self.asked.count()), opens_in)
        with Journal.at(self.journal, resume=self.options["resume"]) if self.journal else Journal.unnamed() as journal:
            interrupted = self.fill(journal, listed, progress)
            self.write(journal)
        self.tell(interrupted, listed)
        if self.journal and not interrupted and self.options["journal"] is None:
            self.journal.unlink(missing_ok=True)  # every row is in the outputs
        return self.code(interrupted, progress)

    def fill(self, journal: Journal, listed: Listed, progress: Progress) -> bool:
        """Put every row into the journal; whether that was interrupted."""
        entries = (entry for entry in listed if self.part.has(entry.index))
        streams, most = self.options["as_completed"], self.options["max_workers"]
        try:
            with workers(self.options["scheduler"]) as pool, shown(progress, quiet=self.options["quiet"]):
                for row in work(entries, self.question, journal, progress, executor=pool, max_workers=most):
                    if streams:
                        write(json.dumps(row))
        except KeyboardInterrupt:
            return True
        return False

    def write(self, journal: Journal) -> None:
        for output in self.outputs:
            output.write(journal, self.asked.title)
        if self.format and not self.options["as_completed"]:
            write("".join(pieces_of(self.format, journal, self.asked.title)).rstrip("\n"))

    def tell(self, interrupted: bool, listed: Listed) -> None:
        """What a reader of the outputs would not see in them."""
        if listed.unused and not self.options["quiet"]:
            typer.echo(f"note: columns that are no options were not used: {', '.join(map(ascii, listed.unused))[:200]}", err=True)
        if interrupted:
            hint = f"the same command with --resume goes on ({self.journal})" if self.journal else None
            complain("interrupted: the outputs have what was done until then", hint)

    def code(self, interrupted: bool, progress: Progress) -> ExitCode:
        fine = ("ok", "partial") if self.options["partial"] else ("ok",)
        failed = any(status not in fine for status in progress.statuses)
        if interrupted:
            return ExitCode.INTERRUPTED
        return ExitCode.BATCH_FAILURES if failed and self.options["strict"] else ExitCode.OK


def job_of(options: dict[str, Any]) -> Job:
    """The job of a command line. Raises `UsageError` and `CannotTell` for what could not be done."""
    part, options["shard"] = shard_of(options["shard"] or ())
    outputs = tuple(outputs_of(options["output"] or ()))
    format = options["format"] or (None if outputs else "text")
    if format is not None and format not in ON_STDOUT:
        raise UsageError(f"--format {format!r} is not known", code="bad-format", hint=f"one of {', '.join(ON_STDOUT)}")
    asked = Asked(**{name: options[name] for name in ("models", "column", "author", "search", "limit")})
    charted = format == "html" or any(output.format == "html" for output in outputs)
    return Job(
        asked=asked,
        part=part,
        question=question_of(options, charted),
        outputs=outputs,
        format=format,
        journal=journal_of(options, outputs),
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
