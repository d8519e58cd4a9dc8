"""Storing a video: from its source in parts through memory into S3, proven before it counts as ready."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from videovault import logs, security
from videovault.db import transaction
from videovault.errors import SourceError, StorageError, UpstreamError, VideoVaultError
from videovault.gateways import probe, source, storage
from videovault.models import Event, Status, Video, now
from videovault.services import lifecycle
from videovault.services.lease import Interrupted, Lease, Superseded
from videovault.services.naming import folder
from videovault.services.parts import Parts

TRIES = 3
BACKOFF_SECONDS = 2.0
CONTENT_TYPES = {
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
    "mkv": "video/x-matroska",
    "avi": "video/x-msvideo",
    "ts": "video/mp2t",
}
POSTER_NAME = "poster.webp"
TAG = "videovault-tag"

log = logs.get(__name__)


@dataclass(frozen=True)
class Stored:
    """What lies in S3 now; ``size`` in bytes."""

    size: int
    container: str


def store(video_id: str, *, stopping: Callable[[], bool]) -> None:
    """Claim a queued video and bring it into S3; a second run finds nothing to claim and ends."""
    video = _claim(video_id)
    if video is None:
        return
    try:
        with Lease(video, stopping) as lease:
            _finish(video, _with_retries(video, lease), lease)
    except Superseded:
        log.info("transfer given up: the video was cancelled, deleted or taken over")
        _clean_up_unless_ready(video)
    except Interrupted:
        _release(video)
    except VideoVaultError as error:
        log.warning("transfer failed", code=error.code, reason=error.public_message)
        _fail(video, error)


def _claim(video_id: str) -> Video | None:
    with transaction() as session:
        video = session.get(Video, video_id)
        if video is None or video.status != Status.QUEUED:
            return None
        claimed = lifecycle.move(
            session,
            video,
            Status.STORING,
            why="claimed",
            attempt=video.attempt + 1,
            heartbeat_at=now(),
            bytes_done=0,
            bytes_total=None,
            bytes_per_second=None,
        )
        return video if claimed else None


def _with_retries(video: Video, lease: Lease) -> Stored:
    """The transfer, begun anew after passing faults of the source or of S3."""
    for attempt in range(1, TRIES + 1):
        try:
            return _transfer(video, lease)
        except UpstreamError as error:
            if not error.retryable or attempt == TRIES:
                raise
            log.warning("transfer broke, trying again", attempt=attempt, reason=error.public_message)
            _pause(BACKOFF_SECONDS * 2 ** (attempt - 1), lease)
    raise AssertionError("unreachable")


def _pause(seconds: float, lease: Lease) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        lease.check()
        time.sleep(0.2)


def _transfer(video: Video, lease: Lease) -> Stored:
    key, url = video.s3_key, video.source_url
    if not key or not url:
        raise SourceError("There is no address to fetch the video from.")
    secret_key = security.open_sealed(video.sealed_key, owner_id=video.owner_id, video_id=video.id)
    if secret_key is None:
        raise StorageError("The secret key of this video does not open: was SECRET_KEY changed?")
    tag = security.ownership_tag(secret_key, key)
    if video.upload_id:  # a worker died in the middle of it
        storage.connected().abort_upload(key, video.upload_id)
    with source.connected().open(url, heartbeat=lease.check) as stream:
        container = stream.info.container or "mp4"
        parts = Parts(
            storage.connected(),
            video.id,
            key,
            content_type=CONTENT_TYPES[container],
            metadata={TAG: tag},
            note=lease.note,
            progress=lease.progress,
        )
        size = parts.send(stream.readinto, stream.info.total)
    _prove(key, size, tag)
    return Stored(size, container)


def _prove(key: str, size: int, tag: str) -> None:
    """Raises StorageError unless S3 says that it holds just what was sent."""
    vault = storage.connected()
    found = vault.info(key)
    tagged = found is not None and (found.metadata.get(TAG) == tag or not vault.keeps_metadata)
    if found is None or found.size != size or not tagged:
        raise StorageError("S3 does not hold the whole video.", retryable=True)


def _finish(video: Video, stored: Stored, lease: Lease) -> None:
    lease.note(bytes_done=stored.size, bytes_total=stored.size)
    seen = _look_at(video, stored)
    values: dict[str, Any] = {"size": stored.size, "format": stored.container, "upload_id": None}
    if seen:
        values |= {"duration": seen.duration, "width": seen.width, "height": seen.height}
        values |= {"poster_key": _keep_poster(video, seen.poster)}
    with transaction() as session:
        if not lifecycle.move(session, video, Status.READY, why="stored and proven", **values):
            raise Superseded
        session.add(Event(kind="stored", video_id=video.id, detail={"size": stored.size}))


def _look_at(video: Video, stored: Stored) -> probe.Probe | None:
    url = storage.connected().presign(str(video.s3_key), seconds=600, internal=True)
    return probe.probe(url, stored.container)


def _keep_poster(video: Video, poster: bytes | None) -> str | None:
    """The poster's key, or None: a poster that cannot be kept never costs the video."""
    if poster is None:
        return None
    key = folder(video) + POSTER_NAME
    try:
        storage.connected().put(key, poster, content_type="image/webp")
    except StorageError as error:
        log.warning("poster not kept", reason=error.public_message)
        return None
    return key


def _release(video: Video) -> None:
    """Give the video back to the queue, for the next worker to begin."""
    with transaction() as session:
        lifecycle.move(session, video, Status.QUEUED, why="worker stopped", heartbeat_at=None)


def _fail(video: Video, error: VideoVaultError) -> None:
    _clean_up_unless_ready(video)
    with transaction() as session:
        moved = lifecycle.move(
            session,
            video,
            Status.FAILED,
            why=error.public_message,
            error_code=error.code,
            error_message=error.public_message,
            upload_id=None,
        )
        if moved:
            session.add(Event(kind="store_failed", video_id=video.id, detail={"code": error.code}))


def _clean_up_unless_ready(video: Video) -> None:
    """Leave no object behind for a video that did not become ready; another worker's is left alone."""
    with transaction() as session:
        row = session.get(Video, video.id)
        in_use = row is not None and row.status in (Status.QUEUED, Status.STORING, Status.READY)
    if in_use and row is not None and row.attempt != video.attempt:
        return
    with suppress(StorageError):  # ``repair`` and the deletion come by again
        storage.connected().delete([str(video.s3_key), folder(video) + POSTER_NAME])
