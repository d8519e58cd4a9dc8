"""The outcome of a soak: its figures, and problems."""

import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.soak.faults import film
from tests.support.documents import table
from tests.support.product import House

Ends = Counter[str]  # ready, or failed with its code


@dataclass(frozen=True)
class Figures:
    """``problems`` is empty after a success; times in seconds."""

    videos: int
    first: Ends
    last: Ends
    retried: int
    renders: int
    max_per_attempt: int
    kills: int
    seconds: float
    calls: Mapping[str, int]
    injected: Mapping[tuple[str, str], int]
    problems: tuple[str, ...]

    def __str__(self) -> str:
        """In Markdown."""
        share = {kind: sum(n for (of, _), n in self.injected.items() if of == kind) for kind in self.calls}
        lines = [
            f"- {self.videos} videos, {self.first.total()} ends, in {self.seconds:.0f} s: {_list(self.first)}",
            f"- {self.retried} failed ones were retried once by their owners: {_list(self.last)} in the end",
            f"- renders: {self.renders}, at most {self.max_per_attempt} for one attempt",
            f"- workers killed by SIGKILL: {self.kills}",
            *(f"- faults of {kind}: {share[kind]} in {number} calls" for kind, number in self.calls.items()),
            f"- stuck, orphaned, lost or paid twice: {'; '.join(self.problems) or 'nothing'}",
        ]
        faults = [(*fault, str(number)) for fault, number in sorted(self.injected.items())]
        return "\n".join([*lines, "", table(("Of", "Fault", "Times"), faults)])


def ends(house: House) -> Ends:
    """How many videos are ready, and failed for which reason."""
    rows = house.rows("SELECT status, error_code FROM videos WHERE status IN ('ready', 'failed')")
    return Counter(f"failed ({row['error_code']})" if row["error_code"] else row["status"] for row in rows)


def problems(house: House) -> Iterator[str]:
    """Inconsistencies of rows, objects, uploads and renders after all work is done."""
    rows, objects = house.rows("SELECT * FROM videos"), house.world.objects()
    expected: set[str] = set()
    for row in rows:
        if row["status"] not in ("ready", "failed") or row["heartbeat_at"]:
            yield f"{row['id']} is {row['status']} and has not ended"
        elif row["status"] == "ready":
            yield from _wrong_object(house, row)
            sidecar = row["s3_key"].rpartition("/")[0] + "/video.json"
            expected |= {row["s3_key"], row["poster_key"], sidecar}
    yield from (f"orphaned object {key}" for key in sorted(objects.keys() - expected))
    for attempt, times in house.world.generator.renders.items():
        if times > 1:
            yield f"{attempt} was rendered {times} times"
    yield from (f"orphaned upload of {key}" for key in orphaned_uploads(house))


def orphaned_uploads(house: House) -> Iterator[str]:
    """The keys of unfinished uploads except those kept for retrying a failed video."""
    kept = house.rows("SELECT s3_key FROM videos WHERE status = 'failed' AND upload_kept_until IS NOT NULL")
    known = {row["s3_key"] for row in kept}
    yield from (key for key in house.world.uploads() if key not in known)


def _wrong_object(house: House, row: Mapping[str, object]) -> Iterator[str]:
    wanted = film(house.world, str(row["id"]))
    if house.world.read(str(row["s3_key"])) != wanted:
        yield f"{row['id']} is not the rendered object"
    if (row["size"], row["crc32"]) != (len(wanted), f"{zlib.crc32(wanted):08x}"):
        yield f"{row['id']} has another size or CRC-32 in its row than its object"


def _list(counted: Ends) -> str:
    return ", ".join(f"{number} {name}" for name, number in counted.most_common())
