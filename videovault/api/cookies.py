"""The session cookie, and the device cookie by which a browser shows that it signed in before."""

from datetime import datetime

from fastapi import Request, Response
from starlette.requests import HTTPConnection
from starlette.types import Scope

from videovault import security
from videovault.clock import utcnow
from videovault.config import settings


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


def _device_name() -> str:
    return settings().session_cookie.replace("session", "device")


def _set(response: Response, name: str, value: str, max_age: int) -> None:
    """Set a cookie for this host that scripts cannot read; a ``max_age`` of 0 deletes it."""
    secure = settings().secure_cookies
    response.set_cookie(name, value, max_age=max_age, path="/", secure=secure, httponly=True, samesite="lax")
