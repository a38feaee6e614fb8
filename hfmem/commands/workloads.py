"""From options to workloads, and a command that takes the options of others."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from hfmem.errors import UsageError

if TYPE_CHECKING:
    from hfmem.memory.training.workload import Training
    from hfmem.memory.workload import Inference

SHARED = ("batch", "context", "encoder_tokens")  # serving and training both have them
NOT_SHARED = ("model", "explain", "partial", "verify", "exit_code", "on")


def takes_options_of(*commands: Callable[..., None]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command that hands on other commands' options declares them by naming the commands; Typer reads the signature."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(function, eval_str=True).parameters
        found = {name: part for name, part in own.items() if part.kind is not inspect.Parameter.VAR_KEYWORD}
        for command in commands:
            theirs = inspect.signature(command, eval_str=True).parameters
            found |= {name: part for name, part in theirs.items() if name not in found and name not in NOT_SHARED}
        function.__annotations__ = {name: part.annotation for name, part in found.items()} | {"return": None}
        function.__signature__ = inspect.Signature(list(found.values()))  # type: ignore[attr-defined]
        return function

    return decorate


def serving_of(options: Mapping[str, Any]) -> Inference:
    """The workload of `estimate`'s options."""
    from hfmem.memory.workload import Inference

    return Inference(**{field.name: options[field.name] for field in fields(Inference)})


def workload_of(train: bool, options: dict[str, Any]) -> Inference | Training:
    """The workload of a command that takes the options of both. Raises `UsageError` for options of the other command."""
    from hfmem.memory.training.workload import parse_training
    from hfmem.memory.workload import Inference

    names = tuple(field.name for field in fields(Inference))
    training, serving = parse_training(options), serving_of(options)
    if train:
        lost = [name for name in names if name not in SHARED and getattr(serving, name) != getattr(Inference(), name)]
        if lost:
            raise UsageError(
                f"--{lost[0].replace('_', '-')} is an option of serving", code="bad-workload", hint="leave --train out"
            )
        return training
    lost = [name for name in training.changed_options() if name not in names]
    if lost:
        raise UsageError(f"--{lost[0].replace('_', '-')} is an option of training", code="bad-workload", hint="add --train")
    return serving
