"""Stores a video: from its source in parts through memory into S3, verified before it counts as ready."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from itertools import chain
from typing import Any

from sqlmodel import Session, col, delete, select

from videovault import logs, metrics, security
from videovault.backoff import refetch_delay
from videovault.clock import db_now, read_db_now
from videovault.db import reading, transaction
from videovault.errors import SourceError, StorageError, VideoVaultError, is_transient
from videovault.gateways import media, s3_client, source, storage
from videovault.models import Event, Status, UploadPart, Video
from videovault.services.core import lifecycle
from videovault.services.core.naming import POSTER_NAME, content_disposition, folder
from videovault.services.core.views import MEASURED_FIELDS, is_generated
from videovault.services.generation import polling
from videovault.services.transfer import cleanup, playable_copy
from videovault.services.transfer.engine import (
    MultipartUpload,
    RetryPolicy,
    StoredObject,
    StoredPart,
    Target,
    Transfer,
    storage_retry_policy,
)
from videovault.services.transfer.lease import Lease, LeaseLost, WorkerStopping
from videovault.services.videos import deletion, sidecar
from videovault.services.videos.integrity import TAG

REFETCH_SECONDS = (2.0, 15.0)
KEEP_PARTS_FOR = timedelta(hours=24)
MINUTE = timedelta(minutes=1)
MAX_REFUSED = 10 * MINUTE  # for a generator that reports a file before it can be fetched
WAITING = (Status.GENERATING, Status.QUEUED)

log = logs.get(__name__)


class IncompleteFile(SourceError):
    """The file is truncated, or still being written."""

    def __init__(self) -> None:
        super().__init__("The file is not complete.")


class NoVideoTrack(SourceError):
    def __init__(self) -> None:
        super().__init__("This file has sound but no picture, so it is not a video.")


def store(
    video: Video, *, stopping: Callable[[], bool], refetch_after: Iterable[float] = REFETCH_SECONDS
) -> None:
    """Store a claimed video in S3.

    An incomplete generated video is fetched again after each of the pauses ``refetch_after``, in seconds: its
    generator may still be writing it.
    """
    started = time.monotonic()
    try:
        with Lease(video, stopping) as lease:
            with storage_retry_policy(RetryPolicy(), lease.check):
                cleanup.delete_earlier_objects(video)
                stored, probed = _fetch_complete(video, lease, refetch_after)
                mark_ready(video, stored, probed)
            note_stored(stored.size, time.monotonic() - started)
            sidecar.write(video.id)
    except LeaseLost:
        log.info("transfer ended: the video was cancelled, deleted or taken over")
        metrics.TRANSFERS.inc(outcome="lost")
        clean_up_after(video)
    except WorkerStopping:
        metrics.TRANSFERS.inc(outcome="returned")
        _release(video)
    except VideoVaultError as error:
        if source.may_appear(error) and is_generated(video) and _postpone(video):
            log.info("the file does not exist yet, will be fetched again", reason=error.public_message)
            metrics.TRANSFERS.inc(outcome="postponed")
            return
        log.warning("transfer failed", code=error.code, reason=error.public_message)
        note_failed(error)
        mark_failed(video, error)


def note_stored(size: int, seconds: float) -> None:
    """Log and count a transfer that stored a video."""
    log.info("video stored", bytes=size, seconds=round(seconds, 1))
    metrics.TRANSFERS.inc(outcome="stored")
    metrics.STORING_SECONDS.observe(seconds)


def note_failed(error: VideoVaultError) -> None:
    metrics.TRANSFERS.inc(outcome="failed")
    metrics.TRANSFER_FAILURES.inc(code=error.code)


def _fetch_complete(
    video: Video, lease: Lease, refetch_after: Iterable[float]
) -> tuple[StoredObject, media.ProbeResult | None]:
    """The stored object and its probe result. Raises IncompleteFile, NoVideoTrack, and as ``_transfer`` does."""
    for seconds in chain(refetch_after if video.requested_at else (), [None]):
        stored = _transfer(video, lease)
        lease.note(bytes_done=stored.size, bytes_total=stored.size)
        probed = probe_object(video, stored)
        if probed is None or probed.is_complete is not False:
            return stored, probed
        if seconds is not None:
            log.info("not complete, will be fetched again", seconds=seconds)
            VideoUploadJournal(video).clear()
            s3_client.interruptible_sleep(seconds, lease.check)
    raise IncompleteFile


def _transfer(video: Video, lease: Lease) -> StoredObject:
    """The object in S3, resumed from an earlier attempt if possible. Raises as Transfer.run and Lease.check do."""
    if not video.s3_key or not video.source_url:
        raise SourceError("There is no address to fetch the video from.")
    try:
        return _fetch(video, video.source_url, video.s3_key, lease)
    except source.LinkExpired:
        fresh_url = polling.fetch_fresh_url(video)
        if fresh_url is None:
            raise
        log.info("the link has expired, continuing with a fresh one")
        lease.note(source_url=fresh_url)
        return _fetch(video, fresh_url, video.s3_key, lease)


def _fetch(video: Video, url: str, key: str, lease: Lease) -> StoredObject:
    target = Target(
        key,
        metadata={TAG: integrity_tag(video, key)},
        disposition=lambda container: content_disposition(video.title, container),
    )
    video_source = source.for_video(video.id, video.attempt, url)
    return Transfer(video_source, storage.connected(), url, target, VideoUploadJournal(video), lease).run()


def integrity_tag(video: Video, key: str) -> str:
    secret_key = security.unseal(video.sealed_key, owner_id=video.owner_id, video_id=video.id)
    if secret_key is None:
        raise StorageError("This video's key does not open. Ask the admin whether SECRET_KEY was changed.")
    return security.integrity_tag(secret_key, key)


def mark_ready(video: Video, stored: StoredObject, probed: media.ProbeResult | None) -> None:
    values: dict[str, Any] = {
        "size": stored.size,
        "crc32": f"{stored.crc32:08x}",
        "etag": stored.etag,
        "format": stored.container,
        "upload_id": None,
        "upload_source": None,
        "deadline_at": None,
        "next_ask_at": None,
        "expected_url": None,
        "generator_note": None,
        "heartbeat_at": None,
        "sidecar_due_at": db_now(),
        "poster_key": _store_poster(video, probed.poster if probed else None),
    }
    values |= _measurements(stored, probed)
    with transaction(essential=True) as session:
        if title := _title_from_source(session, video, stored):
            values |= {"title": title, "has_derived_title": False}
        if not lifecycle.transition(session, video, Status.READY, why="stored and proven", **values):
            raise LeaseLost
        session.exec(delete(UploadPart).where(col(UploadPart.video_id) == video.id))
        session.add(Event(kind="stored", video_id=video.id, detail={"size": stored.size}))


def _title_from_source(session: Session, video: Video, stored: StoredObject) -> str:
    """The source's name of the file, unless a user has changed the title meanwhile."""
    row = session.get(Video, video.id, with_for_update={"key_share": True})
    return source.title_from_name(stored.name) if row and row.has_derived_title else ""


