"""`python -m benchmarks.soak`: 500 videos while a tenth of all calls fail. Do all of them end, and is nothing left over?

It takes several minutes and writes its figures into docs/reliability.md.
"""

import argparse
import logging
import platform
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.soak.outcome import Figures
from benchmarks.soak.run import Soak
from tests.support.documents import RELIABILITY, write_part

PART = "soak"


def main() -> None:
    chosen = _options()
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM)
    )  # so that all processes are stopped
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # the S3 logs every call
    with TemporaryDirectory(prefix="videovault-soak-", ignore_cleanup_errors=True) as folder:
        soak = Soak(videos=chosen.videos, seed=chosen.seed)
        figures = soak.run(Path(folder), lambda line: print(line, flush=True))
    print(f"\n{figures}")
    if figures.problems:
        raise SystemExit("Something is stuck, orphaned, lost or paid twice: see above.")
    if chosen.videos == Soak.videos:
        write_part(RELIABILITY, PART, _section(figures, chosen.seed))
        print(f"written: {RELIABILITY.name}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument(
        "--videos", type=int, default=Soak.videos, help="with fewer than 500, nothing is written"
    )
    parser.add_argument(
        "--seed", type=int, default=Soak.seed, help="of the random numbers that choose the faults"
    )
    return parser.parse_args()


def _section(figures: Figures, seed: int) -> str:
    now = datetime.now(UTC)
    return f"{now:%Y-%m-%d}, Python {platform.python_version()}, seed {seed}:\n\n{figures}"


if __name__ == "__main__":
    main()
