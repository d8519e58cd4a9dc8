"""The tables. A video is one row, and the row is the truth."""

from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any
from uuid import uuid4

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Enum, Index, LargeBinary, Text
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

from videovault import logs


class Status(StrEnum):
    """A video's life, in the order of a good one."""

    DRAFT = "draft"
    GENERATING = "generating"
    QUEUED = "queued"
    STORING = "storing"
    READY = "ready"
    FAILED = "failed"
    DELETING = "deleting"


class Channel(StrEnum):
    """A way to tell an owner who has no page open."""

    WEBHOOK = "webhook"
    MAIL = "mail"


class Playback(StrEnum):
    """Whether browsers play a stored video: most of them, only some, or without knowing its length."""

    EVERYWHERE = "everywhere"
    LIMITED = "limited"
    NO_DURATION = "no_duration"


class CopyState(StrEnum):
    """Of a video's playable copy."""

    DUE = "due"
    MAKING = "making"
    READY = "ready"
    FAILED = "failed"


# Kept as plain text, so that another state needs no change of the column.
StatusText = Enum(Status, native_enum=False, length=20, values_callable=list)
ChannelText = Enum(Channel, native_enum=False, length=20, values_callable=list)
PlaybackText = Enum(Playback, native_enum=False, length=20, values_callable=list)
CopyStateText = Enum(CopyState, native_enum=False, length=20, values_callable=list)


