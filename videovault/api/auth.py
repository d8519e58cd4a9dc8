"""Who is calling: a browser by its cookie, a program by its token, a generator by its callback token."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request, Response
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import HTTPConnection

from videovault import security
from videovault.api.middleware.csrf import SAFE_METHODS
from videovault.api.responses import IDENTITY
from videovault.config import settings
from videovault.errors import Forbidden, NotSignedIn, VideoNotFound
from videovault.models import utcnow
from videovault.services.accounts import sessions, tokens
from videovault.services.core.access import READ_ONLY_MESSAGE, Caller
from videovault.services.generation import callbacks, webhook_log


class _SessionCookie(APIKeyCookie):
    async def __call__(self, request: HTTPConnection) -> str | None:
        return request.cookies.get(settings().session_cookie)


_cookie = _SessionCookie(
    name="videovault_session",
    auto_error=False,
    description="A browser's session; behind HTTPS the name is `__Host-videovault_session`.",
)
_bearer = HTTPBearer(
    auto_error=False, description="A session's token, a personal API token, or a generator's callback token."
)
Cookie = Annotated[str | None, Depends(_cookie)]


def presented_token(
    cookie: Cookie,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> str:
    """The token the caller shows, empty if none; a header is meant more expressly than a cookie."""
    return bearer.credentials if bearer else cookie or ""


Token = Annotated[str, Depends(presented_token)]


def signed_in(request: Request, token: Token) -> Caller:
    """Raises NotSignedIn, and Forbidden where a token that only reads would change something."""
    if not token:
        raise NotSignedIn
    is_personal = token.startswith(tokens.PREFIX)
    by = "token" if is_personal else "session"
    log_identity(request, by)
    caller = tokens.authenticate(token) if is_personal else sessions.authenticate(token)
    log_identity(request, by, caller.user_id)
    if not caller.may_write and request.method not in SAFE_METHODS:
        raise Forbidden(READ_ONLY_MESSAGE)
    return caller


SignedInCaller = Annotated[Caller, Depends(signed_in)]


async def signed_by_generator(request: Request) -> bool:
    """Whether the call carries a good signature; raises NotSignedIn for one that is wrong or too old."""
    genuine = security.verify_webhook_signature(await request.body(), request.headers)
    if genuine is False:
        raise NotSignedIn("The signature of this call is wrong or too old.")
    return bool(genuine)


Signed = Annotated[bool, Depends(signed_by_generator)]


def check_credentials(request: Request, token: str, *, signed: bool) -> str:
    """Who reports, by a proof that is good for whichever video: a video's or a user's id, empty for a signature.

    Raises NotSignedIn.
    """
    if "." in token:
        video_id = callbacks.video_id_of_token(token)
        if not video_id:
            raise NotSignedIn("This callback token is not valid for this video.")
        return video_id
    return "" if signed else signed_in(request, token).user_id


def authenticate_reporter(request: Request, token: str, video_id: str, *, signed: bool = False) -> Caller:
    """Who reports on this video: a person, or its generator by a callback token or a signature.

    Raises NotSignedIn, and VideoNotFound for the generator of a video that is gone.
    """
    # Only callback tokens have dots: they carry their video, time and signature in parts.
    is_signed, is_callback = bool(signed) and not token, "." in token
    if not is_signed and not is_callback:
        caller = signed_in(request, token)
    else:
        log_identity(request, "signature" if is_signed else "callback token")
        caller = (
            callbacks.signed_generator_caller(video_id)
            if is_signed
            else callbacks.generator_caller(token, video_id)
        )
    return replace(caller, webhook_id=request.headers["webhook-id"]) if signed else caller


def refused_reporter(request: Request, body: bytes) -> tuple[Caller, str] | None:
    """Which generator sent a report that was refused before it was understood, and its video; None without a proof."""
    token = request.headers.get("authorization", "").partition(" ")[2]
    signed = bool(security.verify_webhook_signature(body, request.headers))
    video_id = callbacks.video_id_of_token(token) or (webhook_log.video_id_in(body) if signed else "")
    try:
        return (callbacks.signed_generator_caller(video_id), video_id) if video_id else None
    except VideoNotFound:
        return None


def log_identity(request: Request, by: str, user_id: str = "") -> None:
    """Who is calling and by what proof, for the request's line in the log; without a user as long as it is not checked."""
    request.scope.setdefault(IDENTITY, {}).update({"by": by} | ({"user_id": user_id} if user_id else {}))


def set_session_cookie(response: Response, token: str, expires_at: datetime) -> None:
    """Give the browser its session."""
    _set(response, settings().session_cookie, token, int((expires_at - utcnow()).total_seconds()))


def device_cookie(request: Request) -> str:
    """The cookie by which a browser shows that it signed in before; empty without one."""
    return request.cookies.get(_device_cookie(), "")


def set_device_cookie(response: Response, email: str) -> None:
    """Let the browser show later that it signed in to this account."""
    _set(response, _device_cookie(), security.device_cookie(email), security.DEVICE_SECONDS)


def clear_session_cookie(response: Response) -> None:
    """Take the browser's session away."""
    _set(response, settings().session_cookie, "", 0)


def clear_device_cookie(response: Response) -> None:
    """Take away what shows that the browser signed in before."""
    _set(response, _device_cookie(), "", 0)


def _device_cookie() -> str:
    return settings().session_cookie.replace("session", "device")


def _set(response: Response, name: str, value: str, max_age: int) -> None:
    """A cookie for this host that no script reads; one of no age is deleted."""
    secure = settings().secure_cookies
    response.set_cookie(name, value, max_age=max_age, path="/", secure=secure, httponly=True, samesite="lax")
