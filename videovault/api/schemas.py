"""What may be sent to the API; the rules for long texts are the services' own, so forms share them."""

import unicodedata
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from videovault.brief import OptionalBrief, check_encodable
from videovault.services.core.views import PublicStatus
from videovault.services.sharing.share_links import MAX_DAYS, MAX_VIEWS

NOT_SHOWN = "This contains characters that cannot be shown."
LARGEST = 2**63 - 1  # what a column holds


def _shown(value: str) -> str:
    if any(unicodedata.category(char) == "Cc" for char in value):
        raise ValueError(NOT_SHOWN)
    return value


def _blank_as_none(value: object) -> object:
    return None if value == "" else value


Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Text = Annotated[str, AfterValidator(check_encodable)]
Line = Annotated[Text, AfterValidator(_shown)]
Email = Annotated[Line, StringConstraints(min_length=1, max_length=254)]


def or_blank(kind: Any) -> BeforeValidator:
    """An empty value counts as not given, and the document says that it may be sent."""
    return BeforeValidator(_blank_as_none, json_schema_input_type=kind | Literal[""] | None)


class Body(BaseModel):
    """A JSON object; fields that are not named here are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class CamelBody(Body):
    model_config = ConfigDict(alias_generator=to_camel)


class LoginBody(Body):
    email: Email
    password: Annotated[Text, StringConstraints(min_length=1, max_length=256)]


class RegisterBody(Body):
    """``invitation``: what an invitation's link carries, where new accounts need one."""

    email: Text
    password: Text
    name: Text | None = None
    invitation: Annotated[Text, StringConstraints(max_length=500)] | None = None


class PasswordBody(CamelBody):
    current_password: Text
    new_password: Text


class DeleteAccountBody(Body):
    """The password once more, since nothing brings a deleted account back."""

    password: Text


class ForgotBody(Body):
    email: Email


class ResetBody(Body):
    token: Annotated[Text, StringConstraints(min_length=1, max_length=500)]
    password: Text


class NameBody(Body):
    name: Text


class TokenBody(CamelBody):
    """A token is good until it is revoked if ``expiresInDays`` is left out."""

    name: Text
    scope: Literal["read", "write"] = "write"
    expires_in_days: Annotated[int, Field(strict=True, ge=1, le=3650)] | None = None


class InvitationBody(Body):
    """For one e-mail address, or for whoever has the link."""

    email: Email | None = None


class UserBody(CamelBody):
    """What is left out stays; ``quotaBytes`` null: the installation's own, 0: none."""

    is_admin: Annotated[bool, Field(strict=True)] = False
    is_active: Annotated[bool, Field(strict=True)] = True
    quota_bytes: Annotated[int, Field(strict=True, ge=0, le=LARGEST)] | None = None


class AvatarBody(CamelBody):
    """``name`` is what people see, ``generatorId`` what the generator is told."""

    name: Text
    generator_id: Text


class AvatarChangeBody(CamelBody):
    """What is left out stays."""

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


# For the document only: a report is read by ``gateways/reader``, which refuses none for a value that is optional.
STATUS_BODY: dict[str, Any] = {
    "type": "object",
    "description": "A report on a video. Other names and wrappers are read too: see docs/connect/answers.md.",
    "required": ["userId", "videoId"],
    "properties": {
        "userId": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
        "videoId": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
        "status": {"description": "processing, ready, failed or rejected, and the words of many generators."},
        "videoUrl": {"description": "Where the finished video is."},
        "metadata": {"description": "duration in seconds, size in bytes, format."},
        "error": {"description": "The reason of a failure: a text, or an object with a message."},
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
    """For how many days and views the link works; without limit where nothing is said."""

    expires_in_days: Annotated[int, Field(strict=True, ge=1, le=MAX_DAYS)] | None = None
    most_views: Annotated[int, Field(strict=True, ge=1, le=MAX_VIEWS)] | None = None


class DeleteBody(CamelBody):
    user_id: Id
    video_id: Id


class DeleteManyBody(CamelBody):
    video_ids: Annotated[list[Id], Field(min_length=1, max_length=1000)]


Sort = Literal["newest", "oldest", "title", "size", "longest"]
Page = Annotated[int, Field(ge=1, le=200)]


class GalleryParams(CamelBody):
    """The query of a gallery; an empty value counts as not given."""

    user_id: Id
    status: Annotated[PublicStatus | None, or_blank(PublicStatus)] = None
    q: Annotated[Line, StringConstraints(max_length=200)] = ""
    sort: Annotated[Sort | None, or_blank(Sort)] = None
    limit: Annotated[Page | None, or_blank(Page)] = None
    cursor: Annotated[Text, StringConstraints(max_length=2000)] = ""
