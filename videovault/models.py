"""The tables. A video is one row, and the row is the truth."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import uuid4

from sqlalchemy import JSON, BigInteger, Enum, Index, LargeBinary, Text, text
from sqlmodel import Field, SQLModel

from videovault import logs
from videovault.brief import Brief
from videovault.clock import UtcDateTime, utcnow


class Status(StrEnum):
    """The states of a video, in the order in which a successful one passes them."""

    DRAFT = "draft"
    GENERATING = "generating"
    QUEUED = "queued"
    STORING = "storing"
    READY = "ready"
    FAILED = "failed"
    DELETING = "deleting"


class Channel(StrEnum):
    """How an owner is notified while no page is open."""

    WEBHOOK = "webhook"
    MAIL = "mail"


class Playback(StrEnum):
    """Which browsers play a stored video: most, only some, or most but without knowing its length."""

    EVERYWHERE = "everywhere"
    LIMITED = "limited"
    NO_DURATION = "no_duration"


class CopyState(StrEnum):
    """The state of a video's playable copy."""

    DUE = "due"
    MAKING = "making"
    READY = "ready"
    FAILED = "failed"


# Stored as plain text, so that a new state needs no migration.
StatusText = Enum(Status, native_enum=False, length=20, values_callable=list)
ChannelText = Enum(Channel, native_enum=False, length=20, values_callable=list)
PlaybackText = Enum(Playback, native_enum=False, length=20, values_callable=list)
CopyStateText = Enum(CopyState, native_enum=False, length=20, values_callable=list)


GENERATING = f"status = '{Status.GENERATING}'"
STORED_GENERATED = "status = 'ready' AND requested_at IS NOT NULL"