class UtcDateTime(TypeDecorator[datetime]):
    """Aware times in UTC on every database; SQLite forgets the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


def utcnow() -> datetime:
    return datetime.now(UTC)


class User(SQLModel, table=True):
    __tablename__ = "users"

    id: str = Field(default_factory=lambda: uuid4().hex, primary_key=True)
    email: str = Field(unique=True, index=True, max_length=254)
    name: str = Field(default="", max_length=200)
    password_hash: str
    is_admin: bool = False
    is_active: bool = True
    quota_bytes: int | None = Field(default=None, sa_type=BigInteger)
    created_at: datetime = Field(default_factory=utcnow, sa_type=UtcDateTime)
    last_seen_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    # When its owner deleted the account, of which from then on nothing is known but its videos, until these are gone.
    closed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    # When one of the user's videos last had its turn to be stored: from then on the user waits behind the others.
    served_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Session(SQLModel, table=True):
    """A sign-in, by the hash of its token."""

    __tablename__ = "sessions"

    token_hash: str = Field(primary_key=True, max_length=64)
    # What it is called where it is shown; the hash never is.
    id: str = Field(default_factory=lambda: uuid4().hex, unique=True, index=True, max_length=32)
    user_id: str = Field(foreign_key="users.id", index=True, ondelete="CASCADE")
    user_agent: str = Field(default="", max_length=300)
    created_at: datetime = Field(default_factory=utcnow, sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    last_seen_at: datetime = Field(default_factory=utcnow, sa_type=UtcDateTime)


class ApiToken(SQLModel, table=True):
    """A personal token for programs, by its hash."""

    __tablename__ = "api_tokens"

    id: str = Field(default_factory=lambda: uuid4().hex, primary_key=True, max_length=32)
    token_hash: str = Field(unique=True, index=True, max_length=64)
    user_id: str = Field(foreign_key="users.id", index=True, ondelete="CASCADE")
    name: str = Field(max_length=100)
    scope: str = Field(max_length=10)
    created_at: datetime = Field(default_factory=utcnow, sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Invitation(SQLModel, table=True):
    """Leave to make one account; ``email`` empty: for whoever has the link."""

    __tablename__ = "invitations"

    id: str = Field(default_factory=lambda: uuid4().hex, primary_key=True, max_length=32)
    email: str = Field(default="", max_length=254)
    invited_by: str = Field(max_length=32)
    created_at: datetime = Field(default_factory=utcnow, sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Video(SQLModel, table=True):
    __tablename__ = "videos"
    __table_args__ = (
        Index("ix_videos_owner_created", "owner_id", "created_at"),
        Index("ix_videos_status_heartbeat", "status", "heartbeat_at"),
        Index("ix_videos_status_queued", "status", "queued_at"),
        Index("ix_videos_created_id", "created_at", "id"),
        Index("ix_videos_copy_state", "copy_state"),
    )

    id: str = Field(primary_key=True, max_length=64)
    owner_id: str = Field(foreign_key="users.id")
    title: str = Field(max_length=200)
    status: Status = Field(sa_type=StatusText)
    # Counts up at each request and each claim, so that a worker whose turn has passed changes nothing.
    attempt: int = 0

    topic: str = Field(default="", sa_type=Text)
    hook: str = Field(default="", sa_type=Text)
    body: str = Field(default="", sa_type=Text)
    conclusion: str = Field(default="", sa_type=Text)
    company_name: str = ""
    social_handles: str = ""
    license: str = ""
    avatar: str = ""
    requested_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    # The digest of the script as it was ordered, which callback tokens carry. Empty: changed since; None: not known.
    order_digest: str | None = Field(default=None, max_length=32)
    # What the owner is told while the generator's news are awaited, if there is anything to tell.
    generator_note: str | None = Field(default=None, sa_type=Text)
    # The address that the generator gave for the last order, whatever became of fetching it.
    delivered_url: str | None = Field(default=None, sa_type=Text)
    estimated_minutes: float | None = None
    deadline_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    source_url: str | None = Field(default=None, sa_type=Text)
    # The title is only what the address is called: a name that the source gives is better.
    has_derived_title: bool = False
    # Of a finished video whose address does not give it yet: since when, and when it is fetched next. By the
    # database's clock; both None as soon as it is stored or has failed.
    refused_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    next_fetch_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    # Where the generator says how far it is, when to ask it next (for the video itself, as long as it has
    # not taken the order), and how often it was asked without an outcome.
    status_url: str | None = Field(default=None, sa_type=Text)
    next_ask_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    asks: int = 0
    # Where the generator says that the video will be, while it is still at work.
    expected_url: str | None = Field(default=None, sa_type=Text)
    # When the generator last said something that was not understood; None once it has said something that was.
    unread_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    # Since when it waits for a worker; it keeps its place when a worker gives it back.
    queued_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    s3_key: str | None = Field(default=None, sa_type=Text)
    sealed_key: str = Field(sa_type=Text)
    poster_key: str | None = Field(default=None, sa_type=Text)
    # Since when the sidecar in S3 no longer says what the row does; None while it does.
    sidecar_due_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    upload_id: str | None = Field(default=None, sa_type=Text)
    # What must still be the same for the upload to be resumed: the source, and the size of the parts.
    upload_source: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    # Until when a failed video's parts wait for somebody to try again.
    upload_kept_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    # Of the owner's quota, while the video is stored.
    reserved_bytes: int = Field(default=0, sa_type=BigInteger)
    bytes_done: int = Field(default=0, sa_type=BigInteger)
    bytes_total: int | None = Field(default=None, sa_type=BigInteger)
    bytes_per_second: float | None = None
    # By the database's clock. Outside ``storing``: a worker may not have noticed yet that it has lost the video.
    heartbeat_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    size: int | None = Field(default=None, sa_type=BigInteger)
    crc32: str | None = Field(default=None, max_length=8)
    etag: str | None = None
    duration: float | None = None
    width: int | None = None
    height: int | None = None
    format: str | None = None
    # As measured when it was stored; None where that was not possible, and for videos from before it was done.
    video_codec: str | None = Field(default=None, max_length=32)
    audio_codec: str | None = Field(default=None, max_length=32)
    video_profile: str | None = Field(default=None, max_length=60)
    video_level: int | None = None
    pixel_format: str | None = Field(default=None, max_length=32)
    bit_depth: int | None = None
    rotation: int | None = None
    frame_rate: float | None = None
    is_complete: bool | None = None
    playback: Playback | None = Field(default=None, sa_type=PlaybackText)
    # The playable copy of a video that most browsers cannot play. ``copy_claim`` names the worker's turn that makes
    # it, which ``heartbeat_at`` keeps alive.
    copy_state: CopyState | None = Field(default=None, sa_type=CopyStateText)
    copy_claim: str | None = Field(default=None, max_length=32)
    copy_tries: int = 0
    copy_key: str | None = Field(default=None, sa_type=Text)
    copy_format: str | None = Field(default=None, max_length=10)
    copy_size: int | None = Field(default=None, sa_type=BigInteger)
    copy_etag: str | None = None
    copy_error: str | None = Field(default=None, sa_type=Text)
    error_code: str | None = None
    error_message: str | None = Field(default=None, sa_type=Text)
    # The link is open to whoever has the secret key, unless it is closed, has run out or was opened often enough.
    share_closed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    share_expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    share_most_views: int | None = None
    share_views: int = 0

    created_at: datetime = Field(default_factory=utcnow, sa_type=UtcDateTime)
    updated_at: datetime = Field(default_factory=utcnow, sa_type=UtcDateTime)


class Avatar(SQLModel, table=True):
    """A presenter that the create form offers; videos refer to it by ``generator_id``, not by its row."""

    __tablename__ = "avatars"

    id: str = Field(default_factory=lambda: uuid4().hex, primary_key=True, max_length=32)
    name: str = Field(max_length=100)
    generator_id: str = Field(sa_type=Text)
    position: int
    picture: bytes | None = Field(default=None, sa_type=LargeBinary)
    picture_hash: str = Field(default="", max_length=16)  # empty without a picture
    created_at: datetime = Field(default_factory=utcnow, sa_type=UtcDateTime)


class UploadPart(SQLModel, table=True):
    """A part that S3 has taken, of the multipart upload that the video's row names."""

    __tablename__ = "upload_parts"

    video_id: str = Field(foreign_key="videos.id", primary_key=True, ondelete="CASCADE")
    number: int = Field(primary_key=True)
    size: int = Field(sa_type=BigInteger)
    etag: str
    crc32: str


