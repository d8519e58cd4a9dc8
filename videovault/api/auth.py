"""Authentication: browsers by cookie, programs by token, generators by callback token or signature.

The session cookie identifies a browser's session; by the device cookie the browser shows that it signed in before.
"""

from dataclasses import replace
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request, Response
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import HTTPConnection
from starlette.types import Scope

from videovault import security
from videovault.api.middleware.csrf import SAFE_METHODS
from videovault.api.responses import IDENTITY
from videovault.clock import utcnow
from videovault.config import settings
from videovault.errors import Forbidden, NotSignedIn, VideoNotFound
from videovault.services.accounts import sessions, tokens
from videovault.services.core.access import READ_ONLY_MESSAGE, Caller
from videovault.services.generation import callbacks, webhook_log


def session_token(scope: Scope) -> str:
    """The session's token in the cookie of a request or websocket; empty without one."""
    return HTTPConnection(scope).cookies.get(settings().session_cookie, "")


def set_session(response: Response, token: str, expires_at: datetime) -> None:
    seconds = int((expires_at - utcnow()).total_seconds())
    _set(response, settings().session_cookie, token, seconds)


def clear_session(response: Response) -> None:
    _set(response, settings().session_cookie, "", 0)


def device_cookie(request: Request) -> str:
    """Empty without one."""
    return request.cookies.get(_device_name(), "")


def set_device(response: Response, email: str) -> None:
    """Let the browser show later that it signed in to this account."""
    _set(response, _device_name(), security.device_cookie(email), security.DEVICE_SECONDS)


def clear_device(response: Response) -> None:
    _set(response, _device_name(), "", 0)


class _SessionCookie(APIKeyCookie):
    async def __call__(self, request: HTTPConnection) -> str:
        return session_token(request.scope)


_cookie = _SessionCookie(
    name="videovault_session",
    auto_error=False,
    description="A browser's session; behind HTTPS the name is `__Host-videovault_session`.",
)
_bearer = HTTPBearer(
    auto_error=False, description="A session's token, a personal API token, or a generator's callback token."
)
SessionCookie = Annotated[str, Depends(_cookie)]


def presented_token(
    cookie: SessionCookie,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> str:
    """The caller's token, empty without one. The header is the more explicit, so it takes precedence."""
    return bearer.credentials if bearer else cookie


Token = Annotated[str, Depends(presented_token)]


def signed_in(request: Request, token: Token) -> Caller:
    """Raises NotSignedIn, and Forbidden where a read-only token would change something."""
    if not token:
        raise NotSignedIn
    is_api_token = token.startswith(tokens.PREFIX)
    credential = "token" if is_api_token else "session"
    log_identity(request, credential)
    caller = tokens.authenticate(token) if is_api_token else sessions.authenticate(token)
    log_identity(request, credential, caller.user_id)
    if not caller.may_write and request.method not in SAFE_METHODS:
        raise Forbidden(READ_ONLY_MESSAGE)
    return caller


SignedInCaller = Annotated[Caller, Depends(signed_in)]


async def _is_signed(request: Request) -> bool:
    """Whether the call has a valid signature. Raises NotSignedIn for one that is wrong or too old."""
    is_valid = security.verify_webhook_signature(await request.body(), request.headers)
    if is_valid is False:
        raise NotSignedIn("The signature of this call is wrong or too old.")
    return bool(is_valid)


IsSigned = Annotated[bool, Depends(_is_signed)]


def identify_reporter(request: Request, token: str, *, is_signed: bool) -> str:
    """Check the credentials of a report before it is read: the id of a video or a user, empty for a signature.

    Raises NotSignedIn.
    """
    if _is_callback_token(token):
        video_id = callbacks.video_id_of_token(token)
        if not video_id:
            raise NotSignedIn("This callback token is not valid for this video.")
        return video_id
    return "" if is_signed else signed_in(request, token).user_id


def authenticate_reporter(request: Request, token: str, video_id: str, *, is_signed: bool = False) -> Caller:
    """A person who reports on this video, or its generator by a callback token or a signature.

    Raises NotSignedIn, and VideoNotFound for the generator of a deleted video.
    """
    if _is_callback_token(token):
        log_identity(request, "callback token")
        caller = callbacks.generator_caller(token, video_id)
    elif is_signed and not token:
        log_identity(request, "signature")
        caller = callbacks.signed_generator_caller(video_id)
    else:
        caller = signed_in(request, token)
    return replace(caller, webhook_id=request.headers["webhook-id"]) if is_signed else caller


def reporter_of_refused(request: Request, body: bytes) -> tuple[Caller, str] | None:
    """The generator that sent a refused report, and its video; None without valid credentials."""
    token = request.headers.get("authorization", "").partition(" ")[2]
    is_signed = bool(security.verify_webhook_signature(body, request.headers))
    video_id = callbacks.video_id_of_token(token) or (webhook_log.video_id_in(body) if is_signed else "")
    try:
        return (callbacks.signed_generator_caller(video_id), video_id) if video_id else None
    except VideoNotFound:
        return None


def log_identity(request: Request, credential: str, user_id: str = "") -> None:
    """Add the caller to the request's log line; without ``user_id`` until the credential has been checked."""
    identity = {"by": credential} | ({"user_id": user_id} if user_id else {})
    request.scope.setdefault(IDENTITY, {}).update(identity)


def _device_name() -> str:
    return settings().session_cookie.replace("session", "device")


def _set(response: Response, name: str, value: str, max_age: int) -> None:
    """Set a cookie for this host that scripts cannot read; a ``max_age`` of 0 deletes it."""
    secure = settings().secure_cookies
    response.set_cookie(name, value, max_age=max_age, path="/", secure=secure, httponly=True, samesite="lax")


def _is_callback_token(token: str) -> bool:
    """Only callback tokens have dots, between their video, time and signature."""
    return "." in token
