"""
Run one command and print its own CPU, wall and peak memory as JSON; small, because a child's peak begins at its parent's.

    python scripts/bench_run.py COMMAND [ARGUMENT ...]
"""

import json
import os
import sys
import time

if __name__ == "__main__":
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        os.execv(sys.argv[1], sys.argv[1:])
    _, status, usage = os.wait4(child, 0)
    peak = usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)  # kilobytes on Linux, bytes on macOS
    figures = {
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "wall_seconds": time.perf_counter() - start,
        "peak_mib": peak,
        "exit_code": os.waitstatus_to_exitcode(status),
    }
    print(json.dumps(figures))
