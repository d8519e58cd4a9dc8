"""A long-lived process that runs the transfers it reads from stdin: `python -m benchmarks.transfer_process MODULE`.

Only the module's ``transfer(url, key)`` is measured, not start-up, imports and clean-up.
"""

import json
import os
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

MAX_TRANSFERS = 8


def main(module: str) -> None:
    transfer = import_module(module).transfer
    # Output of the module must not be mixed with the results.
    results = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    print(json.dumps({"ready": True}), file=results)
    with ThreadPoolExecutor(MAX_TRANSFERS, thread_name_prefix="transfer") as pool:
        for line in sys.stdin:
            before, started = cpu_seconds(), time.monotonic()
            futures = [pool.submit(transfer, job["url"], job["key"]) for job in json.loads(line)]
            for future in futures:
                future.result()
            cost = {"seconds": time.monotonic() - started, "cpu_seconds": cpu_seconds() - before}
            print(json.dumps(cost), file=results)


def cpu_seconds() -> float:
    """Of this process and its ended children."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, kinds))


if __name__ == "__main__":
    main(sys.argv[1])
