"""Raw requests to the running installation: no redirect to another site, and no CORS permission for other origins."""

import socket
from urllib.parse import urlsplit

import pytest

from tests.state.attack_target import AttackTarget

pytestmark = pytest.mark.process

EVIL = "evil.example"
PATHS = (
    *("/gallery/", "/gallery//", "/login/", "/share", "/assets", "/assets/", "/api/docs/", "/healthz/"),
    *(f"//{EVIL}", f"//{EVIL}/", f"//{EVIL}/%2e%2e", f"/%2f%2f{EVIL}", f"/%5c%5c{EVIL}/", f"/\\{EVIL}/"),
    *(f"/assets//{EVIL}", f"/gallery//{EVIL}", f"/login?next=//{EVIL}", f"/gallery/?next=https://{EVIL}/"),
)
READABLE = (
    "/",
    "/gallery",
    "/api/auth/me",
    "/api/openapi.json",
    "/_event/?EIO=4&transport=polling",
    "/videovault/x",
)


def head(site: AttackTarget, target: str, host: str, *headers: str) -> list[str]:
    """The answer's head in lines."""
    port = urlsplit(site.app.url).port
    lines = (f"GET {target} HTTP/1.1", f"Host: {host}", "Connection: close", *headers)
    with socket.create_connection(("127.0.0.1", port or 0), timeout=60) as connection:
        connection.sendall("\r\n".join((*lines, "", "")).encode())
        answer = b""
        while b"\r\n\r\n" not in answer and (part := connection.recv(65536)):
            answer += part
    return answer.partition(b"\r\n\r\n")[0].decode("latin-1").splitlines()


def named(lines: list[str], name: str) -> list[str]:
    return [line.partition(":")[2].strip() for line in lines if line.lower().startswith(f"{name}:")]


@pytest.mark.parametrize("target", PATHS)
def test_no_path_redirects_to_another_site(site: AttackTarget, target: str) -> None:
    own = urlsplit(site.app.url).netloc
    for location in named(head(site, target, own), "location"):
        assert urlsplit(location).netloc in ("", own)
        assert not location.startswith(("//", "/\\"))


@pytest.mark.parametrize("target", READABLE)
@pytest.mark.parametrize("origin", [f"https://{EVIL}", "null", "http://localhost"])
def test_no_answer_allows_another_origin_to_read_it(site: AttackTarget, target: str, origin: str) -> None:
    lines = head(site, target, urlsplit(site.app.url).netloc, f"Origin: {origin}")
    assert lines[0].startswith("HTTP/1.1 ")
    assert named(lines, "access-control-allow-origin") == []
