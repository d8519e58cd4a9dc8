"""No page violates its content security policy; the other journeys check that too."""

import base64
import http.client
import os
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.conftest import ADMIN, Violations, Visitor, signed_in
from tests.support.app import RunningApp
from tests.support.waiting import HANG_SECONDS
from videovault.pages import PAGES

pytestmark = pytest.mark.journey
INLINE = "document.body.append(Object.assign(document.createElement('script'), {textContent: 'document.title = 1'}))"
EVAL = "eval('1')"
FOREIGN_IMAGE = "document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:9/x.png'}))"


def _paths() -> list[str]:
    return [page.route if page.route.startswith("/") else "/there-is-no-such-page" for page in PAGES]


def test_no_page_violates_its_policy(visitor: Visitor) -> None:
    page = visitor()
    for path in [*_paths(), "/api/docs"]:
        page.goto(path, wait_until="networkidle" if path.startswith("/api") else "load")
        expect(page.get_by_role("heading").first).to_be_visible()
    page = visitor()  # another tab, which was not on its way to a page
    signed_in(page, ADMIN, "/create")  # an admin sees every page
    for path in _paths():
        answer = page.goto(path)
        assert answer
        assert "unsafe" not in answer.headers["content-security-policy"]
        expect(page.get_by_role("heading", level=1).first).to_be_visible()


@pytest.mark.parametrize(
    ("attempt", "rule"),
    [(INLINE, "script-src-elem"), (EVAL, "script-src"), (FOREIGN_IMAGE, "img-src")],
)
def test_forbidden_source_is_blocked_and_reported(
    visitor: Visitor, violations: Violations, attempt: str, rule: str
) -> None:
    page = visitor()
    page.goto("/login")
    _run_in_page(page, attempt)
    assert [violation["rule"] for violation in violations] == [rule]
    violations.clear()


def _run_in_page(page: Page, script: str) -> None:
    """Runs the script as the page's own, since the policy exempts evaluate(); returns after a violation."""
    page.evaluate(f"""() => new Promise((seen) => {{
        addEventListener("securitypolicyviolation", seen, {{once: true}});
        setTimeout(() => {{ {script} }});
    }})""")


def test_other_origins_cannot_open_the_websocket(app: RunningApp) -> None:
    assert _handshake(app.url, app.url) == 101
    assert _handshake(app.url, "https://evil.example") == 403
    assert _handshake(app.url, "http://localhost:1") == 403


def _handshake(url: str, origin: str) -> int:
    """The status of the answer to a WebSocket handshake from ``origin``."""
    headers = {
        "Origin": origin,
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
    }
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=HANG_SECONDS)
    try:
        connection.request("GET", "/_event/?EIO=4&transport=websocket", headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()
