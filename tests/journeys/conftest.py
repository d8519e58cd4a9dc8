"""A running installation, started as users start it, and browser pages of visitors."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from tests.support.app import RunningApp, running_app
from tests.support.log_grep import remember
from tests.support.misbehaving_server import NaughtyServer
from tests.support.scenes import CLEAR_STORAGE
from tests.support.waiting import HANG_MS

PASSWORD = "correct horse battery"
ADMIN = "admin@example.com"
TIMEOUT_MS = HANG_MS
WINDOW: ViewportSize = {"width": 1280, "height": 720}  # Playwright's default
expect.set_options(timeout=TIMEOUT_MS)  # the default of five seconds is short while other tests use all cores
# Keeps notices on the page, which would disappear while a test looks for them.
KEEP_NOTICES = """{
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(".notice { animation: none !important; }");
    document.adoptedStyleSheets.push(sheet);
}"""

Visitor = Callable[[], Page]
REPORT_VIOLATIONS = """addEventListener("securitypolicyviolation", (event) => videovaultViolated({
    page: event.documentURI, rule: event.effectiveDirective, what: event.blockedURI, sample: event.sample,
}), true)"""


class Violations(list[dict[str, str]]):
    """What the content security policy has blocked: the page, the rule, and the source."""

    def listen(self, context: BrowserContext) -> None:
        """Collect the violations of all pages that are opened in ``context`` from now on."""
        context.expose_binding("videovaultViolated", self._add)
        context.add_init_script(REPORT_VIOLATIONS)

    def _add(self, _source: Any, violation: dict[str, str]) -> None:
        self.append(violation)


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """Shared by all test modules with the default settings; each test uses its own e-mail addresses."""
    folder = tmp_path_factory.mktemp("installation")
    settings = {"SOURCE_ALLOW_HOSTS": "127.0.0.1", "SOURCE_IDLE_SECONDS": "3600", "RATE_LIMITS": "off"}
    with running_app(folder, **settings) as running:
        remember(PASSWORD)
        account = {"email": ADMIN, "password": PASSWORD}  # the first account is an admin
        httpx.post(f"{running.url}/api/auth/register", json=account).raise_for_status()
        yield running


@pytest.fixture
def source() -> Iterator[NaughtyServer]:
    with NaughtyServer() as server:
        yield server


@pytest.fixture
def violations() -> Iterator[Violations]:
    """The violations of the content security policy on pages of ``visitor``; there must be none at the end."""
    found = Violations()
    yield found
    assert list(found) == []


@pytest.fixture
def visitor(browser: Browser, app: RunningApp, violations: Violations) -> Iterator[Visitor]:
    """Opens a page in a new browser context: no cookies, no storage."""
    contexts = []

    def visit() -> Page:
        context = browser.new_context(base_url=app.url, accept_downloads=True)
        context.set_default_timeout(TIMEOUT_MS)
        context.add_init_script(KEEP_NOTICES)
        violations.listen(context)
        contexts.append(context)
        return context.new_page()

    yield visit
    for context in contexts:
        remember(*(cookie.get("value", "") for cookie in context.cookies()))
        context.close()


@pytest.fixture(scope="module")
def shared(browser: Browser, app: RunningApp) -> Iterator[tuple[Page, Violations]]:
    """One tab for the tests of a module, which saves loading the scripts again."""
    context = browser.new_context(base_url=app.url, accept_downloads=True)
    context.set_default_timeout(TIMEOUT_MS)
    context.add_init_script(KEEP_NOTICES)
    violations = Violations()
    violations.listen(context)
    yield context.new_page(), violations
    context.close()


@pytest.fixture
def page(shared: tuple[Page, Violations]) -> Iterator[Page]:
    """The module's tab without cookies and storage.

    Not for tests that add listeners, routes or init scripts, which would stay for the next test.
    """
    tab, violations = shared
    tab.set_viewport_size(WINDOW)
    tab.emulate_media(color_scheme="null", reduced_motion="null")
    yield tab
    remember(*(cookie.get("value", "") for cookie in tab.context.cookies()))
    tab.goto("/healthz")  # so that the page's last actions come before its storage is cleared
    tab.context.clear_cookies()
    tab.evaluate(CLEAR_STORAGE)
    assert list(violations) == []


def signed_in(page: Page, email: str, path: str) -> Page:
    """Sign in by the API and open ``path``."""
    page.context.request.post("/api/auth/login", data={"email": email, "password": PASSWORD})
    page.goto(path)
    return page


def register(page: Page, email: str) -> None:
    """Create an account by the page; ends on the create page."""
    remember(PASSWORD)
    page.goto("/register")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.wait_for_url("**/create/**")
