"""A video that is the answer to its own order: received into a file, then stored as one that was fetched is.

Until it is stored its row waits for the generator, so that whatever ends this, a worker's death included, leaves an order
without news, which is not sent again.
"""

import errno
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, BinaryIO

from sqlmodel import col, select

from videovault import logs
from videovault.config import settings
from videovault.db import moment, reading, transaction
from videovault.errors import DiskFull, VideoVaultError, WebhookUnanswered
from videovault.gateways import probe, storage
from videovault.gateways.container import CONTENT_TYPES, SNIFF_BYTES, Container, container_of
from videovault.gateways.source_errors import too_large
from videovault.models import Status, Video, now
from videovault.services.core import lifecycle
from videovault.services.core.capacity import STEP_BYTES, spool, spool_room
from videovault.services.core.lifecycle import is_silent
from videovault.services.core.naming import content_disposition, object_key
from videovault.services.generation import orders
from videovault.services.transfer import cleanup
from videovault.services.transfer import store as transfer_store
from videovault.services.transfer.engine import Patience, Stored, patient_with_storage
from videovault.services.transfer.engine.files import upload
from videovault.services.transfer.lease import Lease, Superseded
from videovault.services.videos import sidecar
from videovault.services.videos.integrity import TAG

LONGEST = timedelta(hours=1)  # for all of the body
DIED = f"The server was interrupted while the video arrived. {orders.ORDERED_ONCE}"
LET_GO: dict[str, Any] = {
    "heartbeat_at": None,
    "reserved_bytes": 0,
    "bytes_done": 0,
    "bytes_total": None,
    "bytes_per_second": None,
}

log = logs.get(__name__)


def store(video: Video, pieces: Iterator[bytes], length: int | None) -> None:
    """Make ``video``, whose order this worker has placed, ready with the bytes of the answer.

    It fails where there is no room, and where S3 does not take it. Raises WebhookUnanswered when the bytes are not all
    of the video: news are waited for then.
    """
    video.s3_key = object_key(video, "")
    try:
        # A worker that is told to stop has some seconds for what generators answered, and would only lose it.
        with Lease(video, stopping=lambda: False) as lease:
            until = now() + LONGEST + orders.LEAST_WAIT
            lease.note(s3_key=video.s3_key, deadline_at=until, generator_note=None)
            with spool() as file:
                size = _received(pieces, length, file, lease)
                with patient_with_storage(Patience(), lease.check):
                    cleanup.clear_earlier(video)
                    transfer_store.finish(video, *_uploaded(video, file, size, lease))
            sidecar.write(video.id)
    except Superseded:
        log.info("the answer's video given up: the video was cancelled, deleted or has an address")
        transfer_store.let_go(video)
    except WebhookUnanswered:
        _wait(video)
        raise
    except VideoVaultError as error:
        log.warning("the answer's video not stored", code=error.code, reason=error.public_message)
        transfer_store.fail(video, error)


def take_back() -> None:
    """Wait for news of videos whose worker died while it received them."""
    with reading() as session:
        silent = is_silent(moment(session))
        held = (Video.status == Status.GENERATING, col(Video.reserved_bytes) > 0, silent)
        videos = list(session.exec(select(Video).where(*held)))
    for video in videos:
        with transaction() as session:
            # Looked at again: its worker may have been late only.
            if lifecycle.change(session, video, is_silent(moment(session)), **LET_GO, generator_note=DIED):
                log.warning("worker died while it received a video, waiting for news", video_id=video.id)


def _received(pieces: Iterator[bytes], length: int | None, file: BinaryIO, lease: Lease) -> int:
    """The size of the video, which is in ``file`` now. Raises as ``store`` and ``Lease.progress`` do."""
    most, until = settings().max_video_bytes, time.monotonic() + LONGEST.total_seconds()
    if length is not None and length > most:
        raise too_large(most)
    _check_spool(0, length or STEP_BYTES)
    lease.begin(length)
    size = checked = 0
    for piece in pieces:
        size += len(piece)
        if size > most:
            raise too_large(most)
        if size - checked >= STEP_BYTES:
            _check_spool(checked, STEP_BYTES)
            checked = size
        if time.monotonic() > until:
            raise WebhookUnanswered(
                f"The video did not arrive within {LONGEST // timedelta(minutes=1)} minutes."
            )
        lease.progress(size, length)
        _write(file, piece)
    if length is not None and size != length:
        raise WebhookUnanswered("The answer is not as long as it says.")
    return size


def _check_spool(written: int, further: int) -> None:
    if spool_room(written) < further:
        raise DiskFull(
            "There is no room on the server's disk for the video that the generator sent. "
            "Ask the admin for more room, then try again."
        )


def _write(file: BinaryIO, piece: bytes) -> None:
    try:
        file.write(piece)
        file.flush()
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFull from error
        raise


def _uploaded(video: Video, file: BinaryIO, size: int, lease: Lease) -> tuple[Stored, probe.Probe | None]:
    """Raises WebhookUnanswered for a video that ends too early, NoPicture, StorageError, and as Lease.check does."""
    vault, key, container = storage.connected(), str(video.s3_key), _container(file)
    described = storage.Description(
        CONTENT_TYPES[container],
        content_disposition(video.title, container),
        {TAG: transfer_store.tag(video, key)},
    )
    sent = upload(vault, key, file, size, described, lease.check)
    stored = Stored(size, sent.crc32, sent.etag, container, size)
    seen = transfer_store.look_at(video, stored)
    if seen is not None and seen.is_complete is False:
        vault.delete([key])
        raise WebhookUnanswered("The video in the answer ends too early.")
    if seen is not None and not seen.has_picture:
        raise transfer_store.NoPicture
    return stored, seen


def _container(file: BinaryIO) -> Container:
    file.seek(0)
    return container_of(file.read(SNIFF_BYTES))


def _wait(video: Video) -> None:
    """For the generator's news, as for any order whose answer was lost."""
    with transaction(essential=True) as session:
        waits = lifecycle.change(session, video, **LET_GO)
    if not waits:  # cancelled, deleted or given an address while the next bytes were awaited
        transfer_store.let_go(video)