def _measurements(stored: StoredObject, probed: media.ProbeResult | None) -> dict[str, Any]:
    """The columns with the probe's measurements and the playback; None where unknown."""
    names = set(MEASURED_FIELDS) - {"playback"}
    values: dict[str, Any] = {name: getattr(probed, name) if probed else None for name in names}
    playback = None
    if probed:  # otherwise the generator's values stay
        values |= {"duration": probed.duration, "width": probed.width, "height": probed.height}
        playback = playable_copy.playback_for(stored.container, probed)
    return (
        values
        | playable_copy.INITIAL_COLUMNS
        | {"playback": playback, "copy_state": playable_copy.initial_state(playback)}
    )


def probe_object(video: Video, stored: StoredObject) -> media.ProbeResult | None:
    """Raises NoVideoTrack."""
    url = storage.connected().presign(str(video.s3_key), seconds=600, internal=True)
    probed = media.probe_video(url, stored.container)
    if probed is not None and not probed.has_picture:
        raise NoVideoTrack
    return probed


def _store_poster(video: Video, poster: bytes | None) -> str | None:
    """The poster's key, or None: a failure to store the poster never fails the video.

    An existing poster is kept: S3's response may have been lost, or the previous worker may have died.
    """
    key = folder(video) + POSTER_NAME
    try:
        if poster is not None:
            with s3_client.short_policy():  # the video is verified, and must not wait for its poster
                storage.connected().put(key, poster, storage.Description("image/webp"))
            return key
    except StorageError as error:
        log.warning("poster not stored", reason=error.public_message)
    return key if _exists(key) else None


def _exists(key: str) -> bool:
    try:
        with s3_client.short_policy():
            return storage.connected().info(key) is not None
    except StorageError as error:
        log.warning("poster not checked", reason=error.public_message)
        return False


