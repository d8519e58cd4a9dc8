"""`python -m benchmarks.cluster`: is any video lost, doubled or stuck while machines of a cluster die?

Two replicas behind nginx, four workers, PostgreSQL, Redis and an S3: a third of the videos is rendered directly, a third
by callback, and a third comes from links, while parts are killed, stopped and frozen, networks freeze in each direction,
and replicas and workers are upgraded one after the other. Prints each fault and a tally; exits with 1 if that is not 0.
With `--write`, both are written into benchmarks/CLUSTER.md, and the tally of 300 videos into benchmarks/RESULTS.md; with
`--record FILE`, what an earlier run printed into FILE.
"""

import argparse
import logging
import re
import signal
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import report
from benchmarks.cluster.outcome import KINDS
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
    parser.add_argument(
        "--record", type=Path, help="do not run; write what this file says that a run printed"
    )
    chosen = parser.parse_args()
    if chosen.record:
        ended = datetime.fromtimestamp(chosen.record.stat().st_mtime, UTC)
        return _write(chosen.record.read_text(), f"{ended:%Y-%m-%d %H:%M} UTC")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that all processes end
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with TemporaryDirectory(prefix="videovault-cluster-", ignore_cleanup_errors=True) as temporary:
        plan = Plan(videos=chosen.videos, queue=chosen.queue, seed=chosen.seed)
        lines: list[str] = []
        tally = run(plan, chosen.keep or Path(temporary), partial(_say, lines))
    print(f"\n{tally}")
    if chosen.write:
        _write("\n".join([*lines, "", str(tally)]))
    return 1 if tally.problems else 0


def _say(lines: list[str], line: str) -> None:
    lines.append(line)
    print(line, flush=True)


def _write(printed: str, when: str = "") -> int:
    """``printed`` are the faults, an empty line and the tally."""
    lines, _, tally = printed.strip().rpartition("\n\n")
    begin = re.match(r"(\d+) videos, queue (\w+), ", tally)
    if not begin or any(f"{kind}: " not in tally for kind in KINDS):
        sys.exit("This is not the output of a whole run.")
    videos, queue = int(begin[1]), begin[2]
    counted = [int(re.findall(rf"\b{kind}: (\d+)", tally)[0]) for kind in KINDS]
    title = f"{videos} videos, queue in {QUEUE_NAMES[queue]}"
    report.write_section(title, f"```\n{tally}\n\n{lines}\n```", circumstances=when)
    if videos >= Plan.videos:
        *shown, reconcile = counted
        measured = ", ".join(map(str, shown)) + (", reconcile differs" if reconcile else "")
        report.write_row(f"cluster-{queue}", measured, is_reached=not any(counted), when=when)
    return int(any(counted))


if __name__ == "__main__":
    sys.exit(main())
