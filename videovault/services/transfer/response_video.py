"""Stores a video that the generator sends in the response to its order: received into a file, then uploaded.

Until then its status stays ``generating``, so that any interruption, even the worker's death, leaves an order without
a result, which is not sent again.
"""

import errno
import time
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from threading import BoundedSemaphore
from typing import Any, BinaryIO

from sqlalchemy import ColumnElement
from sqlmodel import col, or_, select

from videovault import logs, metrics
from videovault.backoff import exponential
from videovault.clock import read_db_now, utcnow
from videovault.config import settings
from videovault.db import reading, transaction
from videovault.errors import DiskFull, StorageError, VideoVaultError, WebhookUnanswered
from videovault.gateways import media, s3_client, storage
from videovault.gateways.container import CONTENT_TYPES, SNIFF_BYTES, Container, detect_container
from videovault.gateways.source_errors import too_large
from videovault.models import Status, Video
from videovault.services.core import lifecycle
from videovault.services.core.lifecycle import lease_expired
from videovault.services.core.naming import content_disposition, object_key
from videovault.services.core.quota import STEP_BYTES, free_spool_bytes, temporary_file
from videovault.services.generation import orders
from videovault.services.generation.order_lease import ORDERED_ONCE, keep_trying
from videovault.services.transfer import cleanup, store
from videovault.services.transfer.engine import RetryPolicy, StoredObject, storage_retry_policy
from videovault.services.transfer.engine.uploads import FileUpload
from videovault.services.transfer.lease import Lease, LeaseLost
from videovault.services.videos import sidecar
from videovault.services.videos.integrity import TAG

MAX_DURATION = timedelta(hours=1)  # for the whole body
# With an S3 that is away or refuses, as after a change of its permissions; for at most half of the threads that call
# generators (worker.GENERATORS_AT_ONCE), so that orders and polls go on.
STORE_PATIENCE = timedelta(minutes=30)
MAX_PATIENT = 4
STORE_PAUSE_SECONDS = (1.0, 30.0)  # the first and the longest one
NOT_STORED_NOTE = (
    "The video has arrived, but the storage does not accept it yet. It is tried again for half an hour."
)
WORKER_DIED_NOTE = f"The server was interrupted while the video arrived. {ORDERED_ONCE}"
RELEASED_COLUMNS: dict[str, Any] = {
    "heartbeat_at": None,
    "reserved_bytes": 0,
    "bytes_done": 0,
    "bytes_total": None,
    "bytes_per_second": None,
}

log = logs.get(__name__)
_patient = BoundedSemaphore(MAX_PATIENT)


def store_response(video: Video, chunks: Iterator[bytes], length: int | None) -> None:
    """Store the response's body as ``video``, whose order this worker has sent.

    The video fails without enough space, or if S3 does not accept it for ``STORE_PATIENCE``. Raises WebhookUnanswered
    when the body is incomplete: then the video is released for the generator's report.
    """
    video.s3_key = object_key(video, "")
    started = time.monotonic()
    try:
        # A stopping worker finishes this if it can: giving up would lose the video.
        with Lease(video, stopping=lambda: False) as lease:
            until = utcnow() + MAX_DURATION + STORE_PATIENCE + orders.MIN_RENDER_TIMEOUT
            arriving = {"s3_key": video.s3_key, "deadline_at": until, "generator_note": None}
            keep_trying(partial(lease.note, **arriving))
            with temporary_file() as file:
                size = _receive(chunks, length, file, lease)
                with storage_retry_policy(RetryPolicy(), lease.check):
                    keep_trying(partial(cleanup.delete_earlier_objects, video))
                    stored, probed = _upload_patiently(video, file, size, lease)
                    keep_trying(partial(store.mark_ready, video, stored, probed))
            store.note_stored(size, time.monotonic() - started)
            sidecar.write(video.id)
    except LeaseLost:
        log.info("video in the response dropped: it was cancelled, deleted or has a URL")
        metrics.TRANSFERS.inc(outcome="lost")
        store.clean_up_after(video)
    except WebhookUnanswered:
        _wait_for_report(video)
        raise
    except VideoVaultError as error:
        log.warning("video in the response not stored", code=error.code, reason=error.public_message)
        store.note_failed(error)
        keep_trying(partial(store.mark_failed, video, error))


def release_expired() -> None:
    """Release the space of videos whose worker died while receiving them.

    ``order_lease`` covers the whole call and continues the order. Without that lease, as in rows of earlier versions,
    the video waits for the generator's report.
    """
    with reading() as session:
        expired = lease_expired(read_db_now(session))
        held = (Video.status == Status.GENERATING, col(Video.reserved_bytes) > 0, expired)
        videos = list(session.exec(select(Video).where(*held)))
    for video in videos:
        with transaction() as session:
            # Checked again inside the transaction: the worker may only have been late.
            expired = lease_expired(read_db_now(session))
            note = {"generator_note": WORKER_DIED_NOTE}
            if lifecycle.update_if_unchanged(
                session, video, expired, *_without_order_lease(video), **RELEASED_COLUMNS, **note
            ):
                metrics.REPAIRED.inc(what="receiver_died")
                log.warning(
                    "worker died while it received a video, waiting for the report",
                    video_id=video.id,
                    request_id=video.request_id,
                )
            else:
                lifecycle.update_if_unchanged(session, video, expired, **RELEASED_COLUMNS)


