"""The admin pages: videos, accounts, activity and system checks."""

import re

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.journeys.conftest import ADMIN, PASSWORD, signed_in
from tests.journeys.keyboard import tab_to
from tests.support.app import RunningApp
from tests.support.log_grep import remember
from tests.support.seeding import seed
from videovault.models import Status

pytestmark = pytest.mark.journey
TABS = {
    "/admin": "Videos",
    "/admin/people": "People",
    "/admin/avatars": "Avatars",
    "/admin/activity": "Activity",
    "/admin/system": "System",
}
BAKER = "baker@example.com"
LOAVES = "/admin?q=Loaf"


@pytest.fixture(scope="module", autouse=True)
def drafts(app: RunningApp) -> None:
    """The baker has sixty drafts of loaves, and three of rolls."""
    account = {"email": BAKER, "password": PASSWORD}
    token = httpx.post(f"{app.url}/api/auth/register", json=account).json()["data"]["token"]
    remember(token)
    titles = [*(f"Loaf {number}" for number in range(60)), *(f"Roll {number}" for number in range(3))]
    seed(app, BAKER, [{"title": title, "status": Status.DRAFT} for title in titles])


def test_admin_pages_do_not_exist_for_others(page: Page) -> None:
    baker = signed_in(page, BAKER, "/gallery")
    expect(baker.get_by_role("heading", name="Gallery")).to_be_visible()
    expect(baker.get_by_role("link", name="Admin")).to_have_count(0)
    unknown = baker.request.get("/there-is-no-such-page")
    for path in TABS:
        answer = baker.goto(path)
        assert answer
        assert (answer.status, answer.text()) == (unknown.status, unknown.text())
        assert answer.status == 404
        expect(baker.get_by_role("heading", level=1)).to_have_text("Page not found")
        expect(baker.get_by_text("Loaf")).to_have_count(0)


def test_videos_are_searched_sorted_paged_and_deleted(page: Page) -> None:
    signed_in(page, ADMIN, LOAVES)
    expect(page.get_by_text("1\u201350 of 60")).to_be_visible()
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("51\u201360 of 60")).to_be_visible()

    heading = page.get_by_role("columnheader", name="Title")
    expect(heading).to_have_attribute("aria-sort", "none")
    heading.get_by_role("button").click()
    expect(heading).to_have_attribute("aria-sort", "ascending")
    expect(page.get_by_role("row").nth(1)).to_contain_text("Loaf 0")
    heading.get_by_role("button").click()
    expect(heading).to_have_attribute("aria-sort", "descending")

    page.get_by_label("Search").fill("Loaf 1")
    expect(page.get_by_text("11 videos")).to_be_visible()
    page.get_by_role("checkbox", name="Select all videos on this page").click()
    expect(page.get_by_text("11 videos selected")).to_be_visible()
    page.get_by_role("checkbox", name="Select Loaf 19").uncheck()
    page.get_by_role("button", name="Delete", exact=True).click()
    question = page.get_by_role("alertdialog", name="Delete 10 videos?")
    expect(question).to_contain_text(BAKER)
    expect(question.get_by_role("button", name="Cancel")).to_be_focused()
    question.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("10 videos deleted.")).to_be_visible()
    expect(page.get_by_role("list", name="Results").get_by_role("listitem")).to_have_count(10)
    expect(page.get_by_role("row")).to_have_count(2)

    page.get_by_label("Search").fill("Loaf")
    expect(page.get_by_text("50 videos")).to_be_visible()  # all fit on one page
    page.get_by_role("link", name="Activity").click()
    page.get_by_label("Event", exact=True).select_option("Deletions")
    deleted = re.compile(f"{ADMIN} deleted “Loaf 1.?” of {BAKER}")
    expect(page.get_by_text(deleted)).to_have_count(10)


def test_videos_are_deleted_by_keyboard_and_the_focus_is_never_lost(page: Page) -> None:
    signed_in(page, ADMIN, "/admin")
    expect(page.get_by_role("table")).to_be_visible()
    tab_to(page, "Search")
    page.keyboard.type("Roll")
    expect(page.get_by_role("row")).to_have_count(1 + 3)
    for title in ("Roll 2", "Roll 1"):
        tab_to(page, f"Select {title}")
        page.keyboard.press("Space")
    expect(page.get_by_text("2 videos selected")).to_be_visible()
    tab_to(page, "Clear", key="Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="All videos")).to_be_focused()

    for title in ("Roll 2", "Roll 1"):
        tab_to(page, f"Select {title}")
        page.keyboard.press("Space")
    tab_to(page, "Delete", key="Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alertdialog", name="Delete 2 videos?")).to_be_visible()
    tab_to(page, "Delete")
    page.keyboard.press("Enter")
    expect(page.get_by_text("2 videos deleted.")).to_be_visible()
    expect(page.get_by_role("region", name="Results")).to_be_focused()
    tab_to(page, "Close")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="All videos")).to_be_focused()


