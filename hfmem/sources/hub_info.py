"""What the Hub says about a revision of a model: its commit, its files and their sizes, believed only where it fits."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hfmem.sources.cache_layout import COMMIT
from hfmem.sources.paths import is_safe_name
from hfmem.sources.reference import is_repo_id


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionInfo:
    """One commit of one model repository."""

    repo_id: str  # as the Hub spells it now
    commit: str
    gated: bool
    files: Mapping[str, int | None]

    def __post_init__(self) -> None:
        if not is_repo_id(self.repo_id):
            raise ValueError("`id` is no repository id")
        if COMMIT.fullmatch(self.commit) is None:
            raise ValueError("`sha` is no commit")

    def encode(self) -> bytes:
        """The text to keep."""
        kept = {"id": self.repo_id, "sha": self.commit, "gated": self.gated, "siblings": _siblings(self.files)}
        return json.dumps(kept).encode()


def decode_info(text: bytes) -> RevisionInfo:
    """The revision an answer describes; ValueError says which field is not as the Hub writes it."""
    try:
        answer = json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except ValueError as error:
        raise ValueError("it is no JSON") from error
    if not isinstance(answer, dict):
        raise ValueError("it is no JSON object")
    return RevisionInfo(
        repo_id=_field(answer, "id", str),
        commit=_field(answer, "sha", str),
        gated=bool(_field(answer, "gated", (bool, str)) if "gated" in answer else False),
        files=_readable(_file(sibling) for sibling in _field(answer, "siblings", list)),
    )


def _file(sibling: Any) -> tuple[str, int | None]:
    if not isinstance(sibling, dict):
        raise ValueError("`siblings` holds something else than files")
    name = _field(sibling, "rfilename", str)
    size = sibling.get("size")
    if size is not None and (type(size) is not int or not 0 <= size < 2**63):
        raise ValueError("the `size` of a file is no number of bytes")
    return name, size


def _field(answer: dict[str, Any], name: str, kind: Any) -> Any:
    if not isinstance(answer.get(name), kind):
        raise ValueError(f"`{name}` is missing or of another type")
    return answer[name]


def _siblings(files: Mapping[str, int | None]) -> list[dict[str, Any]]:
    return [{"rfilename": name, "size": size} for name, size in files.items()]


def _readable(files: Iterable[tuple[str, int | None]]) -> Mapping[str, int | None]:
    """The files whose names stay inside the repository; others cannot be asked for, so they are not listed."""
    return {name: size for name, size in files if is_safe_name(name)}
