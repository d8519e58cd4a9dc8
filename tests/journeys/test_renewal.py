"""Films go on beyond the life of their links in the studio and on the share page; in the gallery, its journey sees to it."""

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import Visitor, register
from tests.journeys.playback import assert_renews_itself
from tests.support.app import RunningApp
from tests.support.seeding import seed

pytestmark = pytest.mark.journey


def test_a_ready_film_goes_on_in_the_studio(app: RunningApp, visitor: Visitor, long_mp4: bytes) -> None:
    page = visitor()
    register(page, "viewer@example.com")
    [video_id] = seed(app, "viewer@example.com", [{"title": "Bread"}], long_mp4)
    page.clock.install()
    page.goto(f"/create?video={video_id}")
    expect(page.get_by_role("heading", name="Your video is ready")).to_be_visible()
    assert_renews_itself(page, page.locator("dialog video"))


def test_a_shared_film_goes_on_for_a_stranger(app: RunningApp, visitor: Visitor, long_mp4: bytes) -> None:
    owner, stranger = visitor(), visitor()
    register(owner, "lender@example.com")
    [video_id] = seed(app, "lender@example.com", [{"title": "Bread"}], long_mp4)
    answer = owner.request.get(f"/api/auth/video/{video_id}/secret-key")
    stranger.clock.install()
    stranger.goto(answer.json()["data"]["url"])
    expect(stranger.get_by_role("heading", level=1)).to_have_text("Bread")
    assert_renews_itself(stranger, stranger.locator("video"))
