"""`python -m benchmarks.cluster`: is any video lost, doubled or stuck while machines of a cluster die?

Two replicas behind nginx, four workers, PostgreSQL, Redis and an S3: a third of the videos is rendered directly, a third
by callback, and a third comes from links, while parts are killed, stopped and frozen, networks freeze in each direction,
and replicas and workers are upgraded one after the other. Prints each fault and a tally; exits with 1 if that is not 0.
With `--write`, both are written into benchmarks/CLUSTER.md, and the tally of 300 videos into benchmarks/RESULTS.md.
"""

import argparse
import logging
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import report
from benchmarks.cluster.outcome import Tally
from benchmarks.cluster.run import Plan, run
from tests.support.cluster import QUEUES

QUEUE_NAMES = {"postgres": "PostgreSQL", "redis": "Redis", "sqlite": "one SQLite file"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__)
    parser.add_argument("--videos", type=int, default=Plan.videos)
    parser.add_argument("--queue", choices=QUEUES, default=Plan.queue)
    parser.add_argument("--seed", type=int, default=Plan.seed, help="decides which parts are hit")
    parser.add_argument("--keep", type=Path, help="a folder for the logs, which are deleted otherwise")
    parser.add_argument(
        "--write", action="store_true", help="write the tally and the faults into the documents"
    )
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that all processes end
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with TemporaryDirectory(prefix="videovault-cluster-", ignore_cleanup_errors=True) as temporary:
        plan = Plan(videos=chosen.videos, queue=chosen.queue, seed=chosen.seed)
        lines: list[str] = []
        tally = run(plan, chosen.keep or Path(temporary), partial(_say, lines))
    print(f"\n{tally}")
    if chosen.write:
        _write(tally, lines)
    return 1 if tally.problems else 0


def _say(lines: list[str], line: str) -> None:
    lines.append(line)
    print(line, flush=True)


def _write(tally: Tally, lines: Sequence[str]) -> None:
    title = f"{tally.videos} videos, queue in {QUEUE_NAMES[tally.queue]}"
    report.write_section(title, f"```\n{tally}\n\n" + "\n".join(lines) + "\n```")
    if tally.videos >= Plan.videos:
        report.write_row(f"cluster-{tally.queue}", tally.figures(), is_reached=not tally.problems)


if __name__ == "__main__":
    sys.exit(main())
