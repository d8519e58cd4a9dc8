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
from videovault.db import read_db_now, reading, transaction
from videovault.errors import DiskFull, VideoVaultError, WebhookUnanswered
from videovault.gateways import probe, storage
from videovault.gateways.container import CONTENT_TYPES, SNIFF_BYTES, Container, detect_container
from videovault.gateways.source_errors import too_large
from videovault.models import Status, Video, utcnow
from videovault.services.core import lifecycle
from videovault.services.core.capacity import STEP_BYTES, free_spool_bytes, temporary_file
from videovault.services.core.lifecycle import lease_expired
from videovault.services.core.naming import content_disposition, object_key
from videovault.services.generation import orders
from videovault.services.transfer import cleanup
from videovault.services.transfer import store as transfer_store
from videovault.services.transfer.engine import RetryPolicy, StoredObject, storage_retry_policy
from videovault.services.transfer.engine.uploads import upload_file
from videovault.services.transfer.lease import Lease, LeaseLost
from videovault.services.videos import sidecar
from videovault.services.videos.integrity import TAG

MAX_DURATION = timedelta(hours=1)  # for all of the body
WORKER_DIED_NOTE = f"The server was interrupted while the video arrived. {orders.ORDERED_ONCE}"
RELEASED_COLUMNS: dict[str, Any] = {
    "heartbeat_at": None,
    "reserved_bytes": 0,
    "bytes_done": 0,
    "bytes_total": None,
    "bytes_per_second": None,
}

log = logs.get(__name__)


def store_response(video: Video, pieces: Iterator[bytes], length: int | None) -> None:
    """Make ``video``, whose order this worker has placed, ready with the bytes of the answer.

    It fails where there is no room, and where S3 does not take it. Raises WebhookUnanswered when the bytes are not all
    of the video: news are waited for then.
    """
    video.s3_key = object_key(video, "")
    try:
        # A worker that is told to stop has some seconds for what generators answered, and would only lose it.
        with Lease(video, stopping=lambda: False) as lease:
            until = utcnow() + MAX_DURATION + orders.MIN_RENDER_TIMEOUT
            lease.note(s3_key=video.s3_key, deadline_at=until, generator_note=None)
            with temporary_file() as file:
                size = _received(pieces, length, file, lease)
                with storage_retry_policy(RetryPolicy(), lease.check):
                    cleanup.delete_earlier_objects(video)
                    transfer_store.mark_ready(video, *_uploaded(video, file, size, lease))
            sidecar.write(video.id)
    except LeaseLost:
        log.info("the answer's video given up: the video was cancelled, deleted or has an address")
        transfer_store.clean_up_after(video)
    except WebhookUnanswered:
        _wait(video)
        raise
    except VideoVaultError as error:
        log.warning("the answer's video not stored", code=error.code, reason=error.public_message)
        transfer_store.mark_failed(video, error)


def release_expired() -> None:
    """Wait for news of videos whose worker died while it received them."""
    with reading() as session:
        silent = lease_expired(read_db_now(session))
        held = (Video.status == Status.GENERATING, col(Video.reserved_bytes) > 0, silent)
        videos = list(session.exec(select(Video).where(*held)))
    for video in videos:
        with transaction() as session:
            # Looked at again: its worker may have been late only.
            if lifecycle.update_if_unchanged(
                session,
                video,
                lease_expired(read_db_now(session)),
                **RELEASED_COLUMNS,
                generator_note=WORKER_DIED_NOTE,
            ):
                log.warning("worker died while it received a video, waiting for news", video_id=video.id)


def _received(pieces: Iterator[bytes], length: int | None, file: BinaryIO, lease: Lease) -> int:
    """The size of the video, which is in ``file`` now. Raises as ``store`` and ``Lease.progress`` do."""
    most, until = settings().max_video_bytes, time.monotonic() + MAX_DURATION.total_seconds()
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
                f"The video did not arrive within {MAX_DURATION // timedelta(minutes=1)} minutes."
            )
        lease.progress(size, length)
        _write(file, piece)
    if length is not None and size != length:
        raise WebhookUnanswered("The answer is not as long as it says.")
    return size


def _check_spool(written: int, further: int) -> None:
    if free_spool_bytes(written) < further:
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


def _uploaded(
    video: Video, file: BinaryIO, size: int, lease: Lease
) -> tuple[StoredObject, probe.ProbeResult | None]:
    """Raises WebhookUnanswered for a video that ends too early, NoPicture, StorageError, and as Lease.check does."""
    vault, key, container = storage.connected(), str(video.s3_key), _container(file)
    described = storage.Description(
        CONTENT_TYPES[container],
        content_disposition(video.title, container),
        {TAG: transfer_store.integrity_tag(video, key)},
    )
    sent = upload_file(vault, key, file, size, described, lease.check)
    stored = StoredObject(size, sent.crc32, sent.etag, container, size)
    seen = transfer_store.probe_object(video, stored)
    if seen is not None and seen.is_complete is False:
        vault.delete([key])
        raise WebhookUnanswered("The video in the answer ends too early.")
    if seen is not None and not seen.has_picture:
        raise transfer_store.NoVideoTrack
    return stored, seen


def _container(file: BinaryIO) -> Container:
    file.seek(0)
    return detect_container(file.read(SNIFF_BYTES))


def _wait(video: Video) -> None:
    """For the generator's news, as for any order whose answer was lost."""
    with transaction(essential=True) as session:
        waits = lifecycle.update_if_unchanged(session, video, **RELEASED_COLUMNS)
    if not waits:  # cancelled, deleted or given an address while the next bytes were awaited
        transfer_store.clean_up_after(video)