def _release(video: Video) -> None:
    """Return the video to the queue; the next worker resumes the transfer."""
    with transaction(essential=True) as session:
        released = lifecycle.transition(
            session, video, Status.QUEUED, why="worker stopped", heartbeat_at=None
        )
    if not released:
        clean_up_after(video)


def _postpone(video: Video) -> bool:
    """Queue the video for a later fetch; False once the URL has been refused for MAX_REFUSED."""
    with transaction(essential=True) as session:
        at = read_db_now(session)
        since = min(video.refused_since or at, at)
        if at - since >= MAX_REFUSED:
            return False
        postponed = lifecycle.transition(
            session,
            video,
            Status.QUEUED,
            why="its address does not give it yet",
            heartbeat_at=None,
            refused_since=since,
            next_fetch_at=min(at + refetch_delay(at - since), since + MAX_REFUSED),
        )
    if not postponed:
        clean_up_after(video)
    return True


def mark_failed(video: Video, error: VideoVaultError) -> None:
    """Record the error and clean up; after a transient fault the parts are kept for a retry."""
    message = error.public_message
    if video.refused_since and source.may_appear(error):
        message = f"{message} It was retried for {MAX_REFUSED // MINUTE} minutes."
    with transaction(essential=True) as session:
        moved = lifecycle.transition(
            session,
            video,
            Status.FAILED,
            why=message,
            error_code=error.code,
            error_message=message,
            next_ask_at=None,
            upload_kept_until=read_db_now(session) + KEEP_PARTS_FOR
            if video.source_url and is_transient(error)
            else None,
        )
        if moved:
            session.add(Event(kind="store_failed", video_id=video.id, detail={"code": error.code}))
    clean_up_after(video)


def clean_up_after(video: Video) -> None:
    """Delete everything in S3 of a video that did not become ready, except the work of another worker."""
    with reading() as session:
        row = session.get(Video, video.id)
    with suppress(StorageError):  # ``repair`` and the deletion try again
        if row is None:
            storage.connected().delete([str(video.s3_key), *cleanup.companion_keys(video)])
        elif row.status == Status.DELETING:
            deletion.finish(row, worker_stopped=True)
        elif row.status == Status.FAILED:
            cleanup.remove_leftovers(row, keep_parts=row.upload_kept_until is not None)
        elif row.s3_key != video.s3_key:  # it has another source URL now, which another worker may be storing
            storage.connected().delete([str(video.s3_key)])
            _clear_heartbeat(row)
        elif (
            row.status in WAITING
            and row.heartbeat_at
            and row.attempt != video.attempt
            and cleanup.lock_for_cleanup(row)
        ):
            cleanup.remove_leftovers(row)  # cancelled and retried: the next worker waits for this


def _clear_heartbeat(row: Video) -> None:
    """Clear the heartbeat, so that the next worker can start."""
    if row.status in WAITING:
        with transaction(essential=True) as session:
            lifecycle.update_if_unchanged(session, row, heartbeat_at=None)


class VideoUploadJournal:
    """The journal in the database: the video's row and a row for each part. Raises LeaseLost when it is not ours."""

    def __init__(self, video: Video) -> None:
        self._video = video

    def load(self) -> MultipartUpload | None:
        with reading() as session:
            row = session.get(Video, self._video.id)
            if row is None or not row.upload_id or not row.upload_source:
                return None
            stored = session.exec(select(UploadPart).where(UploadPart.video_id == row.id)).all()
            parts = tuple(
                StoredPart(each.number, each.size, each.etag, int(each.crc32, 16)) for each in stored
            )
            return MultipartUpload.from_dict(row.upload_id, row.upload_source, parts)

    def begin(self, upload: MultipartUpload) -> None:
        self._write(upload.upload_id, upload.to_dict())

    def add(self, part: StoredPart) -> None:
        row = UploadPart(
            video_id=self._video.id,
            number=part.number,
            size=part.size,
            etag=part.etag,
            crc32=f"{part.crc32:08x}",
        )
        with transaction(essential=True) as session:
            if not lifecycle.update_if_unchanged(session, self._video, heartbeat_at=db_now()):
                raise LeaseLost
            session.merge(row)

    def clear(self) -> None:
        self._write(None, None)

    def _write(self, upload_id: str | None, source: dict[str, Any] | None) -> None:
        with transaction(essential=True) as session:
            columns = {"upload_id": upload_id, "upload_source": source}
            if not lifecycle.update_if_unchanged(session, self._video, heartbeat_at=db_now(), **columns):
                raise LeaseLost
            session.exec(delete(UploadPart).where(col(UploadPart.video_id) == self._video.id))
