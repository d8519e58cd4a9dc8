"""Workers in threads, and what a transfer has left in the database and in S3."""

import time
from threading import Event, Thread

from sqlmodel import select

from videovault.db import reading
from videovault.gateways import storage
from videovault.models import UploadPart
from videovault.services import pipeline

PATIENCE_SECONDS = 30


class Worker:
    """Stores one video in a thread of its own."""

    def __init__(self, video_id: str) -> None:
        self.stopping = Event()
        self._thread = Thread(
            target=pipeline.produce, args=(video_id,), kwargs={"stopping": self.stopping.is_set}
        )
        self._thread.start()

    def ended(self) -> None:
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive()


def parts_of(video_id: str) -> int:
    with reading() as session:
        return len(session.exec(select(UploadPart).where(UploadPart.video_id == video_id)).all())


def wait_for_parts(video_id: str) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until and not parts_of(video_id):
        time.sleep(0.02)
    assert parts_of(video_id)


def never() -> bool:
    return False


def is_clean() -> bool:
    vault = storage.connected()
    return not list(vault.keys()) and not list(vault.uploads())
