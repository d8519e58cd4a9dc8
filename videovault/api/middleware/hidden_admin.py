"""The admin's pages, which do not exist for whoever is signed in and no admin: answered as any unknown address is."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from videovault.config import settings
from videovault.errors import NotSignedIn
from videovault.services.accounts import sessions

PAGES = "/admin"
NOWHERE = "/there-is-no-such-page"


def hide_admin_pages(app: ASGIApp) -> ASGIApp:
    """The application whose admin's pages are shown to admins, and to nobody yet known, who is sent to sign in."""

    async def concealed(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _is_admins(scope["path"]):
            token = HTTPConnection(scope).cookies.get(settings().session_cookie, "")
            if await run_in_threadpool(_is_somebody_else, token):
                scope = {**scope, "path": NOWHERE, "raw_path": NOWHERE.encode()}
        await app(scope, receive, send)

    return concealed


def _is_admins(path: str) -> bool:
    return path == PAGES or path.startswith(f"{PAGES}/")


def _is_somebody_else(token: str) -> bool:
    try:
        return bool(token) and not sessions.authenticate(token).is_admin
    except NotSignedIn:
        return False
