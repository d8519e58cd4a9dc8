"""A tab's token, and the session it is tied to."""

from urllib.parse import parse_qs

from starlette.types import Scope

from videovault.api.middleware import websocket_limits


def token(cookie: str = "", query: str = "token=t&EIO=4") -> list[str]:
    headers = [(b"cookie", cookie.encode())] if cookie else []
    scope: Scope = {"type": "websocket", "headers": headers, "query_string": query.encode()}
    found = parse_qs(websocket_limits.bind_to_session(scope)["query_string"].decode())
    assert "token" not in found or found["EIO"] == ["4"]
    return found.get("token", [])


def test_a_tab_is_the_same_for_its_own_session_only(installation: object) -> None:
    del installation
    ours, theirs = "videovault_session=a", "videovault_session=b"
    assert token(ours) == token(f"theme=dark; {ours}") != token(theirs)
    assert token() not in (token(ours), token(theirs), ["t"])
    assert token(ours, "token=u&EIO=4") != token(ours)


def test_a_socket_without_a_token_gets_none(installation: object) -> None:
    del installation
    assert token("videovault_session=a", "EIO=4") == []
