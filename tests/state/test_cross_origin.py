"""Raw requests to the running installation: no redirect to another site, and no CORS permission for other origins."""

from urllib.parse import urlsplit

import pytest

from tests.state.attack_target import AttackTarget, ask

pytestmark = pytest.mark.process

EVIL = "evil.example"
PATHS = (
    *("/gallery/", "/gallery//", "/login/", "/share", "/assets", "/assets/", "/api/docs/", "/healthz/"),
    *(f"//{EVIL}", f"//{EVIL}/", f"//{EVIL}/%2e%2e", f"/%2f%2f{EVIL}", f"/%5c%5c{EVIL}/", f"/\\{EVIL}/"),
    *(f"//{EVIL}/..", f"/%5C{EVIL}"),
    *(f"/assets//{EVIL}", f"/gallery//{EVIL}", f"/login?next=//{EVIL}", f"/gallery/?next=https://{EVIL}/"),
)
READABLE = (
    *("/", "/gallery", "/gallery/", "/ping", "/nothing", "/api/auth/me", "/api/openapi.json"),
    *("/_event/?EIO=4&transport=polling", "/videovault/x"),
)
FOREIGN = (f"https://{EVIL}", "null", "http://localhost")


@pytest.mark.parametrize("target", PATHS)
def test_no_path_redirects_to_another_site(site: AttackTarget, target: str) -> None:
    location = ask(site, target).header("location")
    assert urlsplit(location).netloc in ("", urlsplit(site.app.url).netloc)
    assert not location.startswith(("//", "/\\"))


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "POST"])
@pytest.mark.parametrize("target", READABLE)
def test_no_answer_allows_another_origin_to_read_it(site: AttackTarget, target: str, method: str) -> None:
    """Nor does any tell a browser to send cookies, not even to our own origin."""
    for origin in (*FOREIGN, site.app.url):
        wanted = ["Access-Control-Request-Method: POST", "Content-Length: 0"]
        answer = ask(site, target, f"Origin: {origin}", *wanted, method=method)
        assert answer.header("access-control-allow-credentials") == ""
        assert answer.header("x-request-id")
        if origin in FOREIGN:
            assert answer.header("access-control-allow-origin") == ""
