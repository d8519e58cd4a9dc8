"""The content security policy in a browser; that no page violates it is checked by all journeys."""

import base64
import http.client
import os
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.support.app import RunningApp
from tests.support.browser import Violations
from tests.support.waiting import HANG_SECONDS

pytestmark = pytest.mark.journey
INLINE = "document.body.append(Object.assign(document.createElement('script'), {textContent: 'document.title = 1'}))"
EVAL = "eval('1')"
FOREIGN_IMAGE = "document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:9/x.png'}))"


def test_api_documentation_keeps_to_its_policy(page: Page) -> None:
    page.goto("/api/docs", wait_until="networkidle")
    expect(page.get_by_role("heading").first).to_be_visible()


def test_forbidden_source_is_blocked_and_reported(page: Page, violations: Violations) -> None:
    page.goto("/login")
    for attempt in (INLINE, EVAL, FOREIGN_IMAGE):
        _run_in_page(page, attempt)
    assert [violation["rule"] for violation in violations] == ["script-src-elem", "script-src", "img-src"]
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
