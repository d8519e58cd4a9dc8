"""What crashes and outages left in S3: unfinished uploads that no video goes on with."""

import threading
import time
from collections.abc import Iterator
from datetime import timedelta

from sqlmodel import col, delete, select, update

from videovault import logs
from videovault.db import reading, transaction
from videovault.errors import StorageError
from videovault.gateways import storage
from videovault.gateways.storage import Upload
from videovault.models import Status, UploadPart, Video, now

SWEEP_SECONDS = 600.0
# An upload is written into its row right after it was begun.
STRAY_AFTER = timedelta(minutes=15)

log = logs.get(__name__)


class _Pause:
    """Lets a caller through once in a while, whichever thread it is in."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = 0.0

    def is_over(self) -> bool:
        with self._lock:
            if time.monotonic() < self._until:
                return False
            self._until = time.monotonic() + SWEEP_SECONDS
            return True


_pause = _Pause()


def clear() -> None:
    """Abort what is left of failed videos, and now and then whatever else no row knows of."""
    try:
        abort_failed()
        if _pause.is_over():
            abort_strays()
    except StorageError as error:
        log.warning("clearing up waits for S3", reason=error.public_message)


def abort_failed() -> None:
    """Uploads of failed or cancelled videos whose worker could not abort them itself."""
    left = select(Video).where(Video.status == Status.FAILED).where(col(Video.upload_id).is_not(None))
    with reading() as session:
        videos = list(session.exec(left))
    for video in videos:
        abort(video)


def abort(video: Video) -> None:
    """Abort the upload that the row names and forget it, unless the video has gone on meanwhile."""
    storage.connected().abort_upload(str(video.s3_key), str(video.upload_id))
    same = (col(Video.id) == video.id) & (col(Video.upload_id) == video.upload_id)
    idle = col(Video.status).not_in((Status.QUEUED, Status.STORING))
    with transaction() as session:
        done = session.execute(update(Video).where(same & idle).values(upload_id=None, upload_source=None))
        if getattr(done, "rowcount", 0):
            session.exec(delete(UploadPart).where(col(UploadPart.video_id) == video.id))


def abort_strays(older_than: timedelta = STRAY_AFTER) -> None:
    """Uploads of videos that are in S3 but in no row, as a crash at their very beginning leaves them."""
    for upload in strays(older_than):
        log.warning("stray upload aborted", key=upload.key)
        storage.connected().abort_upload(upload.key, upload.upload_id)


def strays(older_than: timedelta = STRAY_AFTER) -> Iterator[Upload]:
    """Old uploads of videos that no row knows of."""
    before = now() - older_than
    for upload in storage.connected().uploads("videos/"):
        if upload.begun_at < before and not is_known(upload.upload_id):
            yield upload


def is_known(upload_id: str) -> bool:
    with reading() as session:
        return session.exec(select(Video.id).where(Video.upload_id == upload_id)).first() is not None
