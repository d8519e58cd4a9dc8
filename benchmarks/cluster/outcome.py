"""The tally of a run: what is lost, doubled, left over, paid twice or stuck after all work is done."""

import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from tests.support.cluster import Cluster

KINDS = ("lost", "wrong bytes", "doubled", "stray objects", "paid twice", "stuck > 60 s", "reconcile")


@dataclass
class Tally:
    """``problems`` are pairs of a kind and a description, and must be empty."""

    videos: int
    queue: str
    seconds: float = 0.0
    faults: int = 0
    refused: int = 0
    slowest: float = 0.0
    problems: list[tuple[str, str]] = field(default_factory=list)

    def __str__(self) -> str:
        counted = Counter(kind for kind, _ in self.problems)
        return "\n".join(
            [
                f"{self.videos} videos, queue {self.queue}, {self.faults} faults, {self.seconds:.0f} s",
                f"orders that were sent again after an error: {self.refused}; longest silence of a video: {self.slowest:.0f} s",
                ", ".join(f"{kind}: {counted[kind]}" for kind in KINDS),
                *(f"  {kind}: {description}" for kind, description in self.problems),
            ]
        )


def problems(cluster: Cluster, expected: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    """``expected`` are the bytes of each accepted video by its id."""
    rows = {row["id"]: row for row in cluster.rows("SELECT * FROM videos")}
    objects = cluster.world.objects()
    for video_id, content in expected.items():
        row = rows.get(video_id)
        if row is None or row["status"] != "ready":
            yield "lost", f"{video_id} is {row and (row['status'], row['error_code'], row['error_message'])}"
        elif row["s3_key"] not in objects:
            yield "lost", f"{video_id} has no object"
        elif cluster.world.read(row["s3_key"]) != content or row["crc32"] != f"{zlib.crc32(content):08x}":
            yield "wrong bytes", video_id
    yield from (("doubled", f"{key} was never asked for") for key in sorted(rows.keys() - expected.keys()))
    strays = objects.keys() - _keys_of(rows.values())
    yield from (("stray objects", key) for key in sorted(strays))
    yield from (("stray objects", f"unfinished upload of {key}") for key in cluster.world.uploads())
    yield from _paid_twice(cluster, rows.keys())


def _keys_of(rows: Any) -> set[str]:
    """The objects of stored videos: the video, its poster and its sidecar."""
    stored = [row for row in rows if row["status"] == "ready"]
    sidecars = {f"{row['s3_key'].rpartition('/')[0]}/video.json" for row in stored}
    return sidecars | {row[name] for row in stored for name in ("s3_key", "poster_key") if row[name]}


def _paid_twice(cluster: Cluster, known: Set[str]) -> Iterator[tuple[str, str]]:
    paid: Counter[str] = Counter()
    for key, times in cluster.world.generator.renders.items():
        paid[key.rpartition(":")[0]] += times
    yield from (
        ("paid twice", f"{key} was rendered {times} times") for key, times in paid.items() if times > 1
    )
    yield from (("paid twice", f"{key} was rendered for nothing") for key in sorted(paid.keys() - known))
