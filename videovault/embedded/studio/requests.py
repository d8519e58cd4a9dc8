"""The requests of callers, parsed leniently: missing, null and non-text values become text."""

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(_as_text(entry) for entry in value)
    # A lone surrogate is valid in JSON but cannot be encoded.
    return str(value).encode("utf-8", "replace").decode().strip()


Text = Annotated[str, BeforeValidator(_as_text)]


class StudioRequest(BaseModel):
    """The fields of both webhooks."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    company_name: Text = ""
    social_handles: Text = ""
    license: Text = ""
    avatar: Text = ""
    email: Text = ""


class ScriptRequest(StudioRequest):
    """A brief; ``seed`` varies the wording of ``part``, or of all three parts without one.

    With the current script, ``part`` gets a wording other than its current one.
    """

    topic: Text = ""
    part: Literal["hook", "body", "conclusion"] | None = None
    seed: Text = ""
    hook: Text = ""
    body: Text = ""
    conclusion: Text = ""


class VideoRequest(StudioRequest):
    """A script to render. ``callbackUrl`` is never called itself; without it, there is no callback at all."""

    hook: Text = ""
    body: Text = ""
    conclusion: Text = ""
    video_id: Text = Field("", alias="videoId")
    user_id: Text = Field("", alias="userId")
    callback_url: Text = Field("", alias="callbackUrl")
    callback_token: Text = Field("", alias="callbackToken")

    @property
    def problem(self) -> str:
        """Why the request cannot be rendered, as a sentence for people; empty if it can."""
        missing = [name for name in ("hook", "body", "conclusion") if not getattr(self, name)]
        if missing:
            return f"A video needs a hook, a body and a conclusion; missing: {', '.join(missing)}."
        if self.callback_url and not _is_http(self.callback_url):
            return "callbackUrl must start with http:// or https://."
        if not (self.callback_token.isascii() and self.callback_token.isprintable()):
            return "callbackToken may hold printable ASCII characters only."
        return ""


def _is_http(url: str) -> bool:
    try:
        parsed = urlsplit(url)
        has_host = bool(parsed.hostname) and (parsed.port is None or parsed.port > 0)
    except ValueError:  # also for a port that is no number or too large
        return False
    return parsed.scheme in {"http", "https"} and has_host and url.isprintable() and " " not in url
