"""What the Hub says about a revision of a model: its commit, its files and their sizes, believed only where it fits."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hfmem.sources.cache_layout import COMMIT, DIGEST
from hfmem.sources.paths import is_safe_name
from hfmem.sources.reference import is_repo_id

_LICENSE = "license:"
_WORD = re.compile(r"[\w.\-]{1,60}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionInfo:
    """One commit of one model repository."""

    repo_id: str  # as the Hub spells it now
    commit: str
    gated: bool
    files: Mapping[str, int | None]
    private: bool = False
    license: str | None = None
    num_hidden: int = 0  # files that are not listed, for their names could not be asked for
    is_whole: bool = True  # False where the files are those that happen to be downloaded
    digests: Mapping[str, str] = field(default_factory=dict)  # file → sha256, or what git calls it where it is small

    def __post_init__(self) -> None:
        if not is_repo_id(self.repo_id):
            raise ValueError("`id` is no repository id")
        if COMMIT.fullmatch(self.commit) is None:
            raise ValueError("`sha` is no commit")

    def encode(self) -> bytes:
        """The text to keep."""
        kept = {"id": self.repo_id, "sha": self.commit, "gated": self.gated, "private": self.private}
        siblings = [{"rfilename": name, "size": size, "blobId": self.digests.get(name)} for name, size in self.files.items()]
        kept |= {"hidden": self.num_hidden}
        return json.dumps({**kept, "tags": [f"{_LICENSE}{self.license}"] * bool(self.license), "siblings": siblings}).encode()


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
    repo_id, siblings = _field(answer, "id", str), _field(answer, "siblings", list)
    return RevisionInfo(
        repo_id=repo_id,
        commit=_field(answer, "sha", str),
        gated=bool(_field(answer, "gated", (bool, str)) if "gated" in answer else False),
        files=_readable(_file(sibling) for sibling in siblings),
        num_hidden=_hidden(answer, siblings),
        private=answer.get("private") is True,
        license=_license(answer.get("tags")),
        digests={sibling["rfilename"]: digest for sibling in siblings if (digest := _digest(sibling))},
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


def _hidden(answer: dict[str, Any], siblings: list[Any]) -> int:
    """How many names are left out: counted, or as it was counted before."""
    kept = answer.get("hidden")
    return kept if type(kept) is int else sum(not is_safe_name(sibling["rfilename"]) for sibling in siblings)


def _license(tags: object) -> str | None:
    """The licence as the Hub tags it; what is no short word is none."""
    words = (str(tag).removeprefix(_LICENSE) for tag in tags if str(tag).startswith(_LICENSE)) if isinstance(tags, list) else ()
    return next((word for word in words if _WORD.fullmatch(word)), None)


def _digest(sibling: dict[str, Any]) -> str | None:
    """What the content must hash to: sha256 of a large file, git's own name of a small one."""
    lfs = sibling.get("lfs")
    digest = lfs.get("sha256") if isinstance(lfs, dict) else sibling.get("blobId")
    return digest if isinstance(digest, str) and DIGEST.fullmatch(digest) else None


def _readable(files: Iterable[tuple[str, int | None]]) -> Mapping[str, int | None]:
    """The files whose names stay inside the repository; others cannot be asked for, so they are not listed."""
    return {name: size for name, size in files if is_safe_name(name)}
