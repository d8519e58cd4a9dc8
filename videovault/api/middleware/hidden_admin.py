"""Hides the admin pages: anyone signed in who is not an admin gets the same 404 as for an unknown address."""

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from videovault.api import auth
from videovault.errors import NotSignedIn
from videovault.services.accounts import sessions

ADMIN_PAGES = "/admin"
UNKNOWN_PAGE = "/there-is-no-such-page"


def hide_admin_pages(app: ASGIApp) -> ASGIApp:
    """Anonymous visitors still reach the admin pages, which send them to sign in."""

    async def hidden(scope: Scope, receive: Receive, send: Send) -> None:
        is_admin_page = scope["type"] == "http" and _is_admin_page(scope["path"])
        if is_admin_page and await run_in_threadpool(_is_other_user, auth.session_token(scope)):
            scope = {**scope, "path": UNKNOWN_PAGE, "raw_path": UNKNOWN_PAGE.encode()}
        await app(scope, receive, send)

    return hidden


def _is_admin_page(path: str) -> bool:
    return path == ADMIN_PAGES or path.startswith(f"{ADMIN_PAGES}/")


def _is_other_user(token: str) -> bool:
    try:
        return bool(token) and not sessions.authenticate(token).is_admin
    except NotSignedIn:
        return False
