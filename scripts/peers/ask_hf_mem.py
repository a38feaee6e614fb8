"""hf-mem through `hf_mem.run`, which its command calls with the same options."""

from __future__ import annotations

import warnings

from asking import Answer, Question, Refused, main
from hf_mem import run


def cache(question: Question) -> Answer:
    """The experimental estimate of caches, in the dtype they were measured in; `auto` is its only way to 32 bits."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = run(
            question["repo"],
            experimental=True,
            max_model_len=question["tokens"],
            batch_size=question["batch"],
            kv_cache_dtype="bfloat16" if question["kv_bytes"] == 2 else "auto",
        )
    if found.kv_cache is None:
        raise Refused(said[-1].message if said else "no cache in the answer")
    return {"bytes": found.kv_cache}


if __name__ == "__main__":
    main({"cache": cache})
