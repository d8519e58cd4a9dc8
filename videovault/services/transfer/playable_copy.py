"""Playable copies of videos that most browsers cannot play; workers make them one at a time.

A failed copy never affects its video: the original stays, and the row records why there is no copy.
"""

import errno
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO, Literal
from uuid import uuid4

from sqlalchemy import ColumnElement, bindparam
from sqlmodel import Session, col, func, or_, select

from videovault import logs
from videovault.clock import db_now, read_db_now
from videovault.config import settings
from videovault.db import reading, transaction
from videovault.errors import DiskFull, QuotaExceeded, StorageError, VideoVaultError, is_transient
from videovault.gateways import media, storage
from videovault.gateways.container import CONTENT_TYPES
from videovault.gateways.media import (
    AudioTarget,
    ConversionFailed,
    Limits,
    MediaInfo,
    Recipe,
    SourceUnreadable,
    SourceVideo,
)
from videovault.models import CopyState, Event, Playback, Status, User, Video
from videovault.services.core import lifecycle, quota
from videovault.services.core.lifecycle import lease_expired
from videovault.services.core.naming import content_disposition, copy_key
from videovault.services.core.quota import free_spool_bytes, temporary_file
from videovault.services.transfer.engine.uploads import FileUpload, UploadedFile
from videovault.services.transfer.lease import LeaseLost, WorkerStopping
from videovault.services.videos import deletion, sidecar

PLAIN_PIXEL_FORMATS = {"yuv420p", "yuvj420p"}  # 8 bits, 4:2:0: what hardware decoders of phones support
MAX_H264_LEVEL = 52
H264_PROFILES = ("Baseline", "Constrained Baseline", "Main", "High")
OPEN_CODECS = {"vp8", "vp9", "av1"}
MP4_AUDIO, WEBM_AUDIO = {"aac", "mp3"}, {"opus", "vorbis"}
MAX_ATTEMPTS = 3  # for a file that crashes the worker, or that S3 reads or writes only partly
HEARTBEAT_SECONDS = 3.0
MIN_SECONDS, SECONDS_PER_SECOND, MAX_SECONDS = 300.0, 6.0, 4 * 3600.0
# H.264 needs about twice the bytes of HEVC, and more for pictures with little detail.
MAX_GROWTH, MIN_BYTES, MAX_BYTES = 4, 64 * 1024**2, 8 * 1024**3
MAX_DURATION_GAP_SECONDS, MAX_DURATION_GAP = 1.0, 0.05  # by which the copy's duration may differ
LINK_SECONDS = 6 * 3600
INITIAL_COLUMNS: dict[str, Any] = {
    "copy_claim": None,
    "copy_tries": 0,
    "copy_key": None,
    "copy_format": None,
    "copy_size": None,
    "copy_etag": None,
    "copy_error": None,
}
REMAKE_COLUMNS: dict[str, Any] = {**INITIAL_COLUMNS, "copy_state": CopyState.DUE}
Outcome = Literal["made", "not made", "nothing to do"]

log = logs.get(__name__)


def playback_for(container: str, streams: MediaInfo) -> Playback | None:
    """Where the video plays (docs/decisions/0026); None if too little could be measured."""
    if not (streams.video_codec or streams.width):
        return None
    audio = streams.audio_codec
    if container in ("mp4", "mov"):
        plays = _is_basic_h264(streams) and audio in (None, *MP4_AUDIO)
        plays |= (
            _is_open_codec(streams) and streams.video_codec != "vp8" and audio in (None, "opus", *MP4_AUDIO)
        )
    else:
        plays = container == "webm" and _is_open_codec(streams) and audio in (None, *WEBM_AUDIO)
    if not plays:
        return Playback.LIMITED
    return Playback.EVERYWHERE if streams.has_duration else Playback.NO_DURATION


def initial_state(playback: Playback | None) -> CopyState | None:
    """The state of a copy that has to be made, or None if none is needed."""
    return None if playback in (None, Playback.EVERYWHERE) else CopyState.DUE


