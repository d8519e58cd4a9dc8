"""The frozen shapes that may leave the services: for pages and API alike, with nothing secret in them."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel

from videovault.brief import Brief
from videovault.clock import utcnow
from videovault.config import settings
from videovault.models import CopyState, Event, Playback, Status, User, Video

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
    "Your generator answered something that VideoVault could not read. The video is still awaited; an admin can see the "
    "answer on the System page."
)
WAITING_FOR_FILE = "The generator has named the video's address, which does not give it yet. It is fetched again for ten minutes."
PROCESSING = (Status.GENERATING, Status.QUEUED, Status.STORING)


def is_generated(video: Video) -> bool:
    """Whether a generator makes it, so that it can be ordered again; others are stored from a link."""
    return video.requested_at is not None or bool(video.hook)


def available_retries(video: Video) -> tuple[Retry, ...]:
    """The ways to try a video again, the first one costing least; none unless it or its playable copy has failed."""
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
    """What trying again does for a video unless something else is asked for; None where there is no way."""
    return next(iter(available_retries(video)), None)


def iso_utc(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Timestamp = Annotated[datetime, PlainSerializer(iso_utc, when_used="json")]


class View(BaseModel):
    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, serialize_by_alias=False
    )


class UserView(View):
    user_id: str
    email: str
    name: str
    is_admin: bool
    created_at: Timestamp
    storage_bytes: int = 0
    quota_bytes: int = 0

    @classmethod
    def of(cls, user: User, *, storage_bytes: int, quota_bytes: int) -> "UserView":
        return cls(
            user_id=user.id,
            email=user.email,
            name=user.name,
            is_admin=user.is_admin,
            created_at=user.created_at,
            storage_bytes=storage_bytes,
            quota_bytes=quota_bytes,
        )


class SignedIn(View):
    """A fresh session; the token is shown this once."""

    user: UserView
    token: str
    expires_at: Timestamp


class GuideMetadata(View):
    """What the guide's answers tell, and a little more."""

    duration: float | None = None
    size: int | None = None
    format: str | None = None
    width: int | None = None
    height: int | None = None
    crc32: str | None = None


class Measured(View):
    """What is known of a stored video by looking into it, None where it is not; codecs by FFmpeg's names.

    ``rotation`` in degrees counter-clockwise, to show it upright; ``frame_rate`` in frames a second; ``video_level`` as
    the codec counts: 42 is H.264's 4.2. ``playback`` says whether browsers play it.
    """

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


class Metadata(Measured, GuideMetadata):
    """``duration`` in seconds, ``size`` in bytes, ``width`` and ``height`` in pixels as it is shown.

    ``crc32`` is the CRC-32 of the whole file, 8 hexadecimal digits, as zlib and most tools name it.
    """

    model_config = ConfigDict(from_attributes=True)


class Progress(View):
    """How far the work is; bytes and seconds, ``percent`` only while storing a video of known size.

    ``note`` is a sentence for the owner where the generator or its file is awaited longer than usual, ``problem`` one
    where the generator was not understood.
    ``waits_for_file``: the generator has named the file's address, which does not give it yet.
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

    @classmethod
    def of(cls, video: Video) -> "Progress":
        total, rate = video.bytes_total, video.bytes_per_second
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
        )


class Failure(View):
    code: str
    message: str


class CopyView(View):
    """The copy of a video that most browsers cannot play; ``size`` in bytes, ``error`` is why there is none."""

    state: CopyState
    format: str | None = None
    size: int | None = None
    error: str | None = None

    @classmethod
    def of(cls, video: Video) -> "CopyView | None":
        """None where none is needed, or wanted."""
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
    """A video as its owner sees it in the gallery; the links are there once it is ready.

    ``retry`` is what trying a failed one again does: fetch it from its address again, or have it generated again,
    which the generator may charge for; of a ready one, make the playable copy that failed. ``retries`` are all ways that can be asked for, in this order.
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
    has_poster: bool = Field(
        default=False, exclude=True
    )  # for pages, which have an address for it without a link
    has_topic: bool = Field(default=False, exclude=True)  # so that a page can offer another one like it

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
    """Where a failed video was fetched from; it may carry a secret, so it is for its owner and admins only."""

    video_id: str
    video_url: str = Field(repr=False)


class ScriptView(Brief, View):
    """A draft or a video's script, as the generation modal edits it."""

    video_id: str

    @classmethod
    def of(cls, video: Video) -> "ScriptView":
        return cls(video_id=video.id, **{name: getattr(video, name) for name in Brief.model_fields})


class GalleryView(View):
    """One page of videos; the counts are over everything the user has, the total leaves out drafts."""

    videos: list[VideoView]
    total_count: int
    ready_count: int
    processing_count: int
    failed_count: int
    draft_count: int = Field(default=0, exclude=True)  # for pages: the guide's answer has no place for it
    next_cursor: str | None = None


class StoredView(View):
    """The owner's answer to storing a link: with the video's key, so never part of a list."""

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
    """A video that has just become ready or failed; ``number`` is this event's own, ``reason`` why it failed."""

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
    """What became of one of several videos that were to be deleted; ``note`` says what stays of a deleted one."""

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
