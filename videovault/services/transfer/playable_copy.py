"""Playable copies: of videos that most browsers cannot play, made by workers one at a time, beside the originals.

A copy never costs its video anything: whatever fails, the original stays, and the row says why there is no copy.
"""

import errno
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO, Literal, Protocol
from uuid import uuid4

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, func, or_, select

from videovault import logs
from videovault.config import settings
from videovault.db import db_now, read_db_now, reading, transaction
from videovault.errors import DiskFull, QuotaExceeded, StorageError, VideoVaultError, is_transient
from videovault.gateways import conversion, probe, storage
from videovault.gateways.container import CONTENT_TYPES
from videovault.gateways.conversion import (
    AudioTarget,
    ConversionFailed,
    Limits,
    Recipe,
    SourceUnreadable,
    SourceVideo,
)
from videovault.models import CopyState, Event, Playback, Status, User, Video
from videovault.services.core import lifecycle, quota
from videovault.services.core.capacity import free_spool_bytes, temporary_file
from videovault.services.core.lifecycle import lease_expired
from videovault.services.core.naming import content_disposition, copy_key
from videovault.services.transfer.engine.uploads import UploadedFile, upload_file
from videovault.services.transfer.lease import LeaseLost, WorkerStopping
from videovault.services.videos import deletion, sidecar

# Whether browsers play a stored video, and how a copy is made that they play. docs/decisions/0026 gives the reasons.

PLAIN_PIXEL_FORMATS = {"yuv420p", "yuvj420p"}  # 8 bits, 4:2:0: all that hardware decoders of phones take
MAX_H264_LEVEL = 52
H264_PROFILES = ("Baseline", "Constrained Baseline", "Main", "High")
OPEN_CODECS = {"vp8", "vp9", "av1"}
MP4_SOUND, WEBM_SOUND = {"aac", "mp3"}, {"opus", "vorbis"}


class StreamInfo(Protocol):
    """What the probe has just found, or a video's row."""

    @property
    def width(self) -> int | None: ...
    @property
    def video_codec(self) -> str | None: ...
    @property
    def audio_codec(self) -> str | None: ...
    @property
    def video_profile(self) -> str | None: ...
    @property
    def video_level(self) -> int | None: ...
    @property
    def pixel_format(self) -> str | None: ...


def playback_for(container: str, streams: StreamInfo, *, has_duration: bool) -> Playback | None:
    """What most browsers make of the video; None where too little could be measured."""
    if not (streams.video_codec or streams.width):
        return None
    sound = streams.audio_codec
    if container in ("mp4", "mov"):
        plays = _is_plain_h264(streams) and sound in (None, *MP4_SOUND)
        plays |= _is_open(streams) and streams.video_codec != "vp8" and sound in (None, "opus", *MP4_SOUND)
    else:
        plays = container == "webm" and _is_open(streams) and sound in (None, *WEBM_SOUND)
    if not plays:
        return Playback.LIMITED
    return Playback.EVERYWHERE if has_duration else Playback.NO_DURATION


def recipes(container: str, streams: StreamInfo) -> list[Recipe]:
    """How a playable copy can be made, what costs least first; none where FFmpeg does not know the codec."""
    sound = streams.audio_codec
    if not streams.video_codec:
        return []
    # AVI's times are those of decoding, and its sound may be of a variable bit rate that it does not know.
    copied = container != "avi"
    mp4_sound: AudioTarget = "copy" if copied and sound in MP4_SOUND else "aac"
    anyway = Recipe("mp4", "h264", mp4_sound if sound else None)
    if copied and _is_plain_h264(streams):
        return [Recipe("mp4", "copy", mp4_sound if sound else None), anyway]
    if copied and _is_open(streams):
        webm_sound: AudioTarget = "copy" if sound in WEBM_SOUND else "opus"
        return [Recipe("webm", "copy", webm_sound if sound else None), anyway]
    return [anyway]


def _is_plain_h264(streams: StreamInfo) -> bool:
    return (
        streams.video_codec == "h264"
        and streams.pixel_format in PLAIN_PIXEL_FORMATS
        and streams.video_profile in (None, *H264_PROFILES)
        and (streams.video_level or 0) <= MAX_H264_LEVEL
    )


def _is_open(streams: StreamInfo) -> bool:
    return streams.video_codec in OPEN_CODECS and streams.pixel_format in PLAIN_PIXEL_FORMATS


MAX_ATTEMPTS = 3  # of a file that ends the worker, or that S3 gives or takes only in part
BEAT_SECONDS = 3.0
LEAST_SECONDS, SECONDS_A_SECOND, MOST_SECONDS = 300.0, 6.0, 4 * 3600.0
# H.264 takes about twice the bytes of HEVC, and more at little detail.
TIMES_LARGER, LEAST_BYTES, MOST_BYTES = 4, 64 * 1024**2, 8 * 1024**3
SAME_SECONDS, SAME_PART = 1.0, 0.05  # by which the copy's duration may differ
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


