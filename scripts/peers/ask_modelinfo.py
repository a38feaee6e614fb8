"""modelinfo-cli through `analyze_model`, the function behind its command, with every header read, so that it may use shapes."""

from __future__ import annotations

from asking import Answer, Question, main
from modelinfo.cli import analyze_model


def cache(question: Question) -> Answer:
    """The line KV Cache of its report before it is rounded."""
    found = analyze_model(question["repo"], question["tokens"], batch_size=question["batch"], fetch_tensors=True)
    return {"bytes": found["footprint"]["kv_cache_bytes"]}


if __name__ == "__main__":
    main({"cache": cache})
