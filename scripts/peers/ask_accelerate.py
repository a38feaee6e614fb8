"""accelerate through `gather_data`, whose rows its command prints."""

from __future__ import annotations

from accelerate.commands.estimate import estimate_command_parser, gather_data
from asking import Answer, Question, Refused, main


def training(question: Question) -> Answer:
    """The column "Training using Adam": it takes neither batch, length nor adapters."""
    if question["method"] != "full" or question["beyond"]:
        raise Refused(f"no option for {question['beyond'] or question['method']}")
    dtype = "float16" if question["precision"] in ("bf16", "fp16") else "float32"
    arguments = [question["repo"], "--library_name", "transformers", "--dtypes", dtype]
    rows = gather_data(estimate_command_parser().parse_args(arguments))
    return {"bytes": max(rows[0][3].values())}


if __name__ == "__main__":
    main({"training": training})
