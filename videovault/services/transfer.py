"""Storing a video: from its source in parts through memory into S3, proven before it counts as ready."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sqlmodel import col, delete

from videovault import logs, security
from videovault.db import transaction
from videovault.errors import SourceError, StorageError, VideoVaultError
from videovault.gateways import probe, source, storage
from videovault.models import Event, Status, UploadPart, Video, now
from videovault.services import leftovers, lifecycle, sidecar
from videovault.services.engine import Stored, Target, Transfer
from videovault.services.lease import Interrupted, Lease, Superseded
from videovault.services.ledgers import VideoLedger
from videovault.services.naming import POSTER_NAME, SIDECAR_NAME, content_disposition, folder

TAG = "videovault-tag"

log = logs.get(__name__)


def store(video_id: str, *, stopping: Callable[[], bool]) -> None:
    """Claim a queued video and bring it into S3; a second run finds nothing to claim and ends."""
    video = _claim(video_id)
    if video is None:
        return
    try:
        with Lease(video, stopping) as lease:
            _finish(video, _transfer(video, lease), lease)
    except Superseded:
        log.info("transfer given up: the video was cancelled, deleted or taken over")
        _clean_up(video)
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


def _transfer(video: Video, lease: Lease) -> Stored:
    """The source's bytes in S3, those of an earlier attempt included. Raises as Transfer.run and Lease.check do."""
    if not video.s3_key or not video.source_url:
        raise SourceError("There is no address to fetch the video from.")
    target = Target(
        video.s3_key,
        metadata={TAG: _tag(video, video.s3_key)},
        disposition=lambda container: content_disposition(video.title, container),
    )
    return Transfer(
        source.connected(), storage.connected(), video.source_url, target, VideoLedger(video), lease
    ).run()


def _tag(video: Video, key: str) -> str:
    secret_key = security.open_sealed(video.sealed_key, owner_id=video.owner_id, video_id=video.id)
    if secret_key is None:
        raise StorageError("The secret key of this video does not open: was SECRET_KEY changed?")
    return security.ownership_tag(secret_key, key)


def _finish(video: Video, stored: Stored, lease: Lease) -> None:
    lease.note(bytes_done=stored.size, bytes_total=stored.size)
    seen = _look_at(video, stored)
    values: dict[str, Any] = {
        "size": stored.size,
        "crc32": f"{stored.crc32:08x}",
        "etag": stored.etag,
        "format": stored.container,
        "upload_id": None,
        "upload_source": None,
    }
    if seen:
        values |= {"duration": seen.duration, "width": seen.width, "height": seen.height}
        values |= {"poster_key": _keep_poster(video, seen.poster)}
    with transaction() as session:
        if not lifecycle.move(session, video, Status.READY, why="stored and proven", **values):
            raise Superseded
        session.exec(delete(UploadPart).where(col(UploadPart.video_id) == video.id))
        session.add(Event(kind="stored", video_id=video.id, detail={"size": stored.size}))
    sidecar.write(video.id)


def _look_at(video: Video, stored: Stored) -> probe.Probe | None:
    url = storage.connected().presign(str(video.s3_key), seconds=600, internal=True)
    return probe.probe(url, stored.container)


def _keep_poster(video: Video, poster: bytes | None) -> str | None:
    """The poster's key, or None: a poster that cannot be kept never costs the video."""
    if poster is None:
        return None
    key = folder(video) + POSTER_NAME
    try:
        storage.connected().put(key, poster, storage.Description("image/webp"))
    except StorageError as error:
        log.warning("poster not kept", reason=error.public_message)
        return None
    return key


def _release(video: Video) -> None:
    """Give the video back to the queue, for the next worker to go on with where this one stopped."""
    with transaction() as session:
        lifecycle.move(session, video, Status.QUEUED, why="worker stopped", heartbeat_at=None)


def _fail(video: Video, error: VideoVaultError) -> None:
    _clean_up(video)
    with transaction() as session:
        moved = lifecycle.move(
            session,
            video,
            Status.FAILED,
            why=error.public_message,
            error_code=error.code,
            error_message=error.public_message,
        )
        if moved:
            session.add(Event(kind="store_failed", video_id=video.id, detail={"code": error.code}))


def _clean_up(video: Video) -> None:
    """Leave nothing in S3 of a video that did not become ready; another worker's work is left alone."""
    with transaction() as session:
        row = session.get(Video, video.id)
        in_use = row is not None and row.status in (Status.QUEUED, Status.STORING, Status.READY)
    if in_use and row is not None and row.attempt != video.attempt:
        return
    with suppress(StorageError):  # ``repair`` and the deletion come by again
        if row is not None and row.upload_id:
            leftovers.abort(row)
        beside = [folder(video) + name for name in (POSTER_NAME, SIDECAR_NAME)]
        storage.connected().delete([str(video.s3_key), *beside])
