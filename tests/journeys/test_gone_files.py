"""A page whose files are gone, since the server has another version now, is loaded again once."""

from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from playwright.sync_api import Page, Response, Route, expect

from tests.journeys.conftest import register

pytestmark = pytest.mark.journey
GALLERY = "**/assets/_gallery*.js"
CREATE = "**/assets/_create*.js"


class Gone:
    """Answers 404 for a file, so many times."""

    def __init__(self, times: int) -> None:
        self._left = times

    def __call__(self, route: Route) -> None:
        self._left -= 1
        if self._left < 0:
            route.continue_()
        else:
            route.fulfill(status=404, body="gone")


@pytest.fixture
def documents(page: Page) -> Iterator[Counter[str]]:
    """How often each path was loaded as a document."""
    seen: Counter[str] = Counter()

    def count(response: Response) -> None:
        if response.request.is_navigation_request() and response.ok:
            seen.update([urlsplit(response.url).path.rstrip("/")])

    page.on("response", count)
    yield seen
    page.remove_listener("response", count)


def test_a_link_to_a_page_whose_file_is_gone_leads_there_and_keeps_what_was_typed(
    page: Page, documents: Counter[str]
) -> None:
    register(page, f"{uuid4().hex}@example.com")
    page.goto("/create")
    topic = page.get_by_label("What is the video about?")
    topic.fill("Bees in winter")
    page.route(GALLERY, Gone(1))
    page.get_by_role("link", name="Gallery").click()
    expect(page.get_by_role("heading", name="Gallery", exact=True)).to_be_visible()
    assert documents == {"/create": 1, "/gallery": 1}
    page.get_by_role("link", name="Create").click()
    expect(topic).to_have_value("Bees in winter")


def test_a_page_whose_file_stays_gone_is_loaded_twice_and_then_says_so(
    page: Page, documents: Counter[str]
) -> None:
    register(page, f"{uuid4().hex}@example.com")
    page.route(CREATE, Gone(100))
    page.goto("/create")
    expect(page.get_by_text("This page could not be loaded completely.")).to_be_visible()
    assert documents == {"/create": 2}


def test_a_redirect_to_a_page_whose_file_stays_gone_does_not_reload_for_ever(
    page: Page, documents: Counter[str]
) -> None:
    """The start page sends signed-in users on: React Router would load it again each time."""
    register(page, f"{uuid4().hex}@example.com")
    page.route(CREATE, Gone(100))
    page.goto("/")
    expect(page.get_by_text("This page could not be loaded completely.")).to_be_visible()
    assert documents == {"": 1, "/create": 1}