def _without_order_lease(video: Video) -> tuple[ColumnElement[bool], ...]:
    """Whether the order has no lease, and had none that expired a moment earlier."""
    given_up = col(Video.unanswered_attempt)
    return (
        col(Video.call_heartbeat_at).is_(None),
        col(Video.requested_at).is_not(None),
        or_(given_up.is_(None), given_up != video.attempt),
    )


def _receive(chunks: Iterator[bytes], length: int | None, file: BinaryIO, lease: Lease) -> int:
    """Write the body to ``file`` and return its size. Raises as ``store_response`` and ``Lease.progress`` do."""
    most, until = settings().max_video_bytes, time.monotonic() + MAX_DURATION.total_seconds()
    if length is not None and length > most:
        raise too_large(most)
    _check_spool(0, length or STEP_BYTES)
    keep_trying(partial(lease.begin, length))
    size = checked = 0
    for chunk in chunks:
        size += len(chunk)
        if size > most:
            raise too_large(most)
        if size - checked >= STEP_BYTES:
            _check_spool(checked, STEP_BYTES)
            checked = size
        if time.monotonic() > until:
            raise WebhookUnanswered(
                f"The video did not arrive within {MAX_DURATION // timedelta(minutes=1)} minutes."
            )
        keep_trying(partial(lease.progress, size, length))
        metrics.TRANSFER_BYTES.inc(len(chunk))
        _write(file, chunk)
    if length is not None and size != length:
        raise WebhookUnanswered("The response is shorter or longer than announced.")
    return size


def _check_spool(written: int, needed: int) -> None:
    if free_spool_bytes(written) < needed:
        raise DiskFull(
            "There is not enough space on the server's disk for the video that the generator sent. "
            "Ask the admin for more space, then try again."
        )


def _write(file: BinaryIO, chunk: bytes) -> None:
    try:
        file.write(chunk)
        file.flush()
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFull from error
        raise


def _upload_patiently(
    video: Video, file: BinaryIO, size: int, lease: Lease
) -> tuple[StoredObject, media.ProbeResult | None]:
    """Upload, again for ``STORE_PATIENCE`` after any error of S3: this is the only copy of a render that is paid for."""
    try:
        return _upload(video, file, size, lease)
    except StorageError:
        if not _patient.acquire(blocking=False):
            raise
    try:
        return _upload_again(video, file, size, lease)
    finally:
        _patient.release()


def _upload_again(
    video: Video, file: BinaryIO, size: int, lease: Lease
) -> tuple[StoredObject, media.ProbeResult | None]:
    failures, until = 1, time.monotonic() + STORE_PATIENCE.total_seconds()
    while True:
        log.warning("S3 does not accept a received video, trying again", failures=failures)
        keep_trying(partial(lease.note, generator_note=NOT_STORED_NOTE))
        s3_client.interruptible_sleep(exponential(*STORE_PAUSE_SECONDS, failures), lease.check)
        try:
            return _upload(video, file, size, lease)
        except StorageError:
            if time.monotonic() >= until:
                raise
            failures += 1


def _upload(
    video: Video, file: BinaryIO, size: int, lease: Lease
) -> tuple[StoredObject, media.ProbeResult | None]:
    """Raises WebhookUnanswered for a truncated video, NoVideoTrack, StorageError, and as Lease.check does."""
    vault, key, container = storage.connected(), str(video.s3_key), _container(file)
    description = storage.Description(
        CONTENT_TYPES[container],
        content_disposition(video.title, container),
        {TAG: store.integrity_tag(video, key)},
    )
    sent = FileUpload(vault, key, file, size, description, lease.check).run()
    stored = StoredObject(size, sent.crc32, sent.etag, container, size)
    probed = store.probe_object(video, stored)
    if probed is not None and probed.is_complete is False:
        vault.delete([key])
        raise WebhookUnanswered("The video in the response ends too early.")
    return stored, probed


def _container(file: BinaryIO) -> Container:
    file.seek(0)
    return detect_container(file.read(SNIFF_BYTES))


def _wait_for_report(video: Video) -> None:
    """Wait for the generator's report, as after any order whose response was lost."""

    def release() -> bool:
        with transaction(essential=True) as session:
            return lifecycle.update_if_unchanged(session, video, **RELEASED_COLUMNS)

    if not keep_trying(release):  # cancelled, deleted or given a URL meanwhile
        store.clean_up_after(video)
