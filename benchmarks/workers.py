"""How much more four workers store than one: `python -m benchmarks.workers [--target-only]`, on an idle machine.

PostgreSQL has the rows and the queue. Links are ordered while the workers are suspended; then they all start at once. The source
sends by sendfile and S3 is rclone, so that workers use most of the CPU time. The figures are written into CLUSTER.md and RESULTS.md.
"""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import report
from benchmarks.process_usage import descendants
from benchmarks.testbed import TransferTestbed, TransferTestbedConfig, running_testbed
from tests.support.cluster import Cluster, running_cluster
from tests.support.media import grey_film
from tests.support.part import Part
from tests.support.product import Person
from tests.support.waiting import eventually

MIB = 1024**2
NUMBERS = (1, 4)
RATIO = 1.8
END_SECONDS = 120.0


@dataclass(frozen=True)
class Load:
    """``throttle`` limits each connection of the source, in bytes per second; 0: no limit."""

    name: str
    videos: int
    size: int
    throttle: int
    is_target: bool = False


LOADS = (
    Load("links of 4 MiB, 1 MiB/s on each connection of the source", 48, 4 * MIB, MIB, is_target=True),
    Load("links of 256 KiB, no limit: the work around each video", 160, MIB // 4, 0),
    Load("links of 64 MiB, no limit: bytes", 32, 64 * MIB, 0),
)


@dataclass(frozen=True)
class Outcome:
    """``cores`` are those that the workers used, ``busy`` those that all processes of the machine used."""

    seconds: float
    cores: float
    busy: float


def main() -> int:
    lines = [
        "| load | workers | videos/s | MiB/s | cores used by workers | by all | ratio |",
        "| --- | --: | --: | --: | --: | --: | --: |",
    ]
    ratios = {}
    for load in LOADS:
        if "--target-only" in sys.argv and not load.is_target:
            continue
        one, four = (_measured(load, number) for number in NUMBERS)
        ratios[load] = one.seconds / four.seconds
        for number, outcome in zip(NUMBERS, (one, four), strict=True):
            lines.append(_line(load, number, outcome, one.seconds / outcome.seconds))
            print(lines[-1], flush=True)
    report.write_section("Four workers against one", "\n".join([*_explanation(), *lines]))
    ratio = next(ratio for load, ratio in ratios.items() if load.is_target)
    others = [f"{ratio:.1f} x" for load, ratio in ratios.items() if not load.is_target]
    measured = "; without limits ".join(
        [f"{ratio:.1f} x", ", ".join(others)] if others else [f"{ratio:.1f} x"]
    )
    report.write_row("four-workers", measured, is_reached=ratio >= RATIO)
    return int(ratio < RATIO)


def _explanation() -> list[str]:
    return [
        "Each worker has 4 slots. The target is about sources as they are on the Internet: each connection has a limit. Loads without one "
        f"are limited by the {os.cpu_count()} cores, which the source and S3 share. PostgreSQL has the rows and the queue.",
        "",
    ]


def _line(load: Load, number: int, outcome: Outcome, ratio: float) -> str:
    rate = load.videos / outcome.seconds
    cells = (
        f"{load.videos} {load.name}",
        f"{number}",
        f"{rate:.1f}",
        f"{rate * load.size / MIB:.0f}",
        f"{outcome.cores:.2f}",
        f"{outcome.busy:.2f}",
        f"{ratio:.1f}",
    )
    return f"| {' | '.join(cells)} |"


def _measured(load: Load, number: int) -> Outcome:
    with (
        TemporaryDirectory(prefix="videovault-workers-") as name,
        running_testbed(_testbed(Path(name), load), _new(name, "bed")) as bed,
        _cluster(_new(name, "cluster"), bed) as cluster,
    ):
        person = cluster.new_person()
        for _ in range(number):
            cluster.add_worker()
        for worker in cluster.workers:
            worker.start(wait=False)
        for worker in cluster.workers:
            worker.wait_until_ready()
        with _suspended(cluster.workers):
            for video in range(load.videos):
                person.store(bed.url(f"{video}", load.size))
        return _outcome(cluster, person, load)


def _testbed(folder: Path, load: Load) -> TransferTestbedConfig:
    film = folder / "film.mp4"
    film.write_bytes(grey_film())
    return TransferTestbedConfig(embedded=True, throttle=load.throttle, film=film)


def _new(parent: str, name: str) -> Path:
    folder = Path(parent) / name
    folder.mkdir()
    return folder


@contextmanager
def _cluster(folder: Path, bed: TransferTestbed) -> Iterator[Cluster]:
    access_key, secret_key = bed.keys
    settings = {
        "AWS_ENDPOINT_URL_S3": bed.endpoint,
        "AWS_S3_BUCKET_NAME": bed.bucket,
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret_key,
        "SOURCE_ALLOW_HOSTS": bed.source_host,
        "RUNNING_PER_USER": "0",
        "RATE_LIMITS": "off",
    }
    with running_cluster(folder, replicas=1, workers=0, queue="postgres", **settings) as cluster:
        yield cluster


@contextmanager
def _suspended(workers: Sequence[Part]) -> Iterator[None]:
    for worker in workers:
        worker.freeze()
    try:
        yield
    finally:
        for worker in workers:
            worker.thaw()


def _outcome(cluster: Cluster, person: Person, load: Load) -> Outcome:
    pids = [pid for worker in cluster.workers for pid in _tree(worker)]
    started, used, busy = time.monotonic(), _cpu_seconds(pids), _busy_seconds()
    eventually(partial(_all_stored, cluster, person, load.videos), cluster.logs, END_SECONDS, 0.1)
    seconds = time.monotonic() - started
    return Outcome(seconds, (_cpu_seconds(pids) - used) / seconds, (_busy_seconds() - busy) / seconds)


def _all_stored(cluster: Cluster, person: Person, videos: int) -> bool:
    (row,) = cluster.rows(
        "SELECT count(*) FILTER (WHERE status = 'ready') AS ready, count(*) FILTER (WHERE status = 'failed') AS failed "
        "FROM videos WHERE owner_id = %s",
        person.user_id,
    )
    if row["failed"]:
        raise AssertionError(cluster.logs())
    return bool(row["ready"] == videos)


def _tree(part: Part) -> list[int]:
    pid = part.process.pid if part.process else 0
    return [pid, *descendants(pid)]


def _cpu_seconds(pids: Sequence[int]) -> float:
    """User and system time, with that of ended children."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _busy_seconds() -> float:
    """Of all cores since the machine has started: not idle, and not waiting for a disk."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
