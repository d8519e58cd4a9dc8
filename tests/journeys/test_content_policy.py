"""Every page lives with its content security policy; all other journeys are watched in the same way."""

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

# The first step of the pages' socket, made by hand so that it can come from anywhere.


def handshake(url: str, origin: str) -> int:
    """The status of the answer to a page at ``origin`` that opens the socket of the app at ``url``."""
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


pytestmark = pytest.mark.journey
INLINE = "document.body.append(Object.assign(document.createElement('script'), {textContent: 'document.title = 1'}))"
EVAL = "eval('1')"
FOREIGN_IMAGE = "document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:9/x.png'}))"


def paths() -> list[str]:
    return [page.route if page.route.startswith("/") else "/there-is-no-such-page" for page in PAGES]


def test_no_page_does_what_its_policy_forbids(visitor: Visitor) -> None:
    somebody = visitor()
    for path in [*paths(), "/api/docs"]:
        somebody.goto(path, wait_until="networkidle" if path.startswith("/api") else "load")
        expect(somebody.get_by_role("heading").first).to_be_visible()
    somebody = visitor()  # whose tab knows nothing of where the other one was going
    signed_in(somebody, ADMIN, "/create")  # who sees every page
    for path in paths():
        answer = somebody.goto(path)
        assert answer
        assert "unsafe" not in answer.headers["content-security-policy"]
        expect(somebody.get_by_role("heading", level=1).first).to_be_visible()


@pytest.mark.parametrize(
    ("attempt", "rule"),
    [(INLINE, "script-src-elem"), (EVAL, "script-src"), (FOREIGN_IMAGE, "img-src")],
)
def test_what_an_attacker_would_try_is_forbidden_and_seen(
    visitor: Visitor, violations: Violations, attempt: str, rule: str
) -> None:
    page = visitor()
    page.goto("/login")
    in_the_page(page, attempt)
    assert [seen["rule"] for seen in violations] == [rule]
    violations.clear()


def in_the_page(page: Page, script: str) -> None:
    """Run by the page itself, as what the test evaluates is exempt; returns once something was forbidden."""
    page.evaluate(f"""() => new Promise((seen) => {{
        addEventListener("securitypolicyviolation", seen, {{once: true}});
        setTimeout(() => {{ {script} }});
    }})""")


def test_pages_of_other_sites_cannot_open_the_socket(app: RunningApp) -> None:
    assert handshake(app.url, app.url) == 101
    assert handshake(app.url, "https://evil.example") == 403
    assert handshake(app.url, "http://localhost:1") == 403
