"""Workers in threads, and what a transfer has left in the database and in S3."""

from threading import Event, Thread

from sqlmodel import select

from tests.support.waiting import HANG_SECONDS, eventually
from videovault.db import reading
from videovault.gateways import storage
from videovault.models import UploadPart
from videovault.services.transfer import pipeline


class Worker:
    """Stores one video in a thread of its own."""

    def __init__(self, video_id: str) -> None:
        self.stopping = Event()
        self._thread = Thread(
            target=pipeline.produce, args=(video_id,), kwargs={"stopping": self.stopping.is_set}
        )
        self._thread.start()

    def ended(self) -> None:
        self._thread.join(HANG_SECONDS)
        assert not self._thread.is_alive()


def parts_of(video_id: str) -> int:
    with reading() as session:
        return len(session.exec(select(UploadPart).where(UploadPart.video_id == video_id)).all())


def wait_for_parts(video_id: str) -> None:
    eventually(lambda: parts_of(video_id))


def never() -> bool:
    return False


def is_clean() -> bool:
    vault = storage.connected()
    return not list(vault.keys()) and not list(vault.uploads())
