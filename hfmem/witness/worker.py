"""
The process that witnesses run in: a request on stdin, an answer on stdout, both JSON.

Imports of torch, and model classes that allocate or loop, happen here, under limits, and never in the user's process.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from hfmem.errors import HfmemError

OUT_OF_MEMORY = "witness-memory"
REFUSED, RUN_FAILED = "class-refused", "run-failed"  # a class would not be built; its code stopped on fake tensors


def main() -> None:
    """Answer one request. Whatever the classes print goes to stderr."""
    answer_to = os.dup(1)
    os.dup2(2, 1)
    request = json.load(sys.stdin)
    limit_memory(request["memory_bytes"])
    with os.fdopen(answer_to, "w") as out:
        json.dump(answer(request), out)


def limit_memory(num_bytes: int) -> None:
    """An allocation beyond the limit fails, where the system can hold a process to one."""
    try:
        import resource
    except ImportError:  # Windows has no such limits; the time limit of the caller still holds
        return
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    wanted = num_bytes if hard == resource.RLIM_INFINITY else min(num_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """{"found": …}, or {"refused": why} in the words of the library."""
    quiet()
    try:
        return {"found": witnesses()[request["kind"]](request)}
    except HfmemError as error:
        return {"refused": error.message, "code": error.code}
    except MemoryError:
        return {"refused": "the class takes more memory than the witness may", "code": OUT_OF_MEMORY}
    except Exception as error:  # whatever a class raises is its refusal, and is quoted
        if os.environ.get("HFMEM_DEBUG"):
            raise
        failed = REFUSED if request["kind"] == "count" else RUN_FAILED
        code = OUT_OF_MEMORY if "allocate memory" in str(error) else failed
        return {"refused": f"{type(error).__name__}: {first_line(error)}", "code": code}


def first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def quiet() -> None:
    """Libraries' remarks on a user's configuration are not ours to print."""
    import logging
    import warnings

    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")


def witnesses() -> dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]]:
    """A witness by its name; each loads what it needs when it is asked."""
    return {"count": count, "train": train, "serve": serve}


def count(request: Mapping[str, Any]) -> dict[str, Any]:
    from hfmem.witness import meta

    return meta.count(request)


def train(request: Mapping[str, Any]) -> dict[str, Any]:
    from hfmem.witness import training_run

    return training_run.train(request)


def serve(request: Mapping[str, Any]) -> dict[str, Any]:
    from hfmem.witness import inference_run

    return inference_run.serve(request)


if __name__ == "__main__":
    main()
