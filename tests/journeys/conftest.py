"""The whole embedded installation, started as a user starts it, and people with browsers of their own."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from tests.support.app import RunningApp, running_app
from tests.support.log_grep import remember
from tests.support.scenes import CLEAR_STORAGE
from tests.support.waiting import HANG_MS

# What the content security policy forbids pages, collected by a listener in the browser.

LISTEN = """addEventListener("securitypolicyviolation", (event) => videovaultViolated({
    page: event.documentURI, rule: event.effectiveDirective, what: event.blockedURI, sample: event.sample,
}), true)"""


class Violations(list[dict[str, str]]):
    """One entry for each thing that was forbidden: the page, the rule, what it was."""

    def listen(self, context: BrowserContext) -> None:
        """From now on, on every page that is opened in ``context``."""
        context.expose_binding("videovaultViolated", self._note)
        context.add_init_script(LISTEN)

    def _note(self, _source: Any, seen: dict[str, str]) -> None:
        self.append(seen)


PASSWORD = "correct horse battery"
ADMIN = "admin@example.com"
TIMEOUT_MS = HANG_MS
WINDOW: ViewportSize = {"width": 1280, "height": 720}  # Playwright's own
expect.set_options(timeout=TIMEOUT_MS)  # its own five seconds are few while other tests keep all cores busy
# A notice leaves by itself, which might be between two looks.
NOTICES_STAY = """{
    const staying = new CSSStyleSheet();
    staying.replaceSync(".notice { animation: none !important; }");
    document.adoptedStyleSheets.push(staying);
}"""

Visitor = Callable[[], Page]


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """One for all files that change no setting; everybody there has an address that no other test uses."""
    folder = tmp_path_factory.mktemp("installation")
    settings = {"SOURCE_ALLOW_HOSTS": "127.0.0.1", "SOURCE_IDLE_SECONDS": "3600", "RATE_LIMITS": "off"}
    with running_app(folder, **settings) as running:
        remember(PASSWORD)
        account = {"email": ADMIN, "password": PASSWORD}  # the first account made there is an admin
        httpx.post(f"{running.url}/api/auth/register", json=account).raise_for_status()
        yield running


@pytest.fixture
def violations() -> Iterator[Violations]:
    """What the content security policy forbade the pages of ``visitor``, which must be nothing at the end."""
    seen = Violations()
    yield seen
    assert list(seen) == []


@pytest.fixture
def visitor(browser: Browser, app: RunningApp, violations: Violations) -> Iterator[Visitor]:
    """Pages of somebody new each time: no cookies, nothing remembered."""
    contexts = []

    def visit() -> Page:
        context = browser.new_context(base_url=app.url, accept_downloads=True)
        context.set_default_timeout(TIMEOUT_MS)
        context.add_init_script(NOTICES_STAY)
        violations.listen(context)
        contexts.append(context)
        return context.new_page()

    yield visit
    for context in contexts:
        remember(*(cookie.get("value", "") for cookie in context.cookies()))
        context.close()


@pytest.fixture(scope="module")
def shared(browser: Browser, app: RunningApp) -> Iterator[tuple[Page, Violations]]:
    """One tab for those tests of a file that only look and type: it has loaded the scripts already."""
    context = browser.new_context(base_url=app.url, accept_downloads=True)
    context.set_default_timeout(TIMEOUT_MS)
    context.add_init_script(NOTICES_STAY)
    seen = Violations()
    seen.listen(context)
    yield context.new_page(), seen
    context.close()


@pytest.fixture
def page(shared: tuple[Page, Violations]) -> Iterator[Page]:
    """The file's tab for a new visitor: no cookies and no storage.

    Not for tests that listen, route, or change what scripts find there: that would stay.
    """
    tab, seen = shared
    tab.set_viewport_size(WINDOW)
    tab.emulate_media(color_scheme="null", reduced_motion="null")
    yield tab
    remember(*(cookie.get("value", "") for cookie in tab.context.cookies()))
    tab.goto("/healthz")  # what a page does on leaving comes before all is forgotten
    tab.context.clear_cookies()
    tab.evaluate(CLEAR_STORAGE)
    assert list(seen) == []


def signed_in(page: Page, email: str, path: str) -> Page:
    """At ``path``, with a session of this person."""
    page.context.request.post("/api/auth/login", data={"email": email, "password": PASSWORD})
    page.goto(path)
    return page


def register(page: Page, email: str) -> None:
    """Make an account and arrive where a new person arrives."""
    remember(PASSWORD)
    page.goto("/register")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.wait_for_url("**/create/**")