def initial_state(played: Playback | None) -> CopyState | None:
    """The state of a copy that is still to be made, or None where none is needed."""
    return None if played in (None, Playback.EVERYWHERE) else CopyState.DUE


def make_next(*, stopping: Callable[[], bool]) -> Outcome:
    """Make the copy whose turn it is. Raises DiskFull, with the copy still due."""
    if settings().playable_copies == "off":
        return "nothing to do"
    video = _claim()
    if video is None:
        return "nothing to do"
    with logs.context(video_id=video.id):
        return "made" if _Turn(video, stopping).take() else "not made"


def remake(video: Video) -> bool:
    """Forget a copy that is gone, and have it made; False where the row has changed meanwhile."""
    with transaction() as session:
        is_same = col(Video.copy_key) == video.copy_key
        return lifecycle.update_if_unchanged(
            session, video, is_same, sidecar_due_at=db_now(), **REMAKE_COLUMNS
        )


def retry(session: Session, video: Video) -> bool:
    """Have a copy made that could not be made before; False where the row has changed meanwhile."""
    return lifecycle.update_if_unchanged(
        session, video, col(Video.copy_state) == CopyState.FAILED, **REMAKE_COLUMNS
    )


def _claim() -> Video | None:
    """The video whose copy is to be made, from now on this worker's: of the owner who has the fewest waiting."""
    while True:
        with transaction() as session:
            due = _due(session)
            waiting = select(Video.owner_id, func.count().label("number")).where(due)
            counted = waiting.group_by(col(Video.owner_id)).subquery()
            ordered = (
                select(Video)
                .join(counted, counted.c.owner_id == Video.owner_id)
                .where(due)
                .order_by(counted.c.number, col(Video.created_at), col(Video.id))
            )
            video = session.exec(ordered.limit(1)).first()
            if video is None:
                return None
            if video.copy_tries < MAX_ATTEMPTS:
                if _take(session, video):
                    return video
                continue
            left = video.copy_key  # by the last worker
            given_up = _give_up(session, video, "Making it has failed several times.")
        if given_up:
            _delete(left)


def _due(session: Session) -> ColumnElement[bool]:
    dead = (col(Video.copy_state) == CopyState.MAKING) & lease_expired(read_db_now(session))
    return (col(Video.status) == Status.READY) & or_(col(Video.copy_state) == CopyState.DUE, dead)


def _take(session: Session, video: Video) -> bool:
    before = (col(Video.copy_tries) == video.copy_tries, col(Video.copy_state) == video.copy_state)
    values: dict[str, Any] = {
        "copy_state": CopyState.MAKING,
        "copy_claim": uuid4().hex,
        "copy_tries": video.copy_tries + 1,
    }
    return lifecycle.update_if_unchanged(session, video, *before, heartbeat_at=db_now(), **values)


def _give_up(session: Session, video: Video, why: str) -> bool:
    is_same = col(Video.copy_tries) == video.copy_tries
    values: dict[str, Any] = {"copy_state": CopyState.FAILED, "heartbeat_at": None}
    values |= {"copy_error": why, "copy_claim": None, "copy_key": None, "copy_format": None}
    failed = lifecycle.update_if_unchanged(session, video, is_same, **values)
    if failed:
        session.add(Event(kind="copy_failed", video_id=video.id, detail={"why": why}))
    return failed