def make_next(*, stopping: Callable[[], bool]) -> Outcome:
    """Make the next copy. Raises DiskFull, with the copy still due."""
    if settings().playable_copies == "off":
        return "nothing to do"
    video = _claim()
    if video is None:
        return "nothing to do"
    with lifecycle.log_context(video):
        return "made" if _CopyJob(video, stopping).run() else "not made"


def remake(video: Video) -> bool:
    """Have a lost copy made again; False if the row has changed meanwhile."""
    with transaction() as session:
        is_unchanged = col(Video.copy_key) == video.copy_key
        return lifecycle.update_if_unchanged(
            session, video, is_unchanged, sidecar_due_at=db_now(), **REMAKE_COLUMNS
        )


def retry(session: Session, video: Video) -> bool:
    """Have a failed copy made again; False if the row has changed meanwhile."""
    return lifecycle.update_if_unchanged(
        session, video, col(Video.copy_state) == CopyState.FAILED, **REMAKE_COLUMNS
    )


def recipes(container: str, streams: MediaInfo | Video) -> list[Recipe]:
    """The ways to make a playable copy, cheapest first; empty if FFmpeg does not support the codec."""
    audio = streams.audio_codec
    if not streams.video_codec:
        return []
    # AVI has decoding timestamps only, and does not record a variable audio bit rate.
    can_copy = container != "avi"
    mp4_audio: AudioTarget = "copy" if can_copy and audio in MP4_AUDIO else "aac"
    transcoded = Recipe("mp4", "h264", mp4_audio if audio else None)
    if can_copy and _is_basic_h264(streams):
        return [Recipe("mp4", "copy", mp4_audio if audio else None), transcoded]
    if can_copy and _is_open_codec(streams):
        webm_audio: AudioTarget = "copy" if audio in WEBM_AUDIO else "opus"
        return [Recipe("webm", "copy", webm_audio if audio else None), transcoded]
    return [transcoded]


def _claim() -> Video | None:
    """Claim the next copy for this worker: one of the owner with the fewest due copies."""
    while True:
        with transaction() as session:
            due = select(Video.id, Video.owner_id, Video.created_at).where(_is_due(session)).cte("due")
            counts = select(due.c.owner_id, func.count().label("number")).group_by(due.c.owner_id).subquery()
            in_order = (
                select(Video)
                .join(due, due.c.id == col(Video.id))
                .join(counts, counts.c.owner_id == due.c.owner_id)
                .order_by(counts.c.number, due.c.created_at, due.c.id)
            )
            video = session.exec(in_order.limit(1)).first()
            if video is None:
                return None
            if video.copy_tries < MAX_ATTEMPTS:
                if _claim_row(session, video):
                    return video
                continue
            orphaned_key = video.copy_key  # of the last worker
            given_up = _give_up(session, video, "Making it has failed several times.")
        if given_up:
            _delete(orphaned_key)


def _is_due(session: Session) -> ColumnElement[bool]:
    state = col(Video.copy_state)
    expired = (state == CopyState.MAKING) & lease_expired(read_db_now(session))
    # The concatenation keeps the database from the index of all ready videos.
    is_ready = col(Video.status).concat("") == Status.READY
    # Part of the statement's text: partial indexes do not know parameters.
    unfinished: Any = bindparam(
        "unfinished", (CopyState.DUE, CopyState.MAKING), expanding=True, literal_execute=True
    )
    return state.in_(unfinished) & is_ready & or_(state == CopyState.DUE, expired)


def _claim_row(session: Session, video: Video) -> bool:
    before = (col(Video.copy_tries) == video.copy_tries, col(Video.copy_state) == video.copy_state)
    values: dict[str, Any] = {
        "copy_state": CopyState.MAKING,
        "copy_claim": uuid4().hex,
        "copy_tries": video.copy_tries + 1,
    }
    return lifecycle.update_if_unchanged(session, video, *before, heartbeat_at=db_now(), **values)


def _give_up(session: Session, video: Video, why: str) -> bool:
    is_unchanged = col(Video.copy_tries) == video.copy_tries
    values: dict[str, Any] = {"copy_state": CopyState.FAILED, "heartbeat_at": None}
    values |= {"copy_error": why, "copy_claim": None, "copy_key": None, "copy_format": None}
    failed = lifecycle.update_if_unchanged(session, video, is_unchanged, **values)
    if failed:
        session.add(Event(kind="copy_failed", video_id=video.id, detail={"why": why}))
    return failed


