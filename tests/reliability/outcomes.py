"""The outcome of each video: checked against S3 and the generator, and recorded as a line of docs/reliability.md."""

import json
import zlib
from collections import Counter

from tests.support.documents import table
from tests.support.product import House

HEAD = ("Stage", "What happens", "Outcome", "Status changes", "Paid renders", "Row, objects and uploads")
NAME = "what was seen"
WORKER, APP, RACE = "the worker is killed", "the app is killed", "two workers race"
DATABASE, S3 = "SQLite is locked for 10 s", "S3 is away for 3 s"
AHEAD, BACK = "the clock jumps an hour ahead", "the clock jumps an hour back"
ORDER = (WORKER, APP, RACE, DATABASE, S3, AHEAD, BACK)


class Outcomes:
    """Collects a line per video."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._lines: dict[tuple[str, str], tuple[str, ...]] = {}

    @property
    def table(self) -> str:
        by_fault = sorted(self._lines, key=lambda line: ORDER.index(line[1]))
        return table(HEAD, [self._lines[line] for line in by_fault])

    def record(self, stage: str, fault: str, video_id: str, more: str = "") -> None:
        """Check and record the video's outcome; ``more`` is what else the test has proved."""
        outcome = f"{self._outcome(video_id)}{more and '; '}{more}"
        self._house.until(lambda: self._in_s3(video_id) == self._expected(video_id))
        statuses, renders = " → ".join(self._statuses(video_id)), self._renders(video_id)
        self._lines[stage, fault] = (stage, fault, outcome, statuses, renders, "agree")

    def _outcome(self, video_id: str) -> str:
        row = self._house.row(video_id)
        if not row:
            return "deleted"
        if row["status"] == "failed":
            assert row["error_message"]
            return f"failed ({row['error_code']})"
        if row["status"] == "draft":
            return "draft"
        assert row["status"] == "ready"
        stored, film = self._house.world.read(row["s3_key"]), self._house.films[video_id]
        assert stored == film
        assert (row["size"], row["crc32"]) == (len(film), f"{zlib.crc32(film):08x}")
        return "ready, the object is identical"

    def _statuses(self, video_id: str) -> list[str]:
        sql = "SELECT detail FROM events WHERE kind = 'status' AND video_id = ? ORDER BY id"
        moves = [json.loads(each["detail"]) for each in self._house.rows(sql, video_id)]
        if not moves:
            return [self._house.row(video_id)["status"]]
        steps = [f"{move['to']} (repair)" if move["by"] == "repair" else move["to"] for move in moves]
        return steps if moves[0]["from"] == "draft" else [moves[0]["from"], *steps]

    def _renders(self, video_id: str) -> str:
        """How many renders were paid for; never two with one Idempotency-Key."""
        renders = self._house.world.generator.renders
        paid = Counter({key: count for key, count in renders.items() if key.startswith(f"{video_id}:")})
        assert set(paid.values()) <= {1}, f"rendered twice: {paid}"
        return str(paid.total())

    def _expected(self, video_id: str) -> set[str]:
        """The keys that S3 must have of a video; the sidecar is written after the video is ready."""
        row = self._house.row(video_id)
        if not row or row["status"] != "ready":
            return set()
        sidecar = row["s3_key"].rpartition("/")[0] + "/video.json"
        return {row["s3_key"], sidecar} | ({row["poster_key"]} if row["poster_key"] else set())

    def _in_s3(self, video_id: str) -> set[str]:
        """The keys that S3 has of a video; unfinished uploads are marked."""
        world = self._house.world
        uploads = {f"unfinished: {key}" for key in world.uploads() if video_id in key}
        return uploads | {key for key in world.objects() if video_id in key}
