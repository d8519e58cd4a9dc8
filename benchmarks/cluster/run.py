"""One run: orders, the faults among them, and the wait for the rest."""

import itertools
import random
import struct
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg

from benchmarks.cluster.faults import Fault, Networks, faults
from benchmarks.cluster.outcome import Tally, problems
from tests.support.cluster import Cluster, QueueKind, checkout, running_cluster
from tests.support.frozen_proxy import frozen_proxy_for
from tests.support.generator import Order
from tests.support.media import grey_film
from tests.support.misbehaving_server import ServerBehaviour
from tests.support.product import Person, video_id_of

PEOPLE = 6
AT_ONCE = 18  # orders that have not ended
STUCK_SECONDS = 60.0
LOOK_SECONDS = 0.5
AGAIN_SECONDS = 1.0  # before an order or a callback that failed is sent again
GIVE_UP_SECONDS = 180.0
REST_SECONDS = 240.0  # for what is under way after the last order
SLOW_BYTES_PER_SECOND = 60_000
SIZE_BYTES = (20_000, 400_000)
LARGE_SHARE, LARGE_BYTES = 0.04, 10 * 1024 * 1024  # more than one part
SCRIPT = {"hook": "Look", "body": "It is a thing.", "conclusion": "Buy it.", "avatar": "Anna"}
STATE = """
    SELECT id, status, attempt, bytes_done, asks, heartbeat_at IS NOT NULL OR sidecar_due_at IS NOT NULL AS busy
    FROM videos
"""

Say = Callable[[str], object]


