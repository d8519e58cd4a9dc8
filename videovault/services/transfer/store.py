"""Storing a video: from its source in parts through memory into S3, proven before it counts as ready."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from itertools import chain
from typing import Any

from sqlmodel import Session, col, delete, select

from videovault import logs, security
from videovault.db import clock, moment, reading, transaction
from videovault.errors import SourceError, StorageError, VideoVaultError, is_passing
from videovault.gateways import probe, retry, source, storage
from videovault.models import Event, Status, UploadPart, Video
from videovault.services.core import lifecycle
from videovault.services.core.naming import POSTER_NAME, content_disposition, folder
from videovault.services.core.views import Measured, is_generated
from videovault.services.generation import polling
from videovault.services.generation.backoff import next_fetch
from videovault.services.transfer import cleanup, playable_copy
from videovault.services.transfer.engine import (
    Begun,
    Patience,
    Stored,
    StoredPart,
    Target,
    Transfer,
    patient_with_storage,
)
from videovault.services.transfer.lease import Interrupted, Lease, Superseded
from videovault.services.videos import deletion, sidecar
from videovault.services.videos.integrity import TAG

# Where an unfinished upload of a video is remembered: in its row, and a row for each part.


class VideoLedger:
    """In the database, as long as the video is ours: raises Superseded when it is not any more."""

    def __init__(self, video: Video) -> None:
        self._video = video

    def load(self) -> Begun | None:
        with reading() as session:
            row = session.get(Video, self._video.id)
            if row is None or not row.upload_id or not row.upload_source:
                return None
            stored = session.exec(select(UploadPart).where(UploadPart.video_id == row.id)).all()
            parts = tuple(
                StoredPart(each.number, each.size, each.etag, int(each.crc32, 16)) for each in stored
            )
            return Begun.from_facts(row.upload_id, row.upload_source, parts)

    def begin(self, begun: Begun) -> None:
        self._note(begun.upload_id, begun.facts())

    def add(self, part: StoredPart) -> None:
        row = UploadPart(
            video_id=self._video.id,
            number=part.number,
            size=part.size,
            etag=part.etag,
            crc32=f"{part.crc32:08x}",
        )
        with transaction(essential=True) as session:
            if not lifecycle.change(session, self._video, heartbeat_at=clock()):
                raise Superseded
            session.merge(row)

    def clear(self) -> None:
        self._note(None, None)

    def _note(self, upload_id: str | None, facts: dict[str, Any] | None) -> None:
        with transaction(essential=True) as session:
            columns = {"upload_id": upload_id, "upload_source": facts}
            if not lifecycle.change(session, self._video, heartbeat_at=clock(), **columns):
                raise Superseded
            session.exec(delete(UploadPart).where(col(UploadPart.video_id) == self._video.id))


FETCH_AGAIN_SECONDS = (2.0, 15.0)
KEEP_PARTS = timedelta(hours=24)
MINUTE = timedelta(minutes=1)
LONGEST_REFUSED = 10 * MINUTE  # for a generator that reports before its file can be fetched
WAITING = (Status.GENERATING, Status.QUEUED)

log = logs.get(__name__)


class Incomplete(SourceError):
    """The file was cut short, or is still being written."""

    def __init__(self) -> None:
        super().__init__("The file is not complete.")


class NoPicture(SourceError):
    def __init__(self) -> None:
        super().__init__("This file has sound but no picture, so it is not a video.")


def store(
    video: Video, *, stopping: Callable[[], bool], fetch_again: Iterable[float] = FETCH_AGAIN_SECONDS
) -> None:
    """Bring a video that has been claimed into S3.

    A generated one that is not complete is fetched again after each of the pauses ``fetch_again``, in seconds: its
    generator may still be writing it.
    """
    try:
        with Lease(video, stopping) as lease:
            with patient_with_storage(Patience(), lease.check):
                cleanup.clear_earlier(video)
                stored, seen = _complete(video, lease, fetch_again)
                finish(video, stored, seen)
            sidecar.write(video.id)
    except Superseded:
        log.info("transfer given up: the video was cancelled, deleted or taken over")
        let_go(video)
    except Interrupted:
        _release(video)
    except VideoVaultError as error:
        if source.may_appear(error) and is_generated(video) and _put_off(video):
            log.info("the file is not there yet, fetched again later", reason=error.public_message)
            return
        log.warning("transfer failed", code=error.code, reason=error.public_message)
        fail(video, error)


def _complete(video: Video, lease: Lease, fetch_again: Iterable[float]) -> tuple[Stored, probe.Probe | None]:
    """The stored object, and what was seen of it. Raises Incomplete, NoPicture, and as ``_transfer`` does."""
    for seconds in chain(fetch_again if video.requested_at else (), [None]):
        stored = _transfer(video, lease)
        lease.note(bytes_done=stored.size, bytes_total=stored.size)
        seen = look_at(video, stored)
        if seen is None or seen.is_complete is not False:
            break
        if seconds is None:
            raise Incomplete
        log.info("not complete, fetched again", seconds=seconds)
        VideoLedger(video).clear()
        retry.pause(seconds, lease.check)
    if seen is not None and not seen.has_picture:
        raise NoPicture
    return stored, seen


def _transfer(video: Video, lease: Lease) -> Stored:
    """The source's bytes in S3, those of an earlier attempt included. Raises as Transfer.run and Lease.check do."""
    if not video.s3_key or not video.source_url:
        raise SourceError("There is no address to fetch the video from.")
    try:
        return _fetch(video, video.source_url, video.s3_key, lease)
    except source.LinkExpired:
        fresh = polling.fresh_url(video)
        if fresh is None:
            raise
        log.info("the link has expired, going on with a fresh one")
        lease.note(source_url=fresh)
        return _fetch(video, fresh, video.s3_key, lease)


