"""Request bodies and query parameters. The services check the length of long texts, for pages and API alike."""

import re
import unicodedata
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)
from pydantic.alias_generators import to_camel

from videovault.brief import OptionalBrief, check_encodable
from videovault.services.admin.audit_log import Group
from videovault.services.core.views import PublicStatus
from videovault.services.sharing import MAX_DAYS, MAX_VIEWS

MAX_INTEGER = 2**63 - 1  # of a database column


def _check_printable(value: str) -> str:
    if any(unicodedata.category(char) == "Cc" for char in value):
        raise ValueError("This contains characters that cannot be shown.")
    return value


def _blank_as_none(value: object) -> object:
    return None if value == "" else value


def _not_a_number(value: object) -> object:
    """Pydantic would read digits as seconds since 1970, which the documented type does not allow."""
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9.]+", value):
        raise ValueError("Enter a date and time with a time zone.")
    return value


Time = Annotated[AwareDatetime, BeforeValidator(_not_a_number, json_schema_input_type=AwareDatetime)]
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Text = Annotated[str, AfterValidator(check_encodable)]
Line = Annotated[Text, AfterValidator(_check_printable)]
Email = Annotated[Line, StringConstraints(min_length=1, max_length=254)]


def or_blank(kind: Any) -> BeforeValidator:
    """Treat an empty value as missing, and document that it may be sent."""
    return BeforeValidator(_blank_as_none, json_schema_input_type=kind | Literal[""] | None)


class Body(BaseModel):
    """A JSON object; unknown fields are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class CamelBody(Body):
    model_config = ConfigDict(alias_generator=to_camel)


class LoginBody(Body):
    email: Email
    password: Annotated[Text, StringConstraints(min_length=1, max_length=256)]


class RegisterBody(Body):
    """``invitation``: the token in an invitation link, where new accounts need one."""

    email: Text
    password: Text
    name: Text | None = None
    invitation: Annotated[Text, StringConstraints(max_length=500)] | None = None


class PasswordBody(CamelBody):
    current_password: Text
    new_password: Text


class DeleteAccountBody(Body):
    """The password is asked for again, because a deleted account cannot be restored."""

    password: Text


class ForgotBody(Body):
    email: Email


class ResetBody(Body):
    token: Annotated[Text, StringConstraints(min_length=1, max_length=500)]
    password: Text


class NameBody(Body):
    name: Text


class TokenBody(CamelBody):
    """Without ``expiresInDays`` the token is valid until it is revoked."""

    name: Text
    scope: Literal["read", "write"] = "write"
    expires_in_days: Annotated[int, Field(strict=True, ge=1, le=3650)] | None = None


class InvitationBody(Body):
    """For one e-mail address, or for anyone with the link."""

    email: Email | None = None


class UserBody(CamelBody):
    """Omitted fields stay unchanged. ``quotaBytes``: null is the installation's default, 0 is unlimited."""

    is_admin: Annotated[bool, Field(strict=True)] = False
    is_active: Annotated[bool, Field(strict=True)] = True
    quota_bytes: Annotated[int, Field(strict=True, ge=0, le=MAX_INTEGER)] | None = None


class AvatarBody(CamelBody):
    """``name`` is shown to people, ``generatorId`` is sent to the generator."""

    name: Text
    generator_id: Text


class AvatarChangeBody(CamelBody):
    """Omitted fields stay unchanged."""

    name: Text | None = None
    generator_id: Text | None = None


class AvatarOrderBody(CamelBody):
    avatar_ids: Annotated[list[Id], Field(max_length=1000)]


class BriefBody(OptionalBrief, Body):
    """The create-video form, for the first webhook."""

    topic: Text
    avatar: Text
    email: Text


class ScriptBody(OptionalBrief, Body):
    """The guide's generate body; ``videoId`` continues a draft."""

    hook: Text
    body: Text
    conclusion: Text
    avatar: Text
    email: Text
    video_id: Annotated[Id | None, Field(alias="videoId")] = None


class StoreBody(CamelBody):
    video_url: Text
    user_email: Text
    title: Text | None = None


