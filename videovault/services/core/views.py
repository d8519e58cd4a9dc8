"""Frozen views, the only data that leaves the services, for pages and API alike. They contain no secrets."""

from datetime import UTC, datetime
from itertools import dropwhile
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel
from sqlmodel import SQLModel

from videovault.brief import Brief
from videovault.clock import utcnow
from videovault.config import settings
from videovault.models import CopyState, Event, Playback, Status, Video

PublicStatus = Literal["draft", "processing", "ready", "failed"]
PUBLIC_STATUS: dict[str, PublicStatus] = {
    Status.DRAFT: "draft",
    Status.GENERATING: "processing",
    Status.QUEUED: "processing",
    Status.STORING: "processing",
    Status.READY: "ready",
    Status.FAILED: "failed",
}
Retry = Literal["transfer", "generation", "copy"]
UNREADABLE_ANSWER = (
    "VideoVault could not read your generator's answer. It keeps waiting for the video; an admin can see the answer on "
    "the System page."
)
WAITING_FOR_FILE = "The generator's URL does not serve the video yet. VideoVault tries again for ten minutes."
PROCESSING = (Status.GENERATING, Status.QUEUED, Status.STORING)


def is_generated(video: Video) -> bool:
    """Whether a generator renders it, so that it can be ordered again; others were imported from a link."""
    return video.requested_at is not None or bool(video.hook)


def is_unanswered(video: Video) -> bool:
    """Whether the generator's response to the present order was lost, so that only its report can bring the video."""
    return video.status == Status.GENERATING and video.unanswered_attempt == video.attempt


def available_retries(video: Video) -> tuple[Retry, ...]:
    """The possible retries, cheapest first; none unless the video, its order or its playable copy has failed."""
    if is_unanswered(video):
        return ("generation",)
    if video.status == Status.READY:
        is_missing = video.copy_state == CopyState.FAILED and settings().playable_copies == "on"
        return ("copy",) if is_missing else ()
    if video.status != Status.FAILED:
        return ()
    ways: list[tuple[Retry, bool]] = [
        ("transfer", bool(video.source_url)),
        ("generation", is_generated(video)),
    ]
    return tuple(way for way, is_possible in ways if is_possible)


def default_retry(video: Video) -> Retry | None:
    """The retry that is used unless another one is requested; None if there is none."""
    return next(iter(available_retries(video)), None)


def iso_utc(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Timestamp = Annotated[datetime, PlainSerializer(iso_utc, when_used="json")]


class View(BaseModel):
    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, serialize_by_alias=False
    )

    @classmethod
    def from_row(cls, row: SQLModel, **values: Any) -> Self:
        """The view with ``values``, and the row's columns for all other fields."""
        columns = (type(row).model_fields.keys() & cls.model_fields.keys()) - values.keys()
        return cls(**{name: getattr(row, name) for name in columns}, **values)


class UserView(View):
    user_id: str
    email: str
    name: str
    is_admin: bool
    created_at: Timestamp
    storage_bytes: int = 0
    quota_bytes: int = 0


class SignedIn(View):
    """A new session; the token is shown only this once."""

    user: UserView
    token: str
    expires_at: Timestamp


class LinkView(View):
    """A single-use link to pass on; anyone who has it can use it."""

    url: str
    expires_at: Timestamp


class Metadata(View):
    """``duration`` in seconds, ``size`` in bytes, ``width`` and ``height`` in pixels as it is shown.

    ``crc32`` is the CRC-32 of the whole file, 8 hexadecimal digits, as zlib and most tools name it. From ``video_codec``
    on, the properties are measured from the stored file, codecs by FFmpeg's names, None if unknown: ``rotation`` in
    degrees counter-clockwise, to show it upright; ``frame_rate`` in frames per second; ``video_level`` in the codec's
    units: 42 is H.264's 4.2. ``playback``: whether browsers play it.
    """

    model_config = ConfigDict(from_attributes=True)

    duration: float | None = None
    size: int | None = None
    format: str | None = None
    width: int | None = None
    height: int | None = None
    crc32: str | None = None
    video_codec: str | None = None
    audio_codec: str | None = None
    video_profile: str | None = None
    video_level: int | None = None
    pixel_format: str | None = None
    bit_depth: int | None = None
    rotation: int | None = None
    frame_rate: float | None = None
    is_complete: bool | None = None
    playback: Playback | None = None