def _partial(name: str, *columns: str, where: str) -> Index:
    """An index of the rows that a periodic task may have to do something with."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


class User(SQLModel, table=True):
    __tablename__ = "users"
    __table_args__ = (
        Index("ix_users_created_id", "created_at", "id"),
        _partial("ix_users_closed", "closed_at", where="closed_at IS NOT NULL"),
    )

    id: str = Field(default_factory=lambda: uuid4().hex, primary_key=True)
    email: str = Field(unique=True, index=True, max_length=254)
    name: str = Field(default="", max_length=200)
    password_hash: str
    is_admin: bool = False
    is_active: bool = True
    quota_bytes: int | None = Field(default=None, sa_type=BigInteger)
    created_at: datetime = Field(default_factory=utcnow, sa_type=UtcDateTime)
    last_seen_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    # When the owner deleted the account. Personal data is erased then; the row stays until the videos are deleted.
    closed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    # When a transfer of this user last started: the scheduler serves the longest-waiting user first.
    served_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Session(SQLModel, table=True):
    """A sign-in; only the hash of its token is stored."""

    __tablename__ = "sessions"

    token_hash: str = Field(primary_key=True, max_length=64)
    # The public name of the session: the hash is never shown.
    id: str = Field(default_factory=lambda: uuid4().hex, unique=True, index=True, max_length=32)
    user_id: str = Field(foreign_key="users.id", index=True, ondelete="CASCADE")
    user_agent: str = Field(default="", max_length=300)
    created_at: datetime = Field(default_factory=utcnow, sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)
    last_seen_at: datetime = Field(default_factory=utcnow, sa_type=UtcDateTime, index=True)


class ApiToken(SQLModel, table=True):
    """A personal API token; only its hash is stored."""

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
    """A single-use invitation; ``email`` is empty if anyone with the link may use it."""

    __tablename__ = "invitations"

    id: str = Field(default_factory=lambda: uuid4().hex, primary_key=True, max_length=32)
    email: str = Field(default="", max_length=254)
    invited_by: str = Field(max_length=32)
    created_at: datetime = Field(default_factory=utcnow, sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Video(Brief, SQLModel, table=True):
    __tablename__ = "videos"
    __table_args__ = (
        Index("ix_videos_owner_created", "owner_id", "created_at"),
        Index("ix_videos_status_heartbeat", "status", "heartbeat_at"),
        Index("ix_videos_status_queued", "status", "queued_at"),
        Index("ix_videos_created_id", "created_at", "id"),
        Index("ix_videos_copy_state", "copy_state"),
        # Those by title, size, duration and source URL are expressions: see migration 0023.
        Index("ix_videos_owner_status_created", "owner_id", "status", "created_at", "id"),
        Index("ix_videos_status_created", "status", "created_at", "id"),
        _partial("ix_videos_generated_key", "owner_id", "s3_key", where=STORED_GENERATED),
        _partial("ix_videos_owner_queued", "owner_id", "queued_at", "id", where="status = 'queued'"),
        _partial("ix_videos_sidecar_due", "sidecar_due_at", where="sidecar_due_at IS NOT NULL"),
        _partial("ix_videos_deadline", "status", "deadline_at", where=GENERATING),
        _partial(
            "ix_videos_next_ask", "status", "next_ask_at", where=f"{GENERATING} AND requested_at IS NOT NULL"
        ),
        _partial(
            "ix_videos_unordered", "status", "queued_at", "id", where=f"{GENERATING} AND requested_at IS NULL"
        ),
        _partial("ix_videos_copy_due", "copy_state", "created_at", where="copy_state IN ('due', 'making')"),
        _partial("ix_videos_kept_upload", "upload_kept_until", where="upload_id IS NOT NULL"),
        _partial("ix_videos_call_heartbeat", "call_heartbeat_at", where="call_heartbeat_at IS NOT NULL"),
    )

    id: str = Field(primary_key=True, max_length=64)
    owner_id: str = Field(foreign_key="users.id")
    title: str = Field(max_length=200)
    status: Status = Field(sa_type=StatusText)
    # Incremented by each request and each claim, so that updates of a worker that lost its lease match no row.
    attempt: int = 0

    # Of the request or page event that last put it in work; its worker's log lines carry it.
    request_id: str | None = Field(default=None, max_length=64)
    requested_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    # Database time. Set while a worker calls the generator; None once what came of the call is recorded.
    call_heartbeat_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    # The attempt whose response was lost, so that its owner may order again.
    unanswered_attempt: int | None = None
    # The digest of the script as ordered, which callback tokens carry. Empty: changed since; None: unknown.
    order_digest: str | None = Field(default=None, max_length=32)
    # A message for the owner while the generator's report is awaited.
    generator_note: str | None = Field(default=None, sa_type=Text)
    # The URL that the generator gave for the last order, whether or not it could be fetched.
    delivered_url: str | None = Field(default=None, sa_type=Text)
    estimated_minutes: float | None = None
    deadline_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    source_url: str | None = Field(default=None, sa_type=Text)
    # The title was derived from the URL, so a file name that the source gives replaces it.
    has_derived_title: bool = False
    # For a finished video whose URL does not serve it yet: since when, and the time of the next fetch, both in
    # database time; None once it is stored or has failed.
    refused_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    next_fetch_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    # Where to poll the generator, when to call it next (to order the video, until it accepts the order), and the
    # number of calls without an outcome.
    status_url: str | None = Field(default=None, sa_type=Text)
    next_ask_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    asks: int = 0
    # Where the video will be, if the generator said so while still rendering.
    expected_url: str | None = Field(default=None, sa_type=Text)
    # When the generator last sent a report that could not be read; None after one that could.
    unread_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    # Since when it waits for a worker; kept when a worker returns it to the queue.
    queued_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    s3_key: str | None = Field(default=None, sa_type=Text)
    sealed_key: str = Field(sa_type=Text)
    poster_key: str | None = Field(default=None, sa_type=Text)
    # Since when the sidecar in S3 is out of date; None while it matches the row.
    sidecar_due_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    upload_id: str | None = Field(default=None, sa_type=Text)
    # The upload is resumed only if these are unchanged: the source's fingerprint and the part size.
    upload_source: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    # Until when the parts of a failed video are kept for a retry.
    upload_kept_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    # Bytes of the owner's quota, reserved during the transfer.
    reserved_bytes: int = Field(default=0, sa_type=BigInteger)
    bytes_done: int = Field(default=0, sa_type=BigInteger)
    bytes_total: int | None = Field(default=None, sa_type=BigInteger)
    bytes_per_second: float | None = None
    # Database time. Set outside ``storing`` while a worker may not have noticed yet that it lost its lease.
    heartbeat_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    size: int | None = Field(default=None, sa_type=BigInteger)
    crc32: str | None = Field(default=None, max_length=8)
    etag: str | None = None
    duration: float | None = None
    width: int | None = None
    height: int | None = None
    format: str | None = None
    # Measured when it was stored; None where that failed, and for videos stored before measuring was added.
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
    # The playable copy of a video that most browsers cannot play. ``copy_claim`` identifies the worker's claim on
    # making it, which ``heartbeat_at`` keeps alive.
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
    # The share link works for anyone with the secret key until it is closed, expires or reaches its view limit.
    share_closed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    share_expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    share_most_views: int | None = None
    share_views: int = 0

    created_at: datetime = Field(default_factory=utcnow, sa_type=UtcDateTime)
    updated_at: datetime = Field(default_factory=utcnow, sa_type=UtcDateTime)


class Avatar(SQLModel, table=True):
    """A presenter that the create form offers; videos refer to it by ``generator_id``, not by row id."""

    __tablename__ = "avatars"

    id: str = Field(default_factory=lambda: uuid4().hex, primary_key=True, max_length=32)
    name: str = Field(max_length=100)
    generator_id: str = Field(sa_type=Text)
    position: int
    picture: bytes | None = Field(default=None, sa_type=LargeBinary)
    picture_hash: str = Field(default="", max_length=16)  # empty without a picture
    created_at: datetime = Field(default_factory=utcnow, sa_type=UtcDateTime)


class UploadPart(SQLModel, table=True):
    """An uploaded part of the multipart upload that the video's row names."""

    __tablename__ = "upload_parts"

    video_id: str = Field(foreign_key="videos.id", primary_key=True, ondelete="CASCADE")
    number: int = Field(primary_key=True)
    size: int = Field(sa_type=BigInteger)
    etag: str
    crc32: str


