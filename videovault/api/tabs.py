"""A tab of a browser, under whose token the pages' state lives on the server, tied to the session it was opened in."""

from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import Scope

from videovault import security
from videovault.config import settings


def bound(scope: Scope) -> Scope:
    """The request for the pages' socket, with a token that nobody comes by without this session's cookie.

    The browser's own is no secret: scripts can read it and proxies log it. By itself it would open what is in the
    tab, and what still runs for it would go on telling whoever came next.
    """
    session = cookie_parser(Headers(scope=scope).get("cookie", "")).get(settings().session_cookie, "")
    query = [
        (name, security.token_hash(f"{session} {value}") if name == "token" else value)
        for name, value in parse_qsl(scope["query_string"].decode("latin-1"))
    ]
    return {**scope, "query_string": urlencode(query).encode()}
