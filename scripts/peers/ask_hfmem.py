"""hfmem through its public functions, asked as its peers are."""

from __future__ import annotations

from asking import Answer, Question, Refused, main

import hfmem

DTYPES = {2: "bfloat16", 4: "float32"}


def cache(question: Question) -> Answer:
    """Keys and values and recurrent states."""
    workload = hfmem.Inference(
        context=question["tokens"],
        batch=question["batch"],
        kv_dtype=DTYPES[question["kv_bytes"]],
        encoder_tokens=question["encoder_tokens"],
    )
    found = hfmem.estimate(hfmem.load(question["repo"]), workload)
    items = {item.name: item for phase in found.phases for item in phase.items}
    kept = [items[name] for name in ("kv_cache", "recurrent_state") if name in items]
    if unknown := [item.note for item in kept if item.num_bytes is None]:
        raise Refused(unknown[0])
    return {"bytes": sum(item.num_bytes or 0 for item in kept)}


if __name__ == "__main__":
    main({"cache": cache})
