"""One soak run, from the first request to the final check."""

import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.soak import outcome
from benchmarks.soak.faults import Faults
from benchmarks.soak.outcome import Ends, Figures
from tests.support.installation import s3_in_memory
from tests.support.media import grey_film
from tests.support.product import House, Person, video_id_of
from tests.support.world import outside_world

TRANSFERS = 8  # at once, by each worker


@dataclass
class Workers:
    """Worker processes, one of which is killed by SIGKILL and replaced after every ``every`` ended videos.

    Counted in videos, since on a slow machine a timer would kill idle workers. With ``at_once``, the leases of a killed
    worker are made to expire at once.
    """

    house: House
    seed: int
    every: int
    at_once: bool
    workers: int = 2
    kills: int = 0
    _stacks: list[ExitStack] = field(default_factory=list)
    _last: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - the same ones for the same seed

    def __enter__(self) -> Self:
        self._stacks = [self._started() for _ in range(self.workers)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stack in self._stacks:
            stack.close()

    def kill_if_due(self, ended: int) -> None:
        if abs(ended - self._last) < self.every:  # the number falls when failed videos are retried
            return
        self._last = ended
        self.kills += 1
        index = self._random.randrange(self.workers)
        self._stacks[index].close()  # ends the worker by SIGKILL
        if self.at_once:
            self.house.leases_run_out()
        self._stacks[index] = self._started()

    def _started(self) -> ExitStack:
        stack = ExitStack()
        stack.enter_context(self.house.worker(TRANSFERS))
        return stack


LIMITS = {"RUNNING_PER_USER": "2", "WEBHOOK_TIMEOUT_SECONDS": "20", "SOURCE_IDLE_SECONDS": "3"}
POLL_SECONDS = 0.5
OVERDUE = """
    UPDATE videos SET deadline_at = strftime('%Y-%m-%d %H:%M:%f000', 'now')
    WHERE status = 'generating' AND next_ask_at IS NULL
      AND requested_at < strftime('%Y-%m-%d %H:%M:%f000', 'now', ?)
"""
FAILED = "SELECT id, owner_id FROM videos WHERE status = 'failed'"
UNENDED = "SELECT id, status FROM videos WHERE status NOT IN ('ready', 'failed')"
LEASED = "SELECT id FROM videos WHERE heartbeat_at IS NOT NULL OR sidecar_due_at IS NOT NULL"

Say = Callable[[str], object]


@dataclass(frozen=True)
class Soak:
    """Times in seconds, ``kill_every`` in ended videos; ``at_once`` does not wait for the leases of killed workers.

    A render without news for ``silent`` seconds is treated as past its deadline, which is 45 minutes otherwise.
    """

    videos: int = 500
    people: int = 10
    workers: int = 2
    seed: int = 1
    kill_every: int = 15
    silent: int = 20
    limit: float = 3600
    at_once: bool = False

    def run(self, folder: Path, say: Say) -> Figures:
        """Raises TimeoutError when not all videos end within ``limit``."""
        with s3_in_memory() as endpoint, outside_world(grey_film(), endpoint, "soak") as world:
            house = House(world, folder, LIMITS)
            house.start_app()
            try:
                return _Run(self, house, say).figures()
            finally:
                house.stop()


class _Run:
    def __init__(self, soak: Soak, house: House, say: Say) -> None:
        self._soak, self._house, self._say = soak, house, say
        self._faults = Faults(house.world, soak.seed)
        self._workers = Workers(house, soak.seed, soak.kill_every, soak.at_once, soak.workers)
        self._people: dict[str, Person] = {}
        self._reported = -1
        self._started = time.monotonic()

    def figures(self) -> Figures:
        self._faults.begin()
        with self._workers:
            self._request_videos()
            first = self._wait_until_ended("first")
            retried = self._retry_failed()
            last = self._wait_until_ended("retried")
            self._faults.end()
            self._wait_until_idle()
        problems = tuple(outcome.problems(self._house))
        renders = self._house.world.generator.renders
        return Figures(
            videos=self._soak.videos,
            first=first,
            last=last,
            retried=retried,
            renders=renders.total(),
            max_per_attempt=max(renders.values()),
            kills=self._workers.kills,
            seconds=time.monotonic() - self._started,
            calls=self._faults.calls,
            injected=self._faults.injected,
            problems=problems + self._reconcile_problems(),
        )

    def _request_videos(self) -> None:
        people = [self._house.new_person() for _ in range(self._soak.people)]
        self._people = {person.user_id: person for person in people}
        for number in range(self._soak.videos):
            video_id_of(people[number % len(people)].generate())
            self._workers.kill_if_due(outcome.ends(self._house).total())

    def _wait_until_ended(self, round_: str) -> Ends:
        """Wait until every video is ready or failed and no callback is pending."""
        while True:
            self._check_progress(round_)
            if outcome.ends(self._house).total() == self._soak.videos:
                self._house.world.generator.callbacks_made()
                ends = outcome.ends(self._house)
                if ends.total() == self._soak.videos:
                    return ends

    def _check_progress(self, round_: str) -> None:
        time.sleep(POLL_SECONDS)
        self._house.rows(OVERDUE, f"-{self._soak.silent} seconds")
        seconds, ended = time.monotonic() - self._started, outcome.ends(self._house).total()
        self._workers.kill_if_due(ended)
        if ended != self._reported:
            self._say(f"{seconds:5.0f} s, {round_}: {ended} of {self._soak.videos} ended")
            self._reported = ended
        if seconds > self._soak.limit:
            raise TimeoutError(f"stuck: {self._house.rows(UNENDED)}")

    def _retry_failed(self) -> int:
        """Retry every failed video once, with sources that work again."""
        self._faults.heal_sources()
        failed = self._house.rows(FAILED)
        for row in failed:
            self._people[row["owner_id"]].retry(row["id"])
        return len(failed)

    def _wait_until_idle(self) -> None:
        """Wait until no leases, due sidecars or orphaned uploads are left."""
        rest = self._soak.limit - (time.monotonic() - self._started)
        if self._soak.at_once:
            self._house.leases_run_out()
            self._house.age("videos", "sidecar_due_at")
        self._house.until(
            lambda: not self._house.rows(LEASED) and not list(outcome.orphaned_uploads(self._house)),
            max(rest, 30),
        )

    def _reconcile_problems(self) -> tuple[str, ...]:
        found = self._house.reconcile()
        return () if found.returncode == 0 else (f"reconcile: {found.stdout}{found.stderr}",)
