"""The queue and its worker process. A task is two lines; the row, not the queue, is the truth."""

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from huey import Huey, PostgresHuey, RedisHuey, SqliteHuey
from huey.consumer import Consumer

from videovault import db, logs
from videovault.config import settings
from videovault.data_dir import directory_lock
from videovault.errors import DiskFull
from videovault.models import Channel
from videovault.services.core import lifecycle
from videovault.services.generation import polling
from videovault.services.maintenance import repair
from videovault.services.notifications import outbox
from videovault.services.transfer import pipeline, playable_copy, worker_registry
from videovault.webhook_pool import WebhookPool

NAME = "videovault"
REPAIR_SECONDS = 5.0
TIDY_EVERY = 120  # repairs, the first one included
POLL_SECONDS = 1.0
COPY_SECONDS = 1.0
FULL_SECONDS = 60.0
DELIVER_SECONDS = 1.0
GENERATORS_AT_ONCE = 8
STOP_SECONDS = 15.0
HEARTBEAT_SECONDS = 2.0
HEARTBEAT_FD = "VIDEOVAULT_HEARTBEAT_FD"  # names a pipe of the supervisor's

log = logs.get(__name__)
_stopping = threading.Event()
_askers = WebhookPool()


@dataclass(frozen=True)
class Queue:
    """Huey, and the one task that workers take from it."""

    huey: Huey
    produce: Any


@lru_cache(maxsize=1)
def queue() -> Queue:
    """The queue in the SQLite, PostgreSQL or Redis that QUEUE_URL names, opened at first use."""
    huey = _opened(settings().queue_dsn)
    return Queue(huey, produce=huey.task()(produce_video))


def enqueue(video_id: str) -> None:
    """Hand a video to whichever worker is free."""
    try:
        queue().produce(video_id)
    except sqlite3.OperationalError as error:  # the row tells ``repair`` to hand it out later
        log.warning("not handed out yet", video_id=video_id, reason=str(error))


def produce_video(video_id: str) -> None:
    """The task: what is to be done, the rows tell."""
    if _askers.is_running and pipeline.awaits_generator(video_id):
        _askers.take(video_id, partial(pipeline.request_next, enqueue=enqueue))
        return
    work = pipeline.store_next if _askers.is_running else partial(pipeline.produce, video_id)
    try:
        following = work(stopping=_stopping.is_set)
    except DiskFull as error:  # ``repair`` hands it out again
        log.warning("a video waits", video_id=video_id, reason=error.public_message)
        return
    if following:
        enqueue(following)


def run() -> None:
    """Work until SIGTERM or SIGINT; running transfers are given back to the queue."""
    consumer = _Consumer(
        queue().huey,
        workers=max(1, settings().workers),
        periodic=False,
        max_delay=1.0,
        graceful_signal="TERM",
        shutdown_timeout=STOP_SECONDS,
    )
    consumer._set_signal_handlers()  # noqa: SLF001 - a signal that comes before it runs is an orderly end, too
    _askers.start(GENERATORS_AT_ONCE)
    here = worker_registry.WorkerRegistration(consumer.workers)
    beside: list[tuple[str, Callable[[], None]]] = [("repair", _keep_repairing), ("polling", _keep_polling)]
    beside.append(("playable copies", _keep_copying))
    beside.append(("presence", partial(_keep_present, here)))
    if heartbeats := os.environ.get(HEARTBEAT_FD):
        beside.append(("heartbeats", partial(_keep_beating, int(heartbeats))))
    # A thread for each channel: a slow mail server keeps back nothing but mail.
    beside += [
        (f"notices by {each}", partial(_keep_delivering, each)) for each in lifecycle.enabled_channels()
    ]
    for name, keep_on in beside:
        threading.Thread(target=keep_on, name=name, daemon=True).start()
    log.debug("worker ready", transfers_at_once=consumer.workers)
    consumer.run()
    _askers.finish()
    here.leave()