class Worker(SQLModel, table=True):
    """A worker process, alive as long as ``seen_at`` is fresh; both times are the database's own."""

    __tablename__ = "workers"

    id: str = Field(primary_key=True, max_length=32)
    host: str = Field(max_length=100)
    at_once: int
    started_at: datetime = Field(sa_type=UtcDateTime)
    seen_at: datetime = Field(sa_type=UtcDateTime)


class HealthCheck(SQLModel, table=True):
    """What ``/readyz`` writes, to know that it can: one row, made with the table."""

    __tablename__ = "health_checks"

    name: str = Field(primary_key=True, max_length=20)
    written_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class KeyCanary(SQLModel, table=True):
    """A known text sealed by a SECRET_KEY that seals rows: whether it opens tells whether that key is still set."""

    __tablename__ = "key_canaries"

    id: str = Field(default_factory=lambda: uuid4().hex, primary_key=True, max_length=32)
    sealed: str = Field(sa_type=Text)
    created_at: datetime = Field(default_factory=utcnow, sa_type=UtcDateTime)


class ChosenSetting(SQLModel, table=True):
    """A setting that an admin has chosen on a page; the environment's own counts before it."""

    __tablename__ = "chosen_settings"

    name: str = Field(primary_key=True, max_length=40)
    value: str = Field(max_length=200)
    chosen_by: str = Field(max_length=32)
    chosen_at: datetime = Field(default_factory=utcnow, sa_type=UtcDateTime)


class TestOrder(SQLModel, table=True):
    """A sample order that an admin sent to the generator: no video, but what was sent, answered and read."""

    __test__ = False  # pytest takes the name for a test's
    __tablename__ = "test_orders"

    id: str = Field(primary_key=True, max_length=64)
    user_id: str = Field(max_length=32)
    started_at: datetime = Field(default_factory=utcnow, sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    steps: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)


class IdempotencyKey(SQLModel, table=True):
    """A call that is done once for the key its caller gave it; it is running until ``status_code`` is set."""

    __tablename__ = "idempotency_keys"

    user_id: str = Field(foreign_key="users.id", primary_key=True, ondelete="CASCADE")
    endpoint: str = Field(primary_key=True, max_length=40)
    key: str = Field(primary_key=True, max_length=255)
    request_hash: str = Field(max_length=64)
    # Who carries it out: another one with each takeover.
    holder: str = Field(default_factory=lambda: uuid4().hex, unique=True, index=True, max_length=32)
    lease_until: datetime = Field(sa_type=UtcDateTime)
    video_id: str | None = None
    status_code: int | None = None
    # Sealed, since the answer to a download holds the video's secret key.
    sealed_answer: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = Field(default_factory=utcnow, sa_type=UtcDateTime, index=True)