class _CopyJob:
    """This worker's claim on the copy of one video; it ends when another worker takes over or this one stops."""

    def __init__(self, video: Video, stopping: Callable[[], bool]) -> None:
        self._video = video
        self._stopping = stopping
        self._heartbeat_sent = time.monotonic()
        self._key = ""

    def run(self) -> bool:
        """Make the copy; whether the video has one now. Raises DiskFull."""
        _delete(self._video.copy_key)  # the partial copy of a dead worker
        try:
            self._make()
        except LeaseLost:
            log.info("copy ended: the video was changed, deleted or taken over")
            self._discard()
        except (WorkerStopping, DiskFull) as error:
            self._release()
            if isinstance(error, DiskFull):
                raise
        except (ConversionFailed, VideoVaultError) as error:
            _delete(self._key)
            why = error.public_message if isinstance(error, VideoVaultError) else str(error)
            if isinstance(error, SourceUnreadable) or (
                isinstance(error, VideoVaultError) and is_transient(error)
            ):
                log.warning("copy not made, will be retried", reason=why)
                self._retry_later()
            else:
                self._fail(why)
        else:
            return True
        return False

    def check(self) -> None:
        """Raises LeaseLost or WorkerStopping when the work must end."""
        if self._stopping():
            raise WorkerStopping
        if time.monotonic() - self._heartbeat_sent >= HEARTBEAT_SECONDS:
            self._update_row(heartbeat_at=db_now())
            self._heartbeat_sent = time.monotonic()

    def _make(self) -> None:
        candidates = recipes(str(self._video.format), self._video)
        why = ConversionFailed("FFmpeg does not know its codec.")
        for recipe in candidates:
            try:
                self._make_with(recipe)
            except SourceUnreadable:
                raise  # another recipe would read the same bytes
            except ConversionFailed as error:
                log.info("conversion failed", recipe=str(recipe), reason=str(error))
                why = error
            else:
                return
        raise why

    def _make_with(self, recipe: Recipe) -> None:
        # Through a file: S3 takes parts in order, but the index at the beginning is written last.
        with temporary_file() as file:
            size = self._convert(recipe, file, _limits(self._video))
            self._key = copy_key(self._video, recipe.container)
            self._update_row(copy_key=self._key, copy_format=recipe.container)
            uploaded = self._upload(file, size, recipe)
        self._verify(recipe)
        self._publish(uploaded)

    def _convert(self, recipe: Recipe, file: BinaryIO, limits: Limits) -> int:
        video = self._video
        url = storage.connected().presign(str(video.s3_key), seconds=LINK_SECONDS, internal=True)
        original = SourceVideo(url, str(video.format), video.duration, video.rotation or 0)
        try:
            return media.convert(original, recipe, file, limits, self.check)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise DiskFull from error
            raise

    def _upload(self, file: BinaryIO, size: int, recipe: Recipe) -> UploadedFile:
        description = storage.Description(
            CONTENT_TYPES[recipe.container], content_disposition(self._video.title, recipe.container)
        )
        return FileUpload(storage.connected(), self._key, file, size, description, self.check).run()

    def _verify(self, recipe: Recipe) -> None:
        """Probe the copy as any other video; one that does not play is refused."""
        url = storage.connected().presign(self._key, seconds=LINK_SECONDS, internal=True)
        probed = media.probe_video(url, recipe.container)
        self.check()
        expected, actual = self._video.duration, probed.duration if probed else None
        if probed is None:
            # Raises StorageError if S3 is unavailable: then the copy is not at fault.
            storage.connected().info(self._key)
        if probed is None or actual is None or not probed.is_complete:
            self._refuse("the copy cannot be read")
        elif playback_for(recipe.container, probed) != Playback.EVERYWHERE:
            self._refuse("the copy does not play everywhere")
        elif expected and abs(expected - actual) > max(MAX_DURATION_GAP_SECONDS, expected * MAX_DURATION_GAP):
            self._refuse(f"the copy lasts {actual:.1f} seconds, and the video {expected:.1f}")

    def _refuse(self, why: str) -> None:
        _delete(self._key)
        raise ConversionFailed(why)

    def _publish(self, uploaded: UploadedFile) -> None:
        video = self._video
        with transaction(essential=True) as session:
            session.get_one(User, video.owner_id, with_for_update={"key_share": True})
            left = quota.remaining(session, video.owner_id)
            if left is not None and uploaded.size > left:
                raise QuotaExceeded("There is no room for it in the account.")
            values = {
                "copy_state": CopyState.READY,
                "copy_size": uploaded.size,
                "copy_etag": uploaded.etag,
                "copy_claim": None,
                "heartbeat_at": None,
                "sidecar_due_at": db_now(),
            }
            if not lifecycle.update_if_unchanged(
                session, video, col(Video.copy_claim) == video.copy_claim, **values
            ):
                raise LeaseLost
            session.add(Event(kind="copy_made", video_id=video.id, detail={"size": uploaded.size}))
        sidecar.write(video.id)

    def _update_row(self, **values: Any) -> None:
        """Raises LeaseLost when the claim has ended."""
        with transaction(essential=True) as session:
            is_claimed = col(Video.copy_claim) == self._video.copy_claim
            if not lifecycle.update_if_unchanged(session, self._video, is_claimed, **values):
                raise LeaseLost

    def _release(self) -> None:
        try:
            values = {"copy_state": CopyState.DUE, "copy_claim": None, "heartbeat_at": None}
            _delete(self._key)
            self._update_row(copy_tries=self._video.copy_tries - 1, copy_key=None, copy_format=None, **values)
        except LeaseLost:
            self._discard()

    def _fail(self, why: str) -> None:
        log.warning("copy not made", reason=why)
        with transaction(essential=True) as session:
            failed = _give_up(session, self._video, why)
        if not failed:
            self._discard()

    def _retry_later(self) -> None:
        """The lease expires and the copy is retried. An unavailable S3 does not count as an attempt."""
        try:
            storage.connected().info(str(self._video.s3_key))
        except StorageError as error:
            if not is_transient(error):
                return
            with suppress(LeaseLost):
                self._update_row(copy_tries=self._video.copy_tries - 1, heartbeat_at=db_now())

    def _discard(self) -> None:
        """Delete a copy that no row refers to; a deletion waits for this."""
        _delete(self._key)
        with reading() as session:
            row = session.get(Video, self._video.id)
        if row is not None and row.status == Status.DELETING:
            deletion.finish(row, worker_stopped=True)