@dataclass(frozen=True)
class Plan:
    """``rounds`` is how often each kind of fault comes, on average twice for 100 videos."""

    videos: int = 300
    queue: QueueKind = "postgres"
    seed: int = 1

    @property
    def rounds(self) -> int:
        return max(1, self.videos // 100)


def run(plan: Plan, folder: Path, say: Say) -> Tally:
    limits = {"RATE_LIMITS": "off", "RUNNING_PER_USER": "4", "WEBHOOK_TIMEOUT_SECONDS": "30"}
    with (
        running_cluster(folder, replicas=0, workers=0, queue=plan.queue, **limits) as cluster,
        ExitStack() as stack,
    ):
        networks = _start(cluster, plan, stack)
        second = checkout(folder / "second-checkout")
        orders = stack.enter_context(_Orders(cluster, plan))
        threads = stack.enter_context(ThreadPoolExecutor(1))
        planned = list(faults(cluster, networks, second, plan.rounds, plan.seed))
        return _Run(plan, cluster, orders, planned, threads, say).tally()


def _start(cluster: Cluster, plan: Plan, stack: ExitStack) -> Networks:
    database = cluster.settings["DATABASE_URL"]
    queue = None
    if plan.queue != "sqlite":
        queue, url = stack.enter_context(frozen_proxy_for(cluster.settings["QUEUE_URL"]))
        cluster.settings["QUEUE_URL"] = url
    worker, worker_url = stack.enter_context(frozen_proxy_for(database))
    replica, replica_url = stack.enter_context(frozen_proxy_for(database))
    cluster.add_replica()
    cluster.add_replica(DATABASE_URL=replica_url)
    for _ in range(3):
        cluster.add_worker()
    cluster.add_worker(DATABASE_URL=worker_url)
    cluster.start()
    return Networks(worker, replica, queue)


@dataclass
class _Orders:
    """Orders videos as programs do: they ask again after an error, with the same key."""

    cluster: Cluster
    plan: Plan
    expected: dict[str, bytes] = field(default_factory=dict)
    refused: int = 0
    given_up: list[str] = field(default_factory=list)
    _films: dict[str, str] = field(default_factory=dict)
    _placed: int = 0

    def __enter__(self) -> "_Orders":
        self._base = grey_film()
        self._people = [self.cluster.new_person() for _ in range(PEOPLE)]
        self._threads = ThreadPoolExecutor(AT_ONCE)
        generator = self.cluster.world.generator
        generator.choose = lambda order: "callback" if "callback" in order["hook"] else "direct"
        generator.address = self._address
        generator.deliver = _deliver
        return self

    def __exit__(self, *_error: object) -> None:
        self._threads.shutdown()

    def place(self) -> "Future[None]":
        number = self._placed
        self._placed += 1
        return self._threads.submit(self._place, number, self._people[number % PEOPLE])

    def film(self, name: str) -> bytes:
        """A real film followed by random data of its own that players ignore."""
        generator = random.Random(f"{self.plan.seed} {name}")  # noqa: S311 - the same bytes each time
        size = LARGE_BYTES if generator.random() < LARGE_SHARE else generator.randrange(*SIZE_BYTES)
        return self._base + struct.pack(">I4s", size + 8, b"free") + generator.randbytes(size)

    def _place(self, number: int, person: Person) -> None:
        kind = ("direct", "callback", "link")[number % 3]
        key, name = uuid4().hex, f"link-{number}"
        url = self._serve(name) if kind == "link" else ""
        until = time.monotonic() + GIVE_UP_SECONDS
        while time.monotonic() < until:
            with suppress(httpx.TransportError):
                answer = self._ask(person, kind, url, key)
                if answer.is_success:
                    video_id = video_id_of(answer)
                    self.expected[video_id] = self.film(name if url else video_id)
                    return
            self.refused += 1
            time.sleep(AGAIN_SECONDS)
        self.given_up.append(f"order {number} ({kind}) was refused for {GIVE_UP_SECONDS:.0f} s")

    def _ask(self, person: Person, kind: str, url: str, key: str) -> httpx.Response:
        headers = {"Prefer": "respond-async", "Idempotency-Key": key}
        if url:
            body = {"videoUrl": url, "userEmail": person.email}
            return person.api.post("/api/auth/video/download", json=body, headers=headers)
        script = SCRIPT | {"hook": f"Look at a {kind}", "email": person.email}
        return person.api.post("/api/auth/create-video/generate-video", json=script, headers=headers)

    def _address(self, video_id: str) -> str:
        return self._films.get(video_id) or self._serve(video_id)

    def _serve(self, name: str) -> str:
        body = self.film(name)
        slow = len(body) < SIZE_BYTES[1] + len(self._base) and len(self._films) % 3 == 0
        behaviour = ServerBehaviour(body=body, bytes_per_second=SLOW_BYTES_PER_SECOND if slow else None)
        self._films[name] = self.cluster.world.source.serve(f"/{name}.mp4", behaviour)
        return self._films[name]


def _deliver(order: Order, report: dict[str, Any]) -> None:
    """A callback, repeated until it is accepted."""
    headers = {"Authorization": f"Bearer {order['callbackToken']}"}
    until = time.monotonic() + GIVE_UP_SECONDS
    while time.monotonic() < until:
        with suppress(httpx.TransportError):
            if httpx.put(order["callbackUrl"], json=report, headers=headers, timeout=30).is_success:
                return
        time.sleep(AGAIN_SECONDS)


@dataclass
class _Changes:
    """When each video last changed."""

    seen: dict[str, tuple[object, ...]] = field(default_factory=dict)
    at: dict[str, float] = field(default_factory=dict)
    slowest: float = 0.0
    stuck: dict[str, str] = field(default_factory=dict)

    def look(self, rows: list[dict[str, Any]]) -> None:
        now = time.monotonic()
        for row in rows:
            video_id, state = row["id"], tuple(row.values())
            if self.seen.get(video_id) != state:
                self.seen[video_id], self.at[video_id] = state, now
            elif not _has_ended(row):
                silence = now - self.at[video_id]
                self.slowest = max(self.slowest, silence)
                if silence > STUCK_SECONDS:
                    self.stuck[video_id] = f"{video_id} stayed {row['status']} for {silence:.0f} s"


def _has_ended(row: dict[str, Any]) -> bool:
    return row["status"] in ("ready", "failed") and not row["busy"]


def _end(fault: Fault) -> None:
    """In a thread of its own, as looking at a frozen database takes time."""
    time.sleep(fault.seconds)
    fault.end()


class _Run:
    def __init__(
        self,
        plan: Plan,
        cluster: Cluster,
        orders: _Orders,
        planned: list[Fault],
        threads: ThreadPoolExecutor,
        say: Say,
    ) -> None:
        self._plan, self._cluster, self._orders, self._say = plan, cluster, orders, say
        self._faults = planned
        self._futures: list[Future[None]] = []
        self._changes = _Changes()
        self._begun = 0
        self._threads = threads
        self._ending: Future[None] | None = None
        self._ended = 0
        self._started = time.monotonic()

    def tally(self) -> Tally:
        self._say(f"{self._plan.videos} videos, queue {self._plan.queue}, {len(self._faults)} faults")
        while not self._is_over():
            self._step()
        self._wait_for_the_rest()
        return self._result()

    def _is_over(self) -> bool:
        all_begun = self._begun == len(self._faults) and self._ending is None
        return all_begun and len(self._futures) == self._plan.videos

    def _step(self) -> None:
        time.sleep(LOOK_SECONDS)
        self._look()
        if self._ending and self._ending.done():
            self._ending.result()
            self._ending = None
        if (
            self._ending is None
            and self._begun < len(self._faults)
            and self._has_placed()
            and self._all_ready()
        ):
            self._begin(self._faults[self._begun])
        while not self._has_placed() and len(self._futures) < self._ended + AT_ONCE:
            self._futures.append(self._orders.place())

    def _has_placed(self) -> bool:
        """Whether the orders are placed that the next fault shall hit."""
        share = min(self._begun + 1, len(self._faults)) / len(self._faults)
        return len(self._futures) >= int(self._plan.videos * share)

    def _begin(self, fault: Fault) -> None:
        self._note(fault.name)
        self._begun += 1
        fault.begin()
        self._ending = self._threads.submit(_end, fault)

    def _all_ready(self) -> bool:
        parts = (self._cluster.postgres, self._cluster.redis, *self._cluster.replicas, *self._cluster.workers)
        for part in parts:
            if not part.is_running:
                self._note(f"{part.name} had ended by itself and is started")
                part.start(wait=False)
        return all(part.ready() for part in parts)

    def _look(self) -> None:
        with suppress(psycopg.OperationalError):  # PostgreSQL is down
            rows = self._cluster.rows(STATE)
            self._changes.look(rows)
            self._ended = sum(map(_has_ended, rows))

    def _wait_for_the_rest(self) -> None:
        """Until everything has ended, or nothing more can be expected to."""
        until = time.monotonic() + REST_SECONDS
        while time.monotonic() < until:
            time.sleep(LOOK_SECONDS)
            self._look()
            if all(each.done() for each in self._futures) and self._ended == len(self._changes.seen):
                break
        self._note(f"{self._ended} have ended")

    def _result(self) -> Tally:
        for future in self._futures:
            future.result()
        self._cluster.world.generator.callbacks_made()
        uploads_are_gone = time.monotonic() + STUCK_SECONDS
        while self._cluster.world.uploads() and time.monotonic() < uploads_are_gone:
            time.sleep(LOOK_SECONDS)
        found = list(itertools.chain(problems(self._cluster, self._orders.expected), self._more_problems()))
        seconds = time.monotonic() - self._started
        return Tally(
            self._plan.videos,
            self._plan.queue,
            seconds,
            len(self._faults),
            self._orders.refused,
            self._changes.slowest,
            found,
        )

    def _more_problems(self) -> list[tuple[str, str]]:
        found = [("lost", text) for text in self._orders.given_up]
        found += [("stuck > 60 s", text) for text in self._changes.stuck.values()]
        compared = self._cluster.run("reconcile")
        if compared.returncode:
            found.append(("reconcile", compared.stdout + compared.stderr))
        return found

    def _note(self, what: str) -> None:
        seconds = time.monotonic() - self._started
        self._say(f"{seconds:5.0f} s, {self._ended:3} ended: {what}")
