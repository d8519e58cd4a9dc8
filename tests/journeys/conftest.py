"""The whole embedded installation, started for each file as a user starts it, and people with browsers of their own."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.fixtures.app import RunningApp, running_app
from tests.fixtures.log_grep import remember
from tests.journeys.violations import Violations

PASSWORD = "correct horse battery"
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)  # its own five seconds are few while other tests keep all cores busy

Visitor = Callable[[], Page]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """One for each file, whichever ran before it: the first account made there is an admin."""
    folder = tmp_path_factory.mktemp("installation")
    with running_app(folder, SOURCE_ALLOW_HOSTS="127.0.0.1") as running:  # where tests have their sources
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
        context.set_default_timeout(PATIENCE_MS)
        violations.listen(context)
        contexts.append(context)
        return context.new_page()

    yield visit
    for context in contexts:
        remember(*(cookie.get("value", "") for cookie in context.cookies()))
        context.close()


def register(page: Page, email: str) -> None:
    """Make an account and arrive where a new person arrives."""
    remember(PASSWORD)
    page.goto("/register")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.wait_for_url("**/create/**")
