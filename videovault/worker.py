"""The job queue and its worker process. The queue only says that there is work; the rows say which."""

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import count
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sqlalchemy.exc import SQLAlchemyError

from videovault import db, logs, metrics, unavailable
from videovault.config import HEARTBEAT_FD, settings
from videovault.errors import DiskFull
from videovault.gateways import redis_connection
from videovault.installation import directory_lock
from videovault.services import outbox
from videovault.services.core import lifecycle
from videovault.services.generation import polling
from videovault.services.maintenance import repair
from videovault.services.transfer import lease, pipeline, playable_copy, scheduler

if TYPE_CHECKING:
    from huey import Huey

NAME = "videovault"
REPAIR_SECONDS = 5.0
TIDY_EVERY = 120  # repairs, the first one included
LEASES_SECONDS = 1.0  # a dead worker's transfer continues at most so long after the end of its lease
POLL_SECONDS = 1.0
COPY_SECONDS = 1.0
FULL_SECONDS = 60.0
DELIVER_SECONDS = 1.0
GENERATORS_AT_ONCE = 8
STOP_SECONDS = 15.0  # for transfers
RECORD_SECONDS = 5.0  # to record the response of a generator
QUEUE_PAUSE_SECONDS = 2.0
HEARTBEAT_SECONDS = 2.0
REDIS_SECONDS = 3.0  # huey waits for a task a second at a time
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# By the scheme of QUEUE_URL, DATABASE_URL and REDIS_URL.
CLIENTS = {
    "redis": "redis",
    "rediss": "redis",
    "postgresql": "psycopg",
    "postgresql+psycopg": "psycopg",
}

log = logs.get(__name__)