class Worker(SQLModel, table=True):
    """A worker process, alive as long as ``seen_at`` is recent; both times are database time."""

    __tablename__ = "workers"

    id: str = Field(primary_key=True, max_length=32)
    host: str = Field(max_length=100)
    at_once: int
    started_at: datetime = Field(sa_type=UtcDateTime)
    seen_at: datetime = Field(sa_type=UtcDateTime)


class HealthCheck(SQLModel, table=True):
    """The row that ``/readyz`` updates to prove that the database accepts writes."""

    __tablename__ = "health_checks"

    name: str = Field(primary_key=True, max_length=20)
    written_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class KeyCanary(SQLModel, table=True):
    """A known text sealed with each SECRET_KEY in use: it opens only while that key is still configured.

    ``fingerprint`` names the key in messages; versions before 0022 wrote none.
    """

    __tablename__ = "key_canaries"

    id: str = Field(default_factory=lambda: uuid4().hex, primary_key=True, max_length=32)
    sealed: str = Field(sa_type=Text)
    created_at: datetime = Field(default_factory=utcnow, sa_type=UtcDateTime)
    fingerprint: str | None = Field(default=None, max_length=32)


class InstallationFact(SQLModel, table=True):
    """What every process of the installation must agree on, such as the bucket; never a secret."""

    __tablename__ = "installation_facts"

    name: str = Field(primary_key=True, max_length=40)
    value: str = Field(sa_type=Text)
    changed_at: datetime = Field(default_factory=utcnow, sa_type=UtcDateTime)


class ChosenSetting(SQLModel, table=True):
    """A setting that an admin chose on a page; the environment takes precedence."""

    __tablename__ = "chosen_settings"

    name: str = Field(primary_key=True, max_length=40)
    value: str = Field(max_length=200)
    chosen_by: str = Field(max_length=32)
    chosen_at: datetime = Field(default_factory=utcnow, sa_type=UtcDateTime)


class TestOrder(SQLModel, table=True):
    """A sample order that an admin sent to the generator: what was sent, answered and read. It makes no video."""

    __test__ = False  # keeps pytest from collecting it
    __tablename__ = "test_orders"

    id: str = Field(primary_key=True, max_length=64)
    user_id: str = Field(max_length=32)
    started_at: datetime = Field(default_factory=utcnow, sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    steps: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)