def test_accounts_are_managed_and_invited(page: Page) -> None:
    signed_in(page, ADMIN, "/admin/people")
    page.get_by_role("button", name=f"Manage {ADMIN}").click()
    dialog = page.get_by_role("dialog", name=ADMIN)
    dialog.get_by_role("button", name="Remove admin role").click()
    dialog.get_by_role("button", name="Remove admin role").click()
    expect(dialog.get_by_text("This is the only admin")).to_be_visible()
    page.keyboard.press("Escape")

    page.get_by_role("button", name=f"Manage {BAKER}").click()
    dialog = page.get_by_role("dialog", name=BAKER)
    dialog.get_by_label("Storage", exact=True).select_option("Custom")
    dialog.get_by_label("GB").fill("2.5")
    dialog.get_by_role("button", name="Save quota").click()
    expect(dialog.get_by_text("of 2.5 GB")).to_be_visible()
    dialog.get_by_role("button", name="Create reset link").click()
    expect(dialog.get_by_label("Password reset link")).to_have_value(re.compile(r"/reset\?token="))
    remember(dialog.get_by_label("Password reset link").input_value().partition("=")[2])
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name=f"Manage {BAKER}")).to_be_focused()

    page.get_by_role("button", name="Invite").click()
    invitation = page.get_by_role("dialog", name="Invite someone")
    invitation.get_by_role("button", name="Create link").click()
    expect(invitation.get_by_label("Invitation")).to_have_value(re.compile(r"/register\?invitation="))


def test_lists_are_sorted_on_a_phone_and_after_a_reload(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    for path, column in (("/admin", "title"), ("/admin/people", "email")):
        signed_in(page, ADMIN, path)
        page.get_by_label("Sort by").select_option(column)
        page.get_by_role("button", name="Ascending").click()
        descending = page.get_by_role("button", name="Descending")
        for control in (descending, page.get_by_label("Sort by")):
            box = control.bounding_box()
            assert box
            assert box["height"] >= 44
        expect(page).to_have_url(re.compile(rf"sort={column}&order=down$"))
        page.reload()
        expect(descending).to_be_visible()
        expect(page.get_by_label("Sort by")).to_have_value(column)


def test_activity_of_an_account_survives_a_reload(page: Page) -> None:
    signed_in(page, ADMIN, "/admin/people")
    page.get_by_role("button", name=f"Manage {BAKER}").click()
    page.get_by_role("link", name="Show activity").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Activity")
    expect(page.get_by_label("Person")).to_have_value(BAKER)
    page.get_by_label("Event", exact=True).select_option("Sign-ins and accounts")
    expect(page).to_have_url(re.compile("what=sign-ins&person="))
    page.reload()
    expect(page.get_by_label("Person")).to_have_value(BAKER)
    expect(page.get_by_text(f"{BAKER} created an account.")).to_be_visible()
    expect(page.get_by_role("main").get_by_text(ADMIN)).to_have_count(0)
    page.get_by_label("Person").fill(ADMIN[:3])
    expect(page.locator("#people option").first).to_have_attribute("value", ADMIN)


def test_checks_pass_on_a_healthy_installation(page: Page, app: RunningApp) -> None:
    signed_in(page, ADMIN, "/admin/system")
    for name in ("storage", "workers", "callback", "browser"):
        expect(page.locator(f"[data-check={name}]")).to_have_attribute("data-state", "ok")
    assert not list((app.data_dir / "s3" / "videovault").glob("videovault-checks/*"))
    page.get_by_text("Show as a table").click()
    expect(page.get_by_role("region", name="Stored per day").get_by_role("row")).to_have_count(31)
    expect(page.locator(".chart svg.recharts-surface")).to_have_count(2)


def test_current_tab_is_marked(page: Page) -> None:
    for path, name in TABS.items():
        signed_in(page, ADMIN, path)
        expect(page.get_by_role("heading", level=1)).to_have_text(name)
        tab = page.get_by_role("navigation", name="Admin").get_by_role("link", name=name)
        expect(tab).to_have_attribute("aria-current", "page")