MEASURED_FIELDS = tuple(dropwhile(lambda name: name != "video_codec", Metadata.model_fields))


STALLED_BYTES_PER_SECOND = (
    1024  # the smoothed rate of a stalled transfer approaches 0 and would promise centuries
)


class Progress(View):
    """Progress in bytes and seconds; ``percent`` only while storing a video of known size.

    ``bytes_per_second`` and ``seconds_left`` are None while the transfer stalls. ``note`` is a message for the owner if the generator or its file takes longer than usual, ``problem`` one if the
    generator's answer could not be read. ``waits_for_file``: the generator's URL does not serve the file yet.
    """

    stage: Literal["generating", "queued", "storing"]
    bytes_done: int = 0
    bytes_total: int | None = None
    percent: int | None = None
    bytes_per_second: float | None = None
    seconds_left: int | None = None
    elapsed_seconds: int = 0
    expected_seconds: int | None = None
    note: str | None = None
    problem: str | None = None
    waits_for_file: bool = Field(default=False, exclude=True)  # for pages
    is_unanswered: bool = Field(default=False, exclude=True)  # for pages, which offer to order again

    @classmethod
    def of(cls, video: Video) -> "Progress":
        total, rate = video.bytes_total, video.bytes_per_second
        if rate is not None and rate < STALLED_BYTES_PER_SECOND:
            rate = None
        waits_for_worker = video.status == Status.GENERATING and video.requested_at is None
        started = video.updated_at if waits_for_worker else video.requested_at or video.created_at
        return cls(
            stage=video.status.value,
            bytes_done=video.bytes_done,
            bytes_total=total,
            percent=min(100, video.bytes_done * 100 // total) if total else None,
            bytes_per_second=rate,
            seconds_left=round((total - video.bytes_done) / rate) if total and rate else None,
            elapsed_seconds=max(0, int((utcnow() - started).total_seconds())),
            expected_seconds=round(video.estimated_minutes * 60) if video.estimated_minutes else None,
            note=_note(video),
            problem=UNREADABLE_ANSWER if video.unread_at and video.status == Status.GENERATING else None,
            waits_for_file=video.status == Status.QUEUED and video.refused_since is not None,
            is_unanswered=is_unanswered(video),
        )


class Failure(View):
    code: str
    message: str


class CopyView(View):
    """The playable copy of a video that most browsers cannot play; ``size`` in bytes, ``error`` if making it failed."""

    state: CopyState
    format: str | None = None
    size: int | None = None
    error: str | None = None

    @classmethod
    def of(cls, video: Video) -> "CopyView | None":
        """None if no copy is needed or wanted."""
        is_wanted = settings().playable_copies == "on" or video.copy_state in (
            CopyState.READY,
            CopyState.FAILED,
        )
        if video.status != Status.READY or video.copy_state is None or not is_wanted:
            return None
        is_there = video.copy_state == CopyState.READY
        return cls(
            state=video.copy_state,
            format=video.copy_format if is_there else None,
            size=video.copy_size if is_there else None,
            error=video.copy_error if video.copy_state == CopyState.FAILED else None,
        )


class VideoView(View):
    """A video as its owner sees it in the gallery; it has links once it is ready.

    ``retry`` is the default retry: fetch a failed video from its URL again, or have it rendered again, which may cost
    a credit; for a ready one, make the playable copy that failed. ``retries`` are all possible ones, in order. One in
    progress has a retry only if its generator's response was lost.
    """

    video_id: str
    title: str
    status: PublicStatus
    created_at: Timestamp
    updated_at: Timestamp
    metadata: Metadata | None = None
    download_url: str | None = None
    thumbnail_url: str | None = None
    progress: Progress | None = None
    error: Failure | None = None
    retry: Retry | None = None
    retries: tuple[Retry, ...] | None = None
    playable_copy: CopyView | None = None
    has_poster: bool = Field(default=False, exclude=True)  # for pages, which load it from our own URL
    has_topic: bool = Field(default=False, exclude=True)  # for pages, which can offer a similar video

    @classmethod
    def of(
        cls, video: Video, *, download_url: str | None = None, thumbnail_url: str | None = None
    ) -> "VideoView":
        return cls(
            video_id=video.id,
            title=video.title,
            status=PUBLIC_STATUS[video.status],
            created_at=video.created_at,
            updated_at=video.updated_at,
            metadata=_metadata(video),
            download_url=download_url,
            thumbnail_url=thumbnail_url,
            progress=Progress.of(video) if video.status in PROCESSING else None,
            error=Failure(code=video.error_code or "FAILED", message=video.error_message or "It failed.")
            if video.status == Status.FAILED
            else None,
            retry=default_retry(video),
            retries=available_retries(video) or None,
            playable_copy=CopyView.of(video),
            has_poster=video.poster_key is not None,
            has_topic=bool(video.topic),
        )


class SourceView(View):
    """The URL of a failed video. It may contain a secret, so it is for the owner and admins only."""

    video_id: str
    video_url: str = Field(repr=False)


class ScriptView(Brief, View):
    """The script of a draft or video, as the create dialog edits it."""

    video_id: str

    @classmethod
    def of(cls, video: Video) -> "ScriptView":
        return cls(video_id=video.id, **{name: getattr(video, name) for name in Brief.model_fields})


class GalleryView(View):
    """One page of videos; the counts cover all of the user's videos, the total excludes drafts."""

    videos: list[VideoView]
    total_count: int
    ready_count: int
    processing_count: int
    failed_count: int
    draft_count: int = Field(default=0, exclude=True)  # for pages: it is not part of the guide's answer
    next_cursor: str | None = None


class StoredView(View):
    """The answer to an import from a link. It contains the video's secret key, so it is never part of a list."""

    video_id: str
    title: str
    s3_key: str
    secret_key: str
    status: PublicStatus
    size: int | None
    created_at: Timestamp
    metadata: Metadata | None = None

    @classmethod
    def of(cls, video: Video, secret_key: str) -> "StoredView":
        return cls(
            video_id=video.id,
            title=video.title,
            s3_key=video.s3_key or "",
            secret_key=secret_key,
            status=PUBLIC_STATUS[video.status],
            size=video.size,
            created_at=video.created_at,
            metadata=_metadata(video),
        )


class AdminVideoView(View):
    """A row of the admin's table."""

    video: VideoView
    owner_email: str
    owner_id: str
    size: int
    has_poster: bool = False


class NoticeView(View):
    """A video that has just become ready or failed; ``number`` is the event's id, ``reason`` why it failed."""

    number: int
    at: Timestamp
    video_id: str
    title: str
    reason: str = ""

    @classmethod
    def of(cls, event: Event, video: Video) -> "NoticeView":
        error = VideoView.of(video).error
        return cls(
            number=event.id or 0,
            at=event.at,
            video_id=video.id,
            title=video.title,
            reason=error.message if error else "",
        )


class DeletionResult(View):
    """The result for one of several videos to delete; ``note`` tells what a versioned bucket keeps of it."""

    video_id: str
    deleted: bool
    error: Failure | None = None
    note: str | None = None


def _note(video: Video) -> str | None:
    if video.status == Status.QUEUED and video.refused_since:
        return WAITING_FOR_FILE
    return video.generator_note if video.status == Status.GENERATING else None


def _metadata(video: Video) -> Metadata | None:
    found = Metadata.model_validate(video)
    return found if found != Metadata() else None