class AddressBody(CamelBody):
    video_url: Text


# For OpenAPI only: reports are parsed by ``gateways.webhook_reply``, which refuses none for an optional value.
STATUS_BODY: dict[str, Any] = {
    "type": "object",
    "description": "A report on a video. Other names and wrappers are understood too: see docs/connect/answers.md.",
    "required": ["userId", "videoId"],
    "properties": {
        "userId": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
        "videoId": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
        "status": {"description": "processing, ready, failed or rejected, or the words of many generators."},
        "videoUrl": {"description": "The address of the finished video."},
        "metadata": {"description": "duration in seconds, size in bytes, format."},
        "error": {"description": "The reason for a failure: a text, or an object with a message."},
    },
    "example": {
        "userId": "0f3d6a7c9b1e4d2f8a5c6b7d8e9f0a1b",
        "videoId": "video_1703123456789_abc123def",
        "status": "ready",
        "videoUrl": "https://cdn.example.com/video.mp4",
        "metadata": {"duration": 120, "size": 10485760, "format": "mp4"},
    },
}


class RenameBody(CamelBody):
    title: Text


class ShareBody(CamelBody):
    """For how many days and views the link works; unlimited where omitted."""

    expires_in_days: Annotated[int, Field(strict=True, ge=1, le=MAX_DAYS)] | None = None
    most_views: Annotated[int, Field(strict=True, ge=1, le=MAX_VIEWS)] | None = None


class DeleteBody(CamelBody):
    user_id: Id
    video_id: Id


class DeleteManyBody(CamelBody):
    video_ids: Annotated[list[Id], Field(min_length=1, max_length=1000)]


Sort = Literal["newest", "oldest", "title", "size", "longest"]
Direction = Literal["in", "out"]
Limit = Annotated[int, Field(ge=1, le=200)]
Cursor = Annotated[Text, StringConstraints(max_length=20)]


class GalleryParams(CamelBody):
    """An empty value counts as missing."""

    user_id: Id
    status: Annotated[PublicStatus | None, or_blank(PublicStatus)] = None
    q: Annotated[Line, StringConstraints(max_length=200)] = ""
    sort: Annotated[Sort | None, or_blank(Sort)] = None
    limit: Annotated[Limit | None, or_blank(Limit)] = None
    cursor: Annotated[Text, StringConstraints(max_length=2000)] = ""


class PageParams(CamelBody):
    """A page of a list; ``cursor`` is the `nextCursor` of the page before."""

    limit: Limit = 200
    cursor: Annotated[Text, StringConstraints(max_length=2000)] = ""


class AdminVideosParams(PageParams):
    """An empty value counts as missing."""

    status: Annotated[PublicStatus | None, or_blank(PublicStatus)] = None
    user_id: Annotated[Id | None, or_blank(Id)] = None
    q: Annotated[Line, StringConstraints(max_length=200)] = ""


class EventParams(CamelBody):
    """An empty value counts as missing; ``until`` is exclusive. ``clientIp`` is a client address or its beginning."""

    group: Annotated[Group | None, or_blank(Group)] = None
    user_id: Annotated[Id | None, or_blank(Id)] = None
    client_ip: Annotated[Text, StringConstraints(max_length=45)] = ""
    since: Annotated[Time | None, or_blank(AwareDatetime)] = None
    until: Annotated[Time | None, or_blank(AwareDatetime)] = None
    limit: Limit = 50
    cursor: Cursor = ""


class StatsParams(CamelBody):
    """``timeZone`` as in Europe/Berlin; an unknown one counts as UTC."""

    time_zone: Annotated[Text, StringConstraints(max_length=64)] = "UTC"


class WebhookCallParams(CamelBody):
    """An empty value counts as missing."""

    video_id: Annotated[Id | None, or_blank(Id)] = None
    direction: Annotated[Direction | None, or_blank(Direction)] = None
    limit: Limit = 50
    cursor: Cursor = ""


class FieldBody(CamelBody):
    """A path that ``fields`` of an unreadable webhook call names."""

    field: Annotated[Text, StringConstraints(min_length=1, max_length=200)]