class _Turn:
    """This worker's hold on the copy of one video, which ends when another one has it or the worker stops."""

    def __init__(self, video: Video, stopping: Callable[[], bool]) -> None:
        self._video = video
        self._stopping = stopping
        self._beaten = time.monotonic()
        self._key = ""

    def take(self) -> bool:
        """Whether the video has its copy now. Raises DiskFull."""
        _delete(self._video.copy_key)  # what a worker left that died
        try:
            self._make()
        except LeaseLost:
            log.info("copy given up: the video was changed, deleted or taken over")
            self._let_go()
        except (WorkerStopping, DiskFull) as error:
            self._put_back()
            if isinstance(error, DiskFull):
                raise
        except (ConversionFailed, VideoVaultError) as error:
            _delete(self._key)
            why = error.public_message if isinstance(error, VideoVaultError) else str(error)
            if isinstance(error, SourceUnreadable) or (
                isinstance(error, VideoVaultError) and is_transient(error)
            ):
                log.warning("copy not made, tried again later", reason=why)
                self._leave_for_later()
            else:
                self._fail(why)
        else:
            return True
        return False

    def check(self) -> None:
        """Raises Superseded or Interrupted when the work is to end."""
        if self._stopping():
            raise WorkerStopping
        if time.monotonic() - self._beaten >= BEAT_SECONDS:
            self._note(heartbeat_at=db_now())
            self._beaten = time.monotonic()

    def _make(self) -> None:
        tried = recipes(str(self._video.format), self._video)
        why = ConversionFailed("FFmpeg does not know its codec.")
        for recipe in tried:
            try:
                self._make_by(recipe)
            except SourceUnreadable:
                raise  # another recipe would read the same
            except ConversionFailed as error:
                log.info("conversion failed", recipe=str(recipe), reason=str(error))
                why = error
            else:
                return
        raise why

    def _make_by(self, recipe: Recipe) -> None:
        # Not straight into S3, which takes parts in order: the index comes first, but is known last.
        with temporary_file() as file:
            size = self._converted(recipe, file, _limits(self._video))
            self._key = copy_key(self._video, recipe.container)
            self._note(copy_key=self._key, copy_format=recipe.container)
            uploaded = self._uploaded(file, size, recipe)
        self._prove(recipe)
        self._publish(uploaded)

    def _converted(self, recipe: Recipe, file: BinaryIO, limits: Limits) -> int:
        video = self._video
        url = storage.connected().presign(str(video.s3_key), seconds=LINK_SECONDS, internal=True)
        original = SourceVideo(url, str(video.format), video.duration, video.rotation or 0)
        try:
            return conversion.convert(original, recipe, file, limits, self.check)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise DiskFull from error
            raise

    def _uploaded(self, file: BinaryIO, size: int, recipe: Recipe) -> UploadedFile:
        described = storage.Description(
            CONTENT_TYPES[recipe.container], content_disposition(self._video.title, recipe.container)
        )
        return upload_file(storage.connected(), self._key, file, size, described, self.check)

    def _prove(self, recipe: Recipe) -> None:
        """Look at it as at any other video: a copy that does not play is none."""
        url = storage.connected().presign(self._key, seconds=LINK_SECONDS, internal=True)
        seen = probe.probe_video(url, recipe.container)
        self.check()
        wanted, found = self._video.duration, seen.duration if seen else None
        if seen is None:
            storage.connected().info(
                self._key
            )  # raises StorageError where S3 is away, which is no fault of the copy
        if seen is None or found is None or not seen.is_complete:
            self._refuse("the copy cannot be read")
        elif playback_for(recipe.container, seen, has_duration=seen.has_duration) != Playback.EVERYWHERE:
            self._refuse("the copy does not play everywhere")
        elif wanted and abs(wanted - found) > max(SAME_SECONDS, wanted * SAME_PART):
            self._refuse(f"the copy lasts {found:.1f} seconds, and the video {wanted:.1f}")

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

    def _note(self, **values: Any) -> None:
        """Raises Superseded when the turn is over."""
        with transaction(essential=True) as session:
            mine = col(Video.copy_claim) == self._video.copy_claim
            if not lifecycle.update_if_unchanged(session, self._video, mine, **values):
                raise LeaseLost

    def _put_back(self) -> None:
        try:
            values = {"copy_state": CopyState.DUE, "copy_claim": None, "heartbeat_at": None}
            _delete(self._key)
            self._note(copy_tries=self._video.copy_tries - 1, copy_key=None, copy_format=None, **values)
        except LeaseLost:
            self._let_go()

    def _fail(self, why: str) -> None:
        log.warning("copy not made", reason=why)
        with transaction(essential=True) as session:
            failed = _give_up(session, self._video, why)
        if not failed:
            self._let_go()

    def _leave_for_later(self) -> None:
        """The lease runs out, and the copy is tried again. An S3 that is away does not count as a try."""
        try:
            storage.connected().info(str(self._video.s3_key))
        except StorageError as error:
            if not is_transient(error):
                return
            with suppress(LeaseLost):
                self._note(copy_tries=self._video.copy_tries - 1, heartbeat_at=db_now())

    def _let_go(self) -> None:
        """Leave nothing of a copy that no row refers to; a deletion waits for this."""
        _delete(self._key)
        with reading() as session:
            row = session.get(Video, self._video.id)
        if row is not None and row.status == Status.DELETING:
            deletion.finish(row, let_go=True)


def _delete(key: str | None) -> None:
    if not key:
        return
    try:
        storage.connected().delete([key])
    except StorageError as error:  # ``reconcile`` finds it
        log.warning("copy not deleted", reason=error.public_message)


def _limits(video: Video) -> Limits:
    """What its making may take. Raises QuotaExceeded, DiskFull."""
    with reading() as session:
        left = quota.remaining(session, video.owner_id)
    if left == 0:
        raise QuotaExceeded("There is no room for it in the account.")
    free = free_spool_bytes()
    if free < LEAST_BYTES:
        raise DiskFull
    most = min(
        max(LEAST_BYTES, TIMES_LARGER * (video.size or 0)), MOST_BYTES, settings().max_video_bytes, free
    )
    seconds = LEAST_SECONDS + SECONDS_A_SECOND * (video.duration or 0)
    return Limits(min(seconds, MOST_SECONDS), most if left is None else min(most, left))
