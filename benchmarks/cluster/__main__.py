"""`python -m benchmarks.cluster`: is any video lost, doubled or stuck while machines of a cluster die?

Two replicas behind nginx, four workers, PostgreSQL, Redis and an S3: a third of the videos is rendered directly, a third
by callback, and a third comes from links, while parts are killed, stopped and frozen, networks freeze in each direction,
and replicas and workers are upgraded one after the other. Prints each fault and a tally; exits with 1 if that is not 0.
"""

import argparse
import logging
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.cluster.run import Plan, run
from tests.support.cluster import QUEUES


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__)
    parser.add_argument("--videos", type=int, default=Plan.videos)
    parser.add_argument("--queue", choices=QUEUES, default=Plan.queue)
    parser.add_argument("--seed", type=int, default=Plan.seed, help="decides which parts are hit")
    parser.add_argument("--keep", type=Path, help="a folder for the logs, which are deleted otherwise")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that all processes end
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with TemporaryDirectory(prefix="videovault-cluster-", ignore_cleanup_errors=True) as temporary:
        plan = Plan(videos=chosen.videos, queue=chosen.queue, seed=chosen.seed)
        tally = run(plan, chosen.keep or Path(temporary), lambda line: print(line, flush=True))
    print(f"\n{tally}")
    return 1 if tally.problems else 0


if __name__ == "__main__":
    sys.exit(main())