def _fetch(video: Video, url: str, key: str, lease: Lease) -> Stored:
    target = Target(
        key,
        metadata={TAG: tag(video, key)},
        disposition=lambda container: content_disposition(video.title, container),
    )
    origin = source.for_video(video.id, video.attempt, url)
    return Transfer(origin, storage.connected(), url, target, VideoLedger(video), lease).run()


def tag(video: Video, key: str) -> str:
    secret_key = security.open_sealed(video.sealed_key, owner_id=video.owner_id, video_id=video.id)
    if secret_key is None:
        raise StorageError("This video's key does not open. Ask the admin whether SECRET_KEY was changed.")
    return security.ownership_tag(secret_key, key)


def finish(video: Video, stored: Stored, seen: probe.Probe | None) -> None:
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
        "sidecar_due_at": clock(),
        "poster_key": _keep_poster(video, seen.poster if seen else None),
    }
    values |= _measured(stored, seen)
    with transaction(essential=True) as session:
        if title := _better_title(session, video, stored):
            values |= {"title": title, "has_derived_title": False}
        if not lifecycle.move(session, video, Status.READY, why="stored and proven", **values):
            raise Superseded
        session.exec(delete(UploadPart).where(col(UploadPart.video_id) == video.id))
        session.add(Event(kind="stored", video_id=video.id, detail={"size": stored.size}))


def _better_title(session: Session, video: Video, stored: Stored) -> str:
    """What the source calls the file, unless a person has given the video a title meanwhile."""
    row = session.get(Video, video.id, with_for_update={"key_share": True})
    return source.title_from_name(stored.name) if row and row.has_derived_title else ""


def _measured(stored: Stored, seen: probe.Probe | None) -> dict[str, Any]:
    """The columns that tell what it is and who can play it; None for all that is not known."""
    names = set(Measured.model_fields) - {"playback"}
    values: dict[str, Any] = {name: getattr(seen, name) if seen else None for name in names}
    played = None
    if seen:  # else what the generator has told stays
        values |= {"duration": seen.duration, "width": seen.width, "height": seen.height}
        played = playable_copy.playback_of(stored.container, seen, has_duration=seen.has_duration)
    return values | playable_copy.BEGINNING | {"playback": played, "copy_state": playable_copy.needed(played)}


