"""The sidecar: a small JSON object beside each stored video, from which its row can be rebuilt. It has no secrets."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    ValidationError,
    field_validator,
    model_serializer,
)
from pydantic.alias_generators import to_camel
from sqlmodel import col, or_, select, update

from videovault import logs
from videovault.brief import Brief
from videovault.clock import read_db_now
from videovault.db import reading, transaction
from videovault.errors import StorageError
from videovault.gateways import storage
from videovault.models import CopyState, Status, User, Video
from videovault.services.core.naming import SIDECAR_NAME, folder_path
from videovault.services.core.views import MEASURED_FIELDS, Metadata, View

DESCRIPTION = storage.Description("application/json")
MAX_BYTES = 256 * 1024
# The writer that marked it due writes it at once, unless it failed or died.
LEFT_AFTER = timedelta(seconds=10)
MOST_AT_ONCE = 100

# Anyone with write access may have written a bucket's contents, and PostgreSQL accepts no NUL.
Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]  # JSON has no NaN or infinity
Bytes = Annotated[int, Field(ge=0, lt=2**63)]

Fields = Mapping[str, "Fields | None"]
MEASURED_SINCE = {*MEASURED_FIELDS, *map(to_camel, MEASURED_FIELDS)}

# The fields that sidecars of each schema version have and are compared by; fields added later may be missing.
SCRIPT_FIELDS = ("topic", "hook", "body", "conclusion", "company_name", "social_handles", "license", "avatar")
SCHEMA_FIELDS: dict[int, Fields] = {
    1: {
        "schema_version": None,
        "video_id": None,
        "owner": dict.fromkeys(("user_id", "email", "name")),
        "title": None,
        "script": dict.fromkeys(SCRIPT_FIELDS),
        "metadata": dict.fromkeys(("duration", "size", "format", "width", "height", "crc32", "etag")),
        "s3_key": None,
        "poster_key": None,
        "created_at": None,
    }
}

log = logs.get(__name__)


class Owner(View):
    user_id: Id
    email: Annotated[Text, StringConstraints(max_length=254)]
    name: Annotated[Text, StringConstraints(max_length=200)] = ""


class Script(Brief):
    """The fields of the script by the guide's names."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    @field_validator("*")
    @classmethod
    def _check_nul(cls, value: str) -> str:
        if "\x00" in value:
            raise ValueError("PostgreSQL takes no NUL")
        return value

    @model_serializer(mode="wrap")
    def _in_stored_order(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Sidecars are compared byte by byte, so the order of version 1 stays; later fields follow."""
        values: dict[str, Any] = serialize(self)
        return {name: values[name] for name in SCRIPT_FIELDS if name in values} | values


class StoredMetadata(Metadata):
    """The metadata within the bounds of the table's columns, and the object's ETag."""

    duration: Seconds | None = None
    frame_rate: Seconds | None = None
    size: Bytes | None = None
    format: Text | None = None
    width: Bytes | None = None
    height: Bytes | None = None
    crc32: Annotated[str, StringConstraints(pattern="^[0-9a-f]{8}$")] | None = None
    etag: Text | None = None
    video_codec: Annotated[Text, StringConstraints(max_length=32)] | None = None
    audio_codec: Annotated[Text, StringConstraints(max_length=32)] | None = None
    video_profile: Annotated[Text, StringConstraints(max_length=60)] | None = None
    pixel_format: Annotated[Text, StringConstraints(max_length=32)] | None = None
    video_level: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    bit_depth: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    rotation: Annotated[int, Field(ge=0, lt=360)] | None = None

    @model_serializer(mode="wrap")
    def _without_what_is_not_known(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Omit unknown values of later fields, so that older sidecars still match their rows."""
        return {
            name: value
            for name, value in serialize(self).items()
            if value is not None or name not in MEASURED_SINCE
        }


class StoredCopy(View):
    """The playable copy beside the video."""

    key: Text
    format: Annotated[Text, StringConstraints(max_length=10)]
    size: Bytes

    @classmethod
    def of(cls, video: Video) -> "StoredCopy | None":
        if video.copy_state != CopyState.READY or not video.copy_key:
            return None
        return cls(key=video.copy_key, format=video.copy_format or "mp4", size=video.copy_size or 0)


def _in_utc(moment: datetime) -> datetime:
    """Raises ValueError for times that conversion to UTC moves out of range."""
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("out of range") from error


class Sidecar(View):
    """``created_at`` has microseconds, since galleries are ordered by it."""

    schema_version: Literal[1] = 1
    video_id: Id
    owner: Owner
    title: Annotated[Text, StringConstraints(min_length=1, max_length=200)]
    script: Script
    metadata: StoredMetadata
    s3_key: Text
    poster_key: Text | None = None
    playable_copy: StoredCopy | None = None
    created_at: Annotated[AwareDatetime, AfterValidator(_in_utc)]

    @classmethod
    def of(cls, video: Video, owner: User) -> "Sidecar":
        return cls(
            video_id=video.id,
            owner=Owner(user_id=owner.id, email=owner.email, name=owner.name),
            title=video.title,
            script=Script.model_validate(video),
            metadata=StoredMetadata.model_validate(video),
            s3_key=str(video.s3_key),
            poster_key=video.poster_key,
            playable_copy=StoredCopy.of(video),
            created_at=video.created_at,
        )

    @property
    def folder(self) -> str:
        return folder_path(self.owner.user_id, self.video_id)

    @property
    def key(self) -> str:
        return self.folder + SIDECAR_NAME

    def matches(self, wanted: "Sidecar") -> bool:
        """Whether this sidecar, as it was read, equals ``wanted`` in the fields of its schema."""
        stored = self.model_dump(exclude_unset=True)
        return _matches(stored, wanted.model_dump(), SCHEMA_FIELDS[self.schema_version])

    def content(self) -> bytes:
        """The object's bytes, always the same for the same video."""
        left_out = {"playable_copy"} if self.playable_copy is None else None  # as older sidecars were written
        return self.model_dump_json(by_alias=True, indent=2, exclude=left_out).encode()


def _matches(stored: Mapping[str, Any], wanted: Mapping[str, Any], fields: Fields) -> bool:
    """All fields of the schema must be there, and all fields that both have must be equal."""
    if not fields.keys() <= stored.keys():
        return False
    for name in stored.keys() & wanted.keys():
        inner = fields.get(name)
        if inner is not None and not _matches(stored[name], wanted[name], inner):
            return False
        if inner is None and stored[name] != wanted[name]:
            return False
    return True


def write(video_id: str) -> bool:
    """Write the sidecar of a ready video from its current row; whether S3 has it.

    It never raises: the video does not depend on its sidecar, and ``repair`` writes it later.
    """
    try:
        return write_or_raise(video_id)
    except StorageError as error:
        log.warning("sidecar not written", video_id=video_id, reason=error.public_message)
        return False


def write_or_raise(video_id: str) -> bool:
    """As ``write``, but raises StorageError."""
    vault, key, written = storage.connected(), "", b""
    while found := _as_is(video_id):
        wanted, due_at = found
        key, content = wanted.key, wanted.content()
        if content == written:
            _note_written(video_id, due_at)
            return True
        vault.put(key, content, DESCRIPTION)
        written = content  # read the row again: the video may have been renamed or deleted meanwhile
    if written:
        vault.delete([key])
    return False


def write_due() -> None:
    """Write sidecars that are still due because a process died or S3 failed."""
    with reading() as session:
        since, at = col(Video.sidecar_due_at), read_db_now(session)
        # A due time in the future dates from before the clock was set back.
        late = or_(since < at - LEFT_AFTER, since > at + LEFT_AFTER)
        # The concatenation keeps the database from the index of all ready videos.
        is_ready = col(Video.status).concat("") == Status.READY
        due = select(Video.id).where(since.is_not(None), is_ready, late).order_by(since)
        left = session.exec(due.limit(MOST_AT_ONCE)).all()
    for video_id in left:
        if not write(video_id):
            return  # S3 is down for the others too


def read(folder: str) -> Sidecar | None:
    """The sidecar in a video's folder; None if there is none or an invalid one. Raises StorageError."""
    raw = storage.connected().read(folder + SIDECAR_NAME, MAX_BYTES)
    if raw is None:
        return None
    try:
        found = Sidecar.model_validate_json(raw)
    except ValidationError as error:
        log.warning("sidecar is invalid", folder=folder, problems=error.error_count())
        return None
    if found.folder != folder or not found.s3_key.startswith(folder):
        log.warning("sidecar belongs to another video", folder=folder)
        return None
    return found


def _as_is(video_id: str) -> tuple[Sidecar, datetime | None] | None:
    with reading() as session:
        video = session.get(Video, video_id)
        owner = session.get(User, video.owner_id) if video else None
    if video is None or owner is None or video.status != Status.READY:
        return None
    return Sidecar.of(video, owner), video.sidecar_due_at


def _note_written(video_id: str, due_at: datetime | None) -> None:
    """Clear the due time, unless it has changed since."""
    if due_at is None:
        return
    same = (col(Video.id) == video_id, col(Video.sidecar_due_at) == due_at)
    with transaction() as session:
        session.execute(update(Video).where(*same).values(sidecar_due_at=None))