class WebhookPool:
    """A bounded thread pool for generator webhooks, which may take minutes, so that transfers do not wait for them.

    A lost call does no harm: its video's row still shows an order to send, and ``repair`` enqueues it again. The
    threads are daemons, unlike an executor's: a hanging call must not delay the end of the process.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[str, Callable[[], object]]] = SimpleQueue()
        self._video_ids: set[str] = set()
        self._running = 0
        self._changed = threading.Condition()
        self._deadline = 0.0
        self.is_running = False

    def start(self, at_once: int) -> None:
        self.is_running = True
        for number in range(at_once):
            threading.Thread(target=self._run, name=f"webhook-{number}", daemon=True).start()

    def submit(self, video_id: str, call: Callable[[], object]) -> None:
        """Run ``call``, unless one for this video is queued or running."""
        with self._changed:
            if video_id not in self._video_ids:
                self._video_ids.add(video_id)
                self._calls.put((video_id, call))

    def count(self) -> dict[str, float]:
        """The numbers of calls by state."""
        return {"running": self._running, "waiting": self._calls.qsize()}

    def stop(self, seconds: float) -> list[str]:
        """Start no further calls, and return the videos whose calls were queued.

        ``finish`` waits up to ``seconds`` from now for those that are running.
        """
        with self._changed:
            self.is_running = False
            self._deadline = time.monotonic() + seconds
        with suppress(Empty):
            queued = []
            while True:
                queued.append(self._calls.get_nowait()[0])
        return queued

    def finish(self) -> None:
        """Wait for running calls to end: their responses may have been paid for."""
        with self._changed:
            if self._running:
                seconds = max(0, round(self._deadline - time.monotonic()))
                log.info(
                    "waiting for generators; a second signal ends at once",
                    calls=self._running,
                    seconds=seconds,
                )
            self._changed.wait_for(lambda: not self._running, self._deadline - time.monotonic())

    def _run(self) -> None:
        while True:
            video_id, call = self._calls.get()
            if not self._started():
                return
            try:
                call()
            except Exception:  # of the database: all others are recorded in the row
                log.exception("webhook call failed, will be retried", video_id=video_id)
            finally:
                self._finished(video_id)

    def _started(self) -> bool:
        with self._changed:
            self._running += self.is_running
            return self.is_running

    def _finished(self, video_id: str) -> None:
        with self._changed:
            self._running -= 1
            self._video_ids.discard(video_id)
            self._changed.notify_all()


_importing = threading.Lock()
_stopping = threading.Event()
_webhooks = WebhookPool()


# By its address, until when a queue that did not answer is left alone, so that callers do not wait for it in turn.
_away_until: dict[str, float] = {}


@dataclass(frozen=True)
class Queue:
    """Huey, and its only task."""

    huey: "Huey"
    produce: Any


@lru_cache(maxsize=1)
def queue() -> Queue:
    """The queue in the SQLite, PostgreSQL or Redis of QUEUE_URL, opened at first use."""
    huey = _open(settings().queue_dsn)
    return Queue(huey, produce=huey.task()(produce_video))


def enqueue(video_id: str) -> None:
    """Enqueue a video for any free worker. Raises nothing, since the row is committed: ``repair`` enqueues it later."""
    dsn = settings().queue_dsn
    if time.monotonic() < _away_until.get(dsn, 0.0):
        return
    try:
        queue().produce(video_id)
    except Exception:  # of SQLite, PostgreSQL, Redis or the network
        _away_until[dsn] = time.monotonic() + QUEUE_PAUSE_SECONDS
        log.exception("not enqueued yet", video_id=video_id)


def produce_video(video_id: str) -> None:
    """The task; the rows determine what is done."""
    # Once, and before _stopping: a stop in between must not lead to a call of a generator in this thread.
    has_pool = _webhooks.is_running
    if _stopping.is_set():
        enqueue(video_id)  # for another worker
        return
    if has_pool and pipeline.awaits_generator(video_id):
        _webhooks.submit(video_id, partial(pipeline.request_next, enqueue=enqueue))
        return
    work = pipeline.store_next if has_pool else partial(pipeline.produce, video_id)
    try:
        next_video = work(stopping=_stopping.is_set)
    except DiskFull as error:  # ``repair`` enqueues it again
        log.warning("a video waits", video_id=video_id, reason=error.public_message)
        return
    if next_video:
        enqueue(next_video)


def start_heartbeats() -> None:
    """Send heartbeats to the supervisor of an embedded worker, from before it waits for its database."""
    if pipe := os.environ.get(HEARTBEAT_FD):
        threading.Thread(target=_send_heartbeats, args=(int(pipe),), name="heartbeats", daemon=True).start()


def run() -> None:
    """Work until SIGTERM or SIGINT: transfers return to the queue at once, calls of generators end.

    A second signal ends the process at once.
    """
    consumer = _consumer()
    consumer._set_signal_handlers()  # noqa: SLF001 - a signal before ``run`` must also shut down orderly
    if settings().worker_port:
        _open_health_port()
    _webhooks.start(GENERATORS_AT_ONCE)
    registration = lease.WorkerRegistration(consumer.workers)
    _start_periodic("repair", REPAIR_SECONDS, _repairing(), at_start=True)
    _start_periodic("leases", LEASES_SECONDS, _taking_back(), at_start=True)
    _start_periodic("polling", POLL_SECONDS, _poll_generators)
    _start_periodic("playable copies", COPY_SECONDS, _make_copies, full_seconds=FULL_SECONDS)
    _start_periodic("worker registry", lease.BEAT_SECONDS, registration.beat, at_start=True)
    for channel in lifecycle.enabled_channels():  # one thread each: a slow mail server delays only mail
        deliver = partial(outbox.deliver_due, channel, stopping=_stopping.is_set)
        _start_periodic(f"notices by {channel}", DELIVER_SECONDS, deliver)
    log.debug("worker ready", transfers_at_once=consumer.workers)
    consumer.run()
    try:
        registration.deregister()
    except (SQLAlchemyError, DiskFull) as error:  # its entry is purged later
        log.warning("not deregistered", reason=type(error).__name__)
    _webhooks.finish()


def _open_health_port() -> None:
    """Probes and metrics on WORKER_PORT; imported only for it, since it takes some MB."""
    from videovault import worker_health
    from videovault.services.admin import statistics as gauges

    checks = {"database": scheduler.try_claim, "queue": queue().huey.pending_count}
    readiness = worker_health.Readiness(checks, _stopping)

    def own_gauges() -> dict[metrics.Gauge, metrics.Reading]:
        return {metrics.WORKER_READY: not readiness.problems(), metrics.WEBHOOK_CALLS: _webhooks.count()}

    metrics.enable("worker", gauges.connections, own_gauges)
    worker_health.HealthServer(readiness).start()


def _consumer() -> Any:
    with unavailable(*_unused_clients(settings().queue_dsn)):  # no other thread of a worker imports them yet
        huey = queue().huey
    from huey.consumer import Consumer  # after ``queue()``, which imports huey

    from videovault.sqlite_queue import WakingSqliteStorage

    class StoppingConsumer(Consumer):  # type: ignore[misc] # huey has no types
        def stop(self, graceful: bool = False) -> None:  # noqa: ARG002 - huey's signature
            self.stop_flag.set()
            _stopping.set()  # before the threads are joined, so that transfers release their videos
            for number in STOP_SIGNALS:
                signal.signal(number, _end_at_once)
            for video_id in _webhooks.stop(settings().webhook_timeout_seconds + RECORD_SECONDS):
                enqueue(video_id)  # for another worker
            if isinstance(huey.storage, WakingSqliteStorage):  # the others notice it within a second
                huey.storage.wake_ups.send(self.workers)
            super().stop(graceful=True)

    return StoppingConsumer(
        huey,
        workers=max(1, settings().workers),
        periodic=False,
        max_delay=1.0,
        graceful_signal="TERM",
        shutdown_timeout=STOP_SECONDS,
    )


def _end_at_once(number: int, _frame: object) -> None:
    """Without a log line: this thread may hold the lock of the log."""
    os._exit(128 + number)


def _open(dsn: str) -> "Huey":
    """Import huey without the client libraries that this process does not use: each of them takes 100 ms.

    Those of the database and of REDIS_URL stay visible, since other threads may be importing them.
    """
    scheme = urlsplit(dsn).scheme
    unused = _unused_clients(dsn, settings().database_dsn, settings().redis_url)
    with _importing, unavailable(*unused):
        from huey import PostgresHuey, RedisHuey

        from videovault.sqlite_queue import WakingSqliteHuey
    if scheme == "sqlite":
        file = Path(dsn.removeprefix("sqlite:///"))
        _drop_if_damaged(file)
        return WakingSqliteHuey(NAME, filename=str(file), results=False)
    if scheme in ("redis", "rediss"):
        from redis import ConnectionPool

        pool = ConnectionPool.from_url(dsn, **redis_connection.client_options(seconds=REDIS_SECONDS))
        return RedisHuey(NAME, connection_pool=pool, results=False)
    from videovault import postgres

    queue = PostgresHuey(
        NAME, connection=partial(postgres.connect_queue, dsn), results=False, create_tables=False
    )
    postgres.create_queue_tables(dsn, queue.storage.ddl)
    return queue


def _unused_clients(*urls: str) -> set[str]:
    return {*CLIENTS.values()} - {CLIENTS.get(urlsplit(url).scheme) for url in urls}


def _drop_if_damaged(file: Path) -> None:
    """``repair`` fills a new queue from the rows."""
    with directory_lock(file.absolute().parent):
        if file.exists() and not _is_sound(file):
            log.warning("the queue is damaged and is rebuilt from the rows", file=str(file))
            for suffix in ("", "-wal", "-shm"):
                file.with_name(file.name + suffix).unlink(missing_ok=True)


def _is_sound(file: Path) -> bool:
    """Whether SQLite can read all of it; a file that cannot be opened at the moment is not damaged."""
    try:
        with closing(sqlite3.connect(file, timeout=5)) as connection:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.OperationalError:
        return True
    except sqlite3.DatabaseError:
        return False


def _start_periodic(name: str, seconds: float, work: Callable[[], object], **options: Any) -> None:
    arguments = (name, seconds, work)
    threading.Thread(target=_run_periodically, args=arguments, kwargs=options, name=name, daemon=True).start()


def _run_periodically(
    name: str,
    seconds: float,
    work: Callable[[], object],
    *,
    at_start: bool = False,
    full_seconds: float = 0.0,
) -> None:
    """Call ``work`` every ``seconds`` until shutdown; an error ends only that call. ``full_seconds``: after DiskFull."""
    pause = 0.0 if at_start else seconds
    while not _stopping.wait(pause):
        pause = seconds
        try:
            work()
        except DiskFull as error:
            log.warning("the disk is full, waiting", task=name, reason=error.public_message)
            pause += full_seconds
        except Exception as error:
            if db.is_unavailable(error):  # an outage needs no traceback from each task
                log.warning(
                    "no answer from the database, trying again", task=name, reason=type(error).__name__
                )
            else:
                log.exception("failed, trying again", task=name)


def _repairing() -> Callable[[], None]:
    runs = count()

    def run() -> None:
        repair.finish_interrupted(enqueue=_enqueue_if_missing())
        if next(runs) % TIDY_EVERY == 0:
            repair.clean_up()

    return run


def _taking_back() -> Callable[[], None]:
    outages = lease.OutageWatch()

    def run() -> None:
        if outages.leases_are_valid():
            repair.take_back(enqueue=enqueue)

    return run


def _poll_generators() -> None:
    db.check_database_disk_space()  # otherwise generators would be polled without their answers being recorded
    for video_id in polling.due_video_ids():
        _webhooks.submit(video_id, partial(polling.poll, video_id, enqueue=enqueue))


def _make_copies() -> None:
    """One at a time, in addition to the transfers."""
    while playable_copy.make_next(stopping=_stopping.is_set) != "nothing to do":
        pass


def _send_heartbeats(pipe: int) -> None:
    """Send heartbeats to the supervisor, independent of the database."""
    os.set_inheritable(pipe, False)
    with suppress(OSError):  # the supervisor has ended
        while True:
            os.write(pipe, b".")
            time.sleep(HEARTBEAT_SECONDS)


def _enqueue_if_missing() -> Callable[[str], None]:
    @lru_cache(maxsize=1)
    def enqueued() -> set[str]:
        return {task.args[0] for task in queue().huey.pending() if task.args}

    def enqueue_missing(video_id: str) -> None:
        if video_id not in enqueued():
            metrics.REPAIRED.inc(what="not_queued")
            enqueue(video_id)

    return enqueue_missing