def _delete(key: str | None) -> None:
    if not key:
        return
    try:
        storage.connected().delete([key])
    except StorageError as error:  # ``reconcile`` finds and deletes it
        log.warning("copy not deleted", reason=error.public_message)


def _limits(video: Video) -> Limits:
    """The limits for making the copy. Raises QuotaExceeded, DiskFull."""
    with reading() as session:
        left = quota.remaining(session, video.owner_id)
    if left == 0:
        raise QuotaExceeded("There is no room for it in the account.")
    free = free_spool_bytes()
    if free < MIN_BYTES:
        raise DiskFull
    max_bytes = min(
        max(MIN_BYTES, MAX_GROWTH * (video.size or 0)), MAX_BYTES, settings().max_video_bytes, free
    )
    seconds = MIN_SECONDS + SECONDS_PER_SECOND * (video.duration or 0)
    return Limits(min(seconds, MAX_SECONDS), max_bytes if left is None else min(max_bytes, left))


def _is_basic_h264(streams: MediaInfo | Video) -> bool:
    return (
        streams.video_codec == "h264"
        and streams.pixel_format in PLAIN_PIXEL_FORMATS
        and streams.video_profile in (None, *H264_PROFILES)
        and (streams.video_level or 0) <= MAX_H264_LEVEL
    )


def _is_open_codec(streams: MediaInfo | Video) -> bool:
    return streams.video_codec in OPEN_CODECS and streams.pixel_format in PLAIN_PIXEL_FORMATS