class _Consumer(Consumer):  # type: ignore[misc] # huey has no types
    def stop(self, graceful: bool = False) -> None:
        _stopping.set()  # before the threads are waited for, so that transfers give up their videos
        _askers.stop(STOP_SECONDS)
        super().stop(graceful)


def _opened(dsn: str) -> Huey:
    scheme = urlsplit(dsn).scheme
    if scheme == "sqlite":
        file = Path(dsn.removeprefix("sqlite:///"))
        _drop_if_damaged(file)
        return SqliteHuey(NAME, filename=str(file), results=False)
    if scheme in ("redis", "rediss"):
        return RedisHuey(NAME, url=dsn, results=False)
    return PostgresHuey(NAME, dsn=dsn, results=False)


def _drop_if_damaged(file: Path) -> None:
    """The rows are the truth: ``repair`` puts what is to be done into a new queue."""
    with directory_lock(file.absolute().parent):
        if file.exists() and not _is_sound(file):
            log.warning("the queue is damaged and is built again from the rows", file=str(file))
            for suffix in ("", "-wal", "-shm"):
                file.with_name(file.name + suffix).unlink(missing_ok=True)


def _is_sound(file: Path) -> bool:
    """Whether SQLite can read it all; one that cannot be opened at this moment is not damaged."""
    try:
        with closing(sqlite3.connect(file, timeout=5)) as connection:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.OperationalError:
        return True
    except sqlite3.DatabaseError:
        return False


def _keep_repairing() -> None:
    for turn in count():
        try:
            repair.repair(enqueue=_enqueue_if_missing())
            if turn % TIDY_EVERY == 0:
                repair.clean_up()
        except Exception:  # the repair that ends with a passing fault would never mend another
            log.exception("repair failed, trying again")
        if _stopping.wait(REPAIR_SECONDS):
            return


def _keep_polling() -> None:
    while not _stopping.wait(POLL_SECONDS):
        try:
            db.check_database_disk_space()  # else a generator would be asked again and again, and nothing noted
            for video_id in polling.due_video_ids():
                _askers.take(video_id, partial(polling.poll, video_id, enqueue=enqueue))
        except DiskFull as error:
            log.warning("polling waits", reason=error.public_message)
        except Exception:  # as above
            log.exception("polling failed, trying again")


def _keep_copying() -> None:
    """One at a time, and never in the place of a transfer."""
    while not _stopping.wait(COPY_SECONDS):
        try:
            while playable_copy.make_next(stopping=_stopping.is_set) != "nothing to do":
                pass
        except DiskFull as error:
            log.warning("playable copies wait", reason=error.public_message)
            _stopping.wait(FULL_SECONDS)
        except Exception:  # as above
            log.exception("making playable copies failed, trying again")


def _keep_present(here: worker_registry.WorkerRegistration) -> None:
    while not _stopping.is_set():
        try:
            here.beat()
        except Exception:  # as above
            log.exception("the worker could not tell that it is alive, trying again")
        _stopping.wait(worker_registry.BEAT_SECONDS)


def _keep_beating(pipe: int) -> None:
    """Tell the supervisor that this process runs, whatever the database does."""
    os.set_inheritable(pipe, False)
    with suppress(OSError):  # the supervisor has ended
        while True:
            os.write(pipe, b".")
            time.sleep(HEARTBEAT_SECONDS)


def _keep_delivering(channel: Channel) -> None:
    while not _stopping.wait(DELIVER_SECONDS):
        try:
            outbox.deliver_due(channel, stopping=_stopping.is_set)
        except Exception:  # as above
            log.exception("delivering notices failed, trying again")


def _enqueue_if_missing() -> Callable[[str], None]:
    @lru_cache(maxsize=1)
    def waiting() -> set[str]:
        return {task.args[0] for task in queue().huey.pending() if task.args}

    def hand_over(video_id: str) -> None:
        if video_id not in waiting():
            enqueue(video_id)

    return hand_over
