"""Videos in any state: inserted as rows, stored through a worker, or replaced in S3; and workers in threads."""

from datetime import timedelta
from threading import Event, Thread

from sqlmodel import select

from tests.support.generator import Generator
from tests.support.waiting import HANG_SECONDS, eventually
from videovault.clock import read_db_now
from videovault.db import reading, transaction
from videovault.gateways import storage
from videovault.gateways.storage import Description
from videovault.models import Status, UploadPart, Video
from videovault.services.core import lifecycle
from videovault.services.core.access import Caller
from videovault.services.transfer import pipeline
from videovault.services.videos import gallery


def insert_video(
    owner: Caller, status: Status, *, ago: float = 0, title: str = "A title", **values: object
) -> str:
    """The id of a new video that has been waiting for ``ago`` seconds."""
    with transaction() as session:
        since = read_db_now(session) - timedelta(seconds=ago)
        video = lifecycle.new_video(
            owner.user_id, status, title, **{"queued_at": since, "updated_at": since} | values
        )
        session.add(video)
        return video.id


def set_columns(video_id: str, **columns: object) -> None:
    """Set columns directly, such as times in the past."""
    with transaction() as session:
        row = session.get_one(Video, video_id)
        for name, value in columns.items():
            setattr(row, name, value)


def finish_video(video_id: str, status: Status) -> None:
    """End the worker's part with this status."""
    with transaction() as session:
        video = session.get_one(Video, video_id)
        assert lifecycle.transition(session, video, status, heartbeat_at=None)


def store_video(owner: Caller, generator: Generator, title: str = "Launch") -> str:
    """The id of a new video that is ready."""
    view = gallery.store_link(owner, generator.video_url, owner.email, title, enqueue=lambda _: None)
    pipeline.produce(view.video_id, stopping=lambda: False)
    return view.video_id


def swap_object(video: Video) -> None:
    """Replace the object by the same bytes without the right tag, as anyone with access to the bucket could."""
    vault, key = storage.connected(), str(video.s3_key)
    content = vault.read(key, video.size or 0)
    assert content
    vault.put(key, content, Description("video/mp4", metadata={"videovault-tag": "guessed"}))


class TransferThread:
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


def count_parts(video_id: str) -> int:
    with reading() as session:
        return len(session.exec(select(UploadPart).where(UploadPart.video_id == video_id)).all())


def wait_for_parts(video_id: str) -> None:
    eventually(lambda: count_parts(video_id))


def never() -> bool:
    return False


def ignore_job(_video_id: str) -> None:
    """For ``enqueue``: the test runs the job itself."""


def is_storage_empty() -> bool:
    vault = storage.connected()
    return not list(vault.keys()) and not list(vault.uploads())
