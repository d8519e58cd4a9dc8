"""The queue and its worker process. A task is two lines; the row, not the queue, is the truth."""

import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from huey import Huey, PostgresHuey, RedisHuey, SqliteHuey
from huey.consumer import Consumer

from videovault import logs
from videovault.config import settings
from videovault.models import Channel
from videovault.services import notices, outbox, pipeline

NAME = "videovault"
REPAIR_SECONDS = 5.0
DELIVER_SECONDS = 1.0
STOP_SECONDS = 15.0

log = logs.get(__name__)
_stopping = threading.Event()


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
    queue().produce(video_id)


def produce_video(video_id: str) -> None:
    """The task: what is to be done with the video, its row tells."""
    pipeline.produce(video_id, stopping=_stopping.is_set)


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
    threading.Thread(target=_keep_repairing, name="repair", daemon=True).start()
    for channel in notices.channels():  # a thread each: a slow mail server keeps back nothing but mail
        threading.Thread(
            target=_keep_delivering, args=(channel,), name=f"notices by {channel}", daemon=True
        ).start()
    log.debug("worker ready", transfers_at_once=consumer.workers)
    consumer.run()


class _Consumer(Consumer):  # type: ignore[misc] # huey has no types
    def stop(self, graceful: bool = False) -> None:
        _stopping.set()  # before the threads are waited for, so that transfers give up their videos
        super().stop(graceful)


def _opened(dsn: str) -> Huey:
    scheme = urlsplit(dsn).scheme
    if scheme == "sqlite":
        file = Path(dsn.removeprefix("sqlite:///"))
        file.parent.mkdir(parents=True, exist_ok=True)
        return SqliteHuey(NAME, filename=str(file), results=False)
    if scheme in ("redis", "rediss"):
        return RedisHuey(NAME, url=dsn, results=False)
    return PostgresHuey(NAME, dsn=dsn, results=False)


def _keep_repairing() -> None:
    while True:
        try:
            pipeline.repair(enqueue=_enqueue_if_missing())
        except Exception:  # the repair that ends with a passing fault would never mend another
            log.exception("repair failed, trying again")
        if _stopping.wait(REPAIR_SECONDS):
            return


def _keep_delivering(channel: Channel) -> None:
    while not _stopping.wait(DELIVER_SECONDS):
        try:
            outbox.deliver_due(channel, stopping=_stopping.is_set)
        except Exception:  # as above
            log.exception("delivering notices failed, trying again")


def _enqueue_if_missing() -> Any:
    waiting = {task.args[0] for task in queue().huey.pending()}
    return lambda video_id: None if video_id in waiting else enqueue(video_id)
