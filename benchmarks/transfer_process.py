"""A long-lived process that carries out transfers as it is told, line by line: `python -m benchmarks.transfer_process MODULE`.

The module's ``transfer(url, key)`` is what is measured; its start-up, imports and clean-up are not.
"""

import json
import os
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

AT_ONCE = 8


def main(module: str) -> None:
    transfer = import_module(module).transfer
    # What the module prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    print(json.dumps({"ready": True}), file=answers)
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="transfer") as pool:
        for line in sys.stdin:
            before, started = cpu_seconds(), time.monotonic()
            under_way = [pool.submit(transfer, job["url"], job["key"]) for job in json.loads(line)]
            for future in under_way:
                future.result()
            cost = {"seconds": time.monotonic() - started, "cpu_seconds": cpu_seconds() - before}
            print(json.dumps(cost), file=answers)


def cpu_seconds() -> float:
    """What this process and its ended children have used so far."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, kinds))


if __name__ == "__main__":
    main(sys.argv[1])