class Event(SQLModel, table=True):
    """Who did what when. Rows outlive what they speak of, so there are no foreign keys.

    What outside calls can repeat at will is one row an hour (``services/core/audit.py``): ``tally_key`` names it, ``times``
    counts, and ``last_at`` is the last time. ``client_ip`` is empty for the machine's own work and once it has expired.
    """

    __tablename__ = "events"

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = Field(default_factory=utcnow, sa_type=UtcDateTime, index=True)
    kind: str = Field(index=True)
    actor_id: str | None = Field(default=None, index=True)
    video_id: str | None = Field(default=None, index=True)
    client_ip: str = Field(default_factory=logs.client_ip, max_length=45, index=True)
    times: int = 1
    last_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    tally_key: str | None = Field(default=None, max_length=64, unique=True, index=True)
    detail: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)


class WebhookCall(SQLModel, table=True):
    """A webhook call, in or out, as the callback inbox keeps it. Rows outlive the videos they speak of."""

    __tablename__ = "deliveries"
    __table_args__ = (Index("ix_deliveries_video_id_id", "video_id", "id"),)

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = Field(default_factory=utcnow, sa_type=UtcDateTime, index=True)
    direction: str = Field(max_length=3)
    # Of a call that proved nothing: the client's IPv4 address or IPv6 /48; empty for all others.
    address: str = Field(default="", max_length=50)
    kind: str = Field(max_length=20)
    video_id: str | None = Field(default=None, max_length=64)
    headers: dict[str, str] = Field(default_factory=dict, sa_type=JSON)
    body: str = Field(default="", sa_type=Text)
    is_cut: bool = False
    answer: str = Field(default="", sa_type=Text)
    verdict: str = Field(max_length=20)
    why: str = Field(default="", sa_type=Text)
    http_status: int | None = None
    outcome: str = Field(default="", max_length=40)


class WebhookId(SQLModel, table=True):
    """The hash of the ``webhook-id`` of a signed report that was applied, while its signature is valid."""

    __tablename__ = "webhook_ids"
    id_hash: str = Field(primary_key=True, max_length=64)
    received_at: datetime = Field(default_factory=utcnow, sa_type=UtcDateTime, index=True)


class GenerationCount(SQLModel, table=True):
    """Renders ordered on one UTC day by an account; an empty ``user_id`` counts those of all accounts."""

    __tablename__ = "generation_counts"
    user_id: str = Field(primary_key=True, max_length=32)
    day: date = Field(primary_key=True)
    count: int


class OutboxMessage(SQLModel, table=True):
    """Something to be told to somebody outside, written with the change it tells of. Outlives the video.

    ``next_attempt_at`` is when it may be taken next; None once it is delivered or given up.
    """

    __tablename__ = "outbox"
    __table_args__ = (Index("ix_outbox_channel_next_attempt", "channel", "next_attempt_at"),)

    id: str = Field(default_factory=lambda: f"msg_{uuid4().hex}", primary_key=True, max_length=64)
    kind: str = Field(max_length=40)
    channel: Channel = Field(sa_type=ChannelText)
    video_id: str = Field(index=True, max_length=64)
    payload: dict[str, Any] = Field(sa_type=JSON)
    attempts: int = 0
    next_attempt_at: datetime | None = Field(default_factory=utcnow, sa_type=UtcDateTime)
    delivered_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_error: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = Field(default_factory=utcnow, sa_type=UtcDateTime, index=True)


class StoreCapabilities(SQLModel, table=True):
    """What was learned of a store: ``facts`` as ``gateways/store_capabilities.py`` writes them, ``id`` the hash of ``store``."""

    __tablename__ = "store_capabilities"

    id: str = Field(primary_key=True, max_length=64)
    store: str = Field(sa_type=Text)
    facts: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    learned_at: datetime = Field(default_factory=utcnow, sa_type=UtcDateTime)