class IdempotencyKey(SQLModel, table=True):
    """A call that runs once for the key its caller gave; it is in progress until ``status_code`` is set."""

    __tablename__ = "idempotency_keys"

    user_id: str = Field(foreign_key="users.id", primary_key=True, ondelete="CASCADE")
    endpoint: str = Field(primary_key=True, max_length=40)
    key: str = Field(primary_key=True, max_length=255)
    request_hash: str = Field(max_length=64)
    # The request that carries it out; replaced at each takeover.
    holder: str = Field(default_factory=lambda: uuid4().hex, unique=True, index=True, max_length=32)
    lease_until: datetime = Field(sa_type=UtcDateTime)
    video_id: str | None = None
    status_code: int | None = None
    # Sealed, since the answer to a download holds the video's secret key.
    sealed_answer: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = Field(default_factory=utcnow, sa_type=UtcDateTime, index=True)


class Event(SQLModel, table=True):
    """An entry of the audit log. Rows outlive what they refer to, so there are no foreign keys.

    Events that clients can repeat at will share one row per hour (``services/core/audit.py``): ``tally_key`` identifies
    it, ``times`` counts, ``last_at`` is the latest. ``client_ip`` is empty for background work and after its retention.
    """

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_kind_at", "kind", "at", "id"),
        Index("ix_events_actor_at", "actor_id", "at", "id"),
        Index("ix_events_client_ip_at", "client_ip", "at", "id"),
        _partial("ix_events_with_address", "at", where="client_ip <> ''"),
    )

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
    """A webhook call, in or out, as the webhook log keeps it. Rows outlive their videos."""

    __tablename__ = "deliveries"
    __table_args__ = (
        Index("ix_deliveries_video_id_id", "video_id", "id"),
        Index("ix_deliveries_direction_id", "direction", "id"),
    )

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
    """The hash of the ``webhook-id`` of an applied report, kept while its signature is valid, against replays."""

    __tablename__ = "webhook_ids"
    id_hash: str = Field(primary_key=True, max_length=64)
    received_at: datetime = Field(default_factory=utcnow, sa_type=UtcDateTime, index=True)


class GenerationCount(SQLModel, table=True):
    """Renders ordered by an account on one UTC day; the row with an empty ``user_id`` counts all accounts."""

    __tablename__ = "generation_counts"
    user_id: str = Field(primary_key=True, max_length=32)
    day: date = Field(primary_key=True, index=True)
    count: int


class OutboxMessage(SQLModel, table=True):
    """A notification to send, written in the transaction of the change that causes it. Outlives the video.

    ``next_attempt_at`` is the time of the next attempt; None once it is delivered or given up.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_channel_next_attempt", "channel", "next_attempt_at"),
        _partial(
            "ix_outbox_never_due",
            "created_at",
            where="next_attempt_at IS NULL AND delivered_at IS NULL AND last_error IS NULL",
        ),
    )

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
    """What was learned about an S3 store: ``facts`` is written by ``gateways``, ``id`` is the hash of ``store``."""

    __tablename__ = "store_capabilities"

    id: str = Field(primary_key=True, max_length=64)
    store: str = Field(sa_type=Text)
    facts: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    learned_at: datetime = Field(default_factory=utcnow, sa_type=UtcDateTime)


class Counter(SQLModel, table=True):
    """Videos by status and bytes of one account, or a part of the total; written by triggers (``counters.py``).

    ``scope`` is the id of the account, or ``total-<number>``. ``accounts`` counts those that are not closed.
    """

    __tablename__ = "counters"
    __table_args__ = (_partial("ix_counters_queued", "scope", where="queued > 0"),)

    scope: str = Field(primary_key=True, max_length=32)
    accounts: int
    draft: int
    generating: int
    queued: int
    storing: int
    ready: int
    failed: int
    deleting: int
    ready_bytes: int = Field(sa_type=BigInteger)
    copy_bytes: int = Field(sa_type=BigInteger)
    reserved_bytes: int = Field(sa_type=BigInteger)
