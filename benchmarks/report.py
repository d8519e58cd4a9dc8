"""Where programs write what they measure of several machines and of large installations.

Details are sections of CLUSTER.md; what there is a target for is a row of the table in RESULTS.md::

    report.write_section("Outages", body)
    report.write_row("outage", "2.1 s / 2.4 s", is_reached=True)
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from benchmarks.results import Section, machine, now, replaced

RESULTS = Path(__file__).parent / "RESULTS.md"
DETAILS = Path(__file__).parent / "CLUSTER.md"
LETTER = "k"
TITLE = "beyond one machine"
HEAD = """\
| | before | target | measured | | by |
| --- | --: | --: | --: | --- | --- |"""
PREFACE = """\
# Several machines

Written by the programs that are named in RESULTS.md, section (k). They start two replicas from two folders behind nginx, workers,
PostgreSQL, Redis and an S3 (`tests/support/cluster.py`), all on this machine.

In the cluster test a third of the videos is rendered directly, a third by callback, a third comes from links; some are slow, some have more
than one part. Orders and callbacks that fail are sent again, as programs do. Networks freeze for longer than a lease. An upgrade is a stop, and a
start from a second checkout. *Lost*: accepted and not ready at the end. *Doubled*: rows that were not asked for. *Stray*: objects and uploads of no
video. *Stuck*: no change of the row for 60 s. Every object is compared byte by byte, and `reconcile` must find nothing.
"""


@dataclass(frozen=True)
class Target:
    """A row of the table; ``program`` is the command that measures it."""

    what: str
    before: str
    target: str
    program: str

    def row(self, measured: str = "", mark: str = "not measured", by: str = "") -> str:
        cells = (self.what, self.before, self.target, measured, mark, by or f"`{self.program}`")
        return f"| {' | '.join(cells)} |"


TALLY = "lost, wrong bytes, doubled, stray, paid twice, stuck > 60 s"
TARGETS = {
    "cluster-postgres": Target(
        f"300 videos, queue in PostgreSQL: {TALLY}",
        "0, not checked, 0, 0, 0, 5 of 200",
        "0 each",
        "python -m benchmarks.cluster --queue postgres",
    ),
    "cluster-redis": Target(
        f"300 videos, queue in Redis: {TALLY}",
        "unmeasured",
        "0 each",
        "python -m benchmarks.cluster --queue redis",
    ),
    "cluster-sqlite": Target(
        f"300 videos, queue in one SQLite file: {TALLY}",
        "unmeasured",
        "0 each",
        "python -m benchmarks.cluster --queue sqlite",
    ),
    "alerts": Target(
        "alert rules that fire, and end, on real metrics",
        "unmeasured",
        "5 of 5",
        "python -m benchmarks.alerts",
    ),
    "gallery": Target(
        "gallery page 1 of 10,000 in 1M rows, HTTP p50 / p95",
        "28-33 / 41-59 ms",
        "< 12 / < 25 ms",
        "python -m benchmarks.million_rows postgresql",
    ),
    "gallery-deep": Target(
        "gallery page at 9,900, p50",
        "60-75 ms",
        "as page 1 x 1.2",
        "python -m benchmarks.million_rows postgresql",
    ),
    "admin": Target(
        "admin page 1, slowest order, p50",
        "0.4-3.9 s",
        "< 100 ms",
        "python -m benchmarks.million_rows postgresql",
    ),
    "admin-search": Target(
        "admin page 1 with `q=`, slowest, p50",
        "unmeasured",
        "< 300 ms",
        "python -m benchmarks.million_rows postgresql",
    ),
    "memory": Target(
        "admin and gallery without limit, memory above idle",
        "11.7 GB",
        "< 64 MiB",
        "python -m benchmarks.million_rows postgresql",
    ),
    "idle-workers": Target(
        "4 idle workers at 1M rows, CPU of the database",
        "45 % of a core",
        "< 2 %",
        "python -m benchmarks.million_rows postgresql",
    ),
    "four-workers": Target(
        "4 workers against 1, videos per second", "unmeasured", "≥ 1.8 x", "python -m benchmarks.workers"
    ),
    "open-pages": Target(
        "200 pages on 2 replicas with Redis, event round trip p95 at full transfer load",
        "unmeasured",
        "< 50 ms",
        "python -m benchmarks.open_pages",
    ),
    "outage": Target(
        "PostgreSQL or Redis away: every page says so, follows again after",
        "deaf until reloaded",
        "< 3 s / < 3 s",
        "python -m benchmarks.outages",
    ),
    "half-open": Target(
        "half-open connections to PostgreSQL, Redis or S3: working again after",
        "unmeasured",
        "< 30 s",
        "python -m benchmarks.half_open",
    ),
    "replica-kills": Target(
        "30 kills of replicas: page recovered, p95 / max",
        "unmeasured",
        "< 3 / < 6 s",
        "python -m benchmarks.replica_kills",
    ),
    "queue-start": Target(
        "SQLite queue, enqueue to start, p95", "699 ms", "< 50 ms", "python -m benchmarks.start"
    ),
    "takeover": Target(
        "transfer of a killed worker continued after", "25.6 s", "< 22 s", "python -m benchmarks.start"
    ),
    "start": Target(
        "start of the program to its first answer", "unmeasured", "< 3 s", "python -m benchmarks.start"
    ),
    "idle-memory": Target(
        "idle memory, PSS: embedded, replica, worker",
        "415 MiB",
        "< 350, < 160, < 100 MiB",
        "python -m benchmarks.start",
    ),
}


def write_row(name: str, measured: str, *, is_reached: bool, when: str = "") -> None:
    """Put a figure into the table in RESULTS.md."""
    target, document = TARGETS[name], RESULTS.read_text()
    rows = _rows(document)
    mark = "reached" if is_reached else "**missed**"
    rows[name] = target.row(measured, mark, f"`{target.program}`, {when or now()}")
    RESULTS.write_text(replaced(document, {LETTER: str(_section(rows))}))


def table_of(document: str) -> Section:
    """The table in this text of RESULTS.md, with what was measured so far."""
    return _section(_rows(document))


def write_section(title: str, body: str, *, circumstances: str = "", file: Path | None = None) -> None:
    """Replace a section of CLUSTER.md, or append it; its circumstances are those of now unless they are given."""
    file = file or DETAILS
    one, five, _ = os.getloadavg()
    circumstances = (
        circumstances
        or f"{now()}, {machine()}, load {one:.1f} at the end and {five:.1f} in the last five minutes."
    )
    section = f"## {title}\n\n{circumstances}\n\n{body.strip()}\n"
    _, *parts = re.split(r"^(?=## )", file.read_text() if file.exists() else "", flags=re.MULTILINE)
    kept = [section if part.startswith(f"## {title}\n") else part.rstrip() + "\n" for part in parts]
    file.write_text("\n".join([PREFACE, *(kept if section in kept else [*kept, section])]))


def _section(rows: dict[str, str]) -> Section:
    lines = [rows.get(name) or target.row() for name, target in TARGETS.items()]
    return Section(LETTER, TITLE, "\n".join([HEAD, *lines, ""]))


def _rows(document: str) -> dict[str, str]:
    """By name, as they are written there."""
    lines = document.splitlines()
    beginnings = {name: f"| {target.what} |" for name, target in TARGETS.items()}
    found = {name: [line for line in lines if line.startswith(begin)] for name, begin in beginnings.items()}
    return {name: each[0] for name, each in found.items() if each}