def look_at(video: Video, stored: Stored) -> probe.Probe | None:
    url = storage.connected().presign(str(video.s3_key), seconds=600, internal=True)
    return probe.probe(url, stored.container)


def _keep_poster(video: Video, poster: bytes | None) -> str | None:
    """The poster's key, or None: a poster that cannot be kept never costs the video.

    One that lies there already is kept: S3's answer may have got lost, or the worker before this one died.
    """
    key = folder(video) + POSTER_NAME
    try:
        if poster is not None:
            with retry.briefly():  # the video is stored and proven, and must not wait for it
                storage.connected().put(key, poster, storage.Description("image/webp"))
            return key
    except StorageError as error:
        log.warning("poster not kept", reason=error.public_message)
    return key if _lies_there(key) else None


def _lies_there(key: str) -> bool:
    try:
        with retry.briefly():
            return storage.connected().info(key) is not None
    except StorageError as error:
        log.warning("poster not looked for", reason=error.public_message)
        return False


def _release(video: Video) -> None:
    """Give the video back to the queue, for the next worker to go on with where this one stopped."""
    with transaction(essential=True) as session:
        released = lifecycle.move(session, video, Status.QUEUED, why="worker stopped", heartbeat_at=None)
    if not released:
        let_go(video)


def _put_off(video: Video) -> bool:
    """Give the worker's place away until the address is fetched again; False once it has had time enough."""
    with transaction(essential=True) as session:
        at = moment(session)
        since = min(video.refused_since or at, at)
        if at - since >= LONGEST_REFUSED:
            return False
        put_off = lifecycle.move(
            session,
            video,
            Status.QUEUED,
            why="its address does not give it yet",
            heartbeat_at=None,
            refused_since=since,
            next_fetch_at=min(next_fetch(since, at), since + LONGEST_REFUSED),
        )
    if not put_off:
        let_go(video)
    return True


def fail(video: Video, error: VideoVaultError) -> None:
    """Say why, and clear up; what passing faults broke keeps its parts for a while."""
    message = error.public_message
    if video.refused_since and source.may_appear(error):
        message = f"{message} It was fetched again and again for {LONGEST_REFUSED // MINUTE} minutes."
    with transaction(essential=True) as session:
        moved = lifecycle.move(
            session,
            video,
            Status.FAILED,
            why=message,
            error_code=error.code,
            error_message=message,
            next_ask_at=None,
            upload_kept_until=moment(session) + KEEP_PARTS
            if video.source_url and is_passing(error)
            else None,
        )
        if moved:
            session.add(Event(kind="store_failed", video_id=video.id, detail={"code": error.code}))
    let_go(video)


def let_go(video: Video) -> None:
    """Leave nothing in S3 of a video that did not become ready; another worker's work is left alone."""
    with reading() as session:
        row = session.get(Video, video.id)
    with suppress(StorageError):  # ``repair`` and the deletion come by again
        if row is None:
            storage.connected().delete([str(video.s3_key), *cleanup.beside(video)])
        elif row.status == Status.DELETING:
            deletion.finish(row, let_go=True)
        elif row.status == Status.FAILED:
            cleanup.clear_away(row, keep_parts=row.upload_kept_until is not None)
        elif row.s3_key != video.s3_key:  # given another address, under which another worker may be at work
            storage.connected().delete([str(video.s3_key)])
            _leave(row)
        elif (
            row.status in WAITING and row.heartbeat_at and row.attempt != video.attempt and cleanup.hold(row)
        ):
            cleanup.clear_away(row)  # cancelled and asked for again: who goes on waits for this


def _leave(row: Video) -> None:
    """Whoever waits for this worker to stop may go on."""
    if row.status in WAITING:
        with transaction(essential=True) as session:
            lifecycle.change(session, row, heartbeat_at=None)
