"""A running installation, started as users start it, and browser pages of visitors."""

from collections.abc import Callable, Iterator
from functools import cache

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect, sync_playwright

from tests.support.app import RunningApp, running_app
from tests.support.browser import FLAGS, Violations, system_chromium
from tests.support.log_grep import remember
from tests.support.misbehaving_server import MisbehavingServer
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

Visitor = Callable[..., Page]


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """Shared by all test modules with the default settings; each test uses its own e-mail addresses."""
    folder = tmp_path_factory.mktemp("installation")
    settings = {"SOURCE_ALLOW_HOSTS": "127.0.0.1", "SOURCE_IDLE_SECONDS": "3600", "RATE_LIMITS": "off"}
    settings["LOG_LEVEL"] = "debug"  # so that more is searched for secrets at the end
    with running_app(folder, **settings) as running:
        remember(PASSWORD)
        account = {"email": ADMIN, "password": PASSWORD}  # the first account is an admin
        httpx.post(f"{running.url}/api/auth/register", json=account).raise_for_status()
        yield running


@pytest.fixture
def source() -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as server:
        yield server


class Tabs:
    """Browser contexts that the tests of one installation reuse, which saves loading the scripts again."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.violations = Violations()
        self._browser, self._url = browser, url
        self._tabs: list[Page] = []  # one of each context; they stay open and keep the browser's processes
        self._used = 0
        self._own: list[BrowserContext] = []

    def next(self) -> Page:
        """The tab of the next context."""
        if self._used == len(self._tabs):
            self._tabs.append(self._context().new_page())
        self._used += 1
        return self._tabs[self._used - 1]

    def visit(self, *, own_context: bool = False) -> Page:
        """A new tab, in a new context if the test changes more than storage and cookies, such as the clock."""
        if not own_context:
            return self.next().context.new_page()
        self._own.append(self._context())
        return self._own[-1].new_page()

    def clear(self) -> None:
        """Leave nothing of a test; no page may have violated its content security policy."""
        used, own = self._tabs[: self._used], self._own
        self._used, self._own = 0, []
        for tab in used:
            context = tab.context
            _remember_cookies(context)
            tab.unroute_all()
            tab.goto("/healthz")  # so that the page's last actions come before its storage is cleared
            for other in context.pages:
                if other is not tab:
                    other.close()
            context.clear_cookies()
            tab.evaluate(CLEAR_STORAGE)
        for context in own:
            _remember_cookies(context)
            context.close()
        found = [*self.violations]
        self.violations.clear()
        assert found == []

    def _context(self) -> BrowserContext:
        context = self._browser.new_context(base_url=self._url, accept_downloads=True)
        context.set_default_timeout(TIMEOUT_MS)
        context.add_init_script(KEEP_NOTICES)
        self.violations.listen(context)
        return context


def _remember_cookies(context: BrowserContext) -> None:
    remember(*(cookie.get("value", "") for cookie in context.cookies()))


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=system_chromium(), args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="package")
def tabs_of(browser: Browser) -> Callable[[str], Tabs]:
    """The tabs of the installation at this URL."""
    return cache(lambda url: Tabs(browser, url))


@pytest.fixture
def tabs(tabs_of: Callable[[str], Tabs], app: RunningApp) -> Iterator[Tabs]:
    opened = tabs_of(app.url)
    yield opened
    opened.clear()


@pytest.fixture
def violations(tabs: Tabs) -> Violations:
    """The violations of the content security policy; there must be none at the end."""
    return tabs.violations


@pytest.fixture
def page(tabs: Tabs) -> Page:
    """A tab without cookies and storage; its routes are removed after the test, its listeners stay."""
    tab = tabs.next()
    tab.set_viewport_size(WINDOW)
    tab.emulate_media(color_scheme="null", reduced_motion="null")
    return tab


@pytest.fixture
def visitor(tabs: Tabs) -> Visitor:
    """Opens a new tab without the cookies and storage of others."""
    return tabs.visit


def signed_in(page: Page, email: str, path: str) -> Page:
    """Sign in by the API and open ``path``."""
    page.context.request.post("/api/auth/login", data={"email": email, "password": PASSWORD})
    page.goto(path)
    return page


def register(page: Page, email: str) -> None:
    """Create an account by the API and sign in; the page itself stays where it is."""
    remember(PASSWORD)
    answer = page.context.request.post("/api/auth/register", data={"email": email, "password": PASSWORD})
    assert answer.ok, answer.text()
