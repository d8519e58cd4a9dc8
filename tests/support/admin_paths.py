"""The ways to what admins meet."""

import re

from playwright.sync_api import Locator, Page, WebSocketRoute, expect

from tests.support.documents import ROOT
from tests.support.page_paths import SOCKET_URL
from tests.support.showcase import BAKER, FAILED, LOST, OWNER, PASSWORD, TOPICS, Showcase

FIRST = TOPICS[0]
OWN_AVATARS = {
    "Anna": "Anna_public_3_20240108",
    "Bernhard Alexander von Hohenstein": "https://d-id-public-bucket.s3.us-west-2.amazonaws.com/alice.jpg",
}
PORTRAIT = ROOT / "assets" / "avatars" / "maya.webp"


def videos(page: Page, _shown: Showcase) -> None:
    page.goto("/admin")
    expect(page.get_by_role("table")).to_contain_text(FIRST)


def selected(page: Page, shown: Showcase) -> None:
    videos(page, shown)
    for title in (FAILED, TOPICS[1]):
        page.get_by_role("checkbox", name=f"Select {title}").check()
    expect(page.get_by_text("2 videos, ").first).to_be_in_viewport()  # the second is far down the page


def to_delete(page: Page, shown: Showcase) -> None:
    selected(page, shown)
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("alertdialog")).to_contain_text(OWNER)


def deleted(page: Page, shown: Showcase) -> None:
    """Changes something, so that it comes late."""
    videos(page, shown)
    page.get_by_role("checkbox", name=f"Select {LOST}").check()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("alertdialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("list", name="Results")).to_contain_text(LOST)


def people(page: Page, _shown: Showcase) -> None:
    page.goto("/admin/people")
    expect(page.get_by_role("list", name="People")).to_contain_text(BAKER)


def person(page: Page, shown: Showcase) -> None:
    people(page, shown)
    page.get_by_role("button", name=f"Manage {BAKER}").click()
    expect(page.get_by_role("dialog", name=BAKER)).to_be_visible()


def invitation(page: Page, shown: Showcase) -> None:
    people(page, shown)
    page.get_by_role("button", name="Invite").click()
    invitation = page.get_by_role("dialog", name="Invite somebody")
    invitation.get_by_role("button", name="Make a link").click()
    expect(invitation.get_by_label("Invitation")).to_have_value(re.compile("invitation="))


def avatars(page: Page, _shown: Showcase) -> None:
    page.goto("/admin/avatars")
    expect(page.get_by_role("list", name="Avatars")).to_contain_text("Built-in")


def avatar_refused(page: Page, shown: Showcase) -> None:
    avatars(page, shown)
    page.get_by_role("button", name="Add avatar").click()
    form = page.get_by_role("dialog", name="Add avatar")
    form.get_by_role("button", name="Save").click()
    expect(form.get_by_text("Enter the ID that your generator knows it by.")).to_be_visible()


def own_avatars(page: Page, shown: Showcase) -> None:
    """Changes what the create form offers, so that it comes late."""
    page.goto("/admin/avatars")
    for name, generator_id in OWN_AVATARS.items():
        avatar = {"name": name, "generatorId": generator_id}
        page.context.request.post(
            "/api/admin/avatars", data=avatar, headers={"Origin": shown.app.url}
        )  # refused the second time
    page.reload()
    expect(page.get_by_role("button", name=f"Move up: {next(iter(OWN_AVATARS))}")).to_be_visible()


def avatar_edited(page: Page, shown: Showcase) -> None:
    own_avatars(page, shown)
    name = next(iter(OWN_AVATARS))
    page.get_by_role("button", name=f"Edit {name}").click()
    page.get_by_label("picture").set_input_files(PORTRAIT)
    expect(page.get_by_role("button", name="Remove picture")).to_be_visible()


def activity(page: Page, _shown: Showcase) -> None:
    page.goto("/admin/activity")
    expect(page.get_by_role("main").get_by_role("listitem").first).to_be_visible()


def system(page: Page, _shown: Showcase) -> None:
    page.goto("/admin/system")
    expect(page.locator("[data-check=browser]")).to_have_attribute("data-state", "ok")
    expect(page.locator(".chart svg.recharts-surface").first).to_be_visible()


def system_broken(page: Page, shown: Showcase) -> None:
    """In an installation of its own."""
    account = {"email": OWNER, "password": PASSWORD}
    page.context.request.post(f"{shown.broken.url}/api/auth/login", data=account)
    page.goto(f"{shown.broken.url}/admin/system")
    expect(page.get_by_text(re.compile("of 1. checks failed"))).to_be_visible()
    storage = page.locator("[data-check=storage]")
    expect(storage).to_have_attribute("data-state", "broken")
    expect(storage).to_contain_text("Invalid Credentials: Verify AWS access keys")  # the guide's words
    expect(page.locator("[data-check=workers]")).to_contain_text("python -m videovault worker")


def inbox(page: Page, shown: Showcase) -> Locator:
    system(page, shown)
    call = page.locator(".calls details").first
    call.locator("summary").click()
    expect(call.locator("pre").first).to_be_visible()
    return call


def unread(page: Page, shown: Showcase) -> Locator:
    system(page, shown)
    call = page.locator(".calls details").filter(has_text="Not understood").first
    call.locator("summary").click()
    expect(call.get_by_role("button", name="Use output.wide")).to_be_visible()
    return call


def ordered_on_trial(page: Page, shown: Showcase) -> Locator:
    """Each step with what was said."""
    system(page, shown)
    steps = page.locator(".order-steps")
    expect(steps).to_contain_text("Finished; the video is at")
    for each in steps.locator("details").all():
        each.locator("summary").click()
        expect(each.locator("pre")).to_be_visible()
    return steps


def orphans(page: Page, shown: Showcase) -> Locator:
    system(page, shown)
    page.get_by_role("button", name="Look for differences").click()
    mend = page.get_by_role("button", name="Mend", exact=True)
    expect(mend).to_be_visible()
    return mend


def comparing(page: Page, shown: Showcase) -> None:
    """It has begun, and nothing more is heard of it, not in later scenes either: this comes last."""

    def connect(line: WebSocketRoute) -> None:
        server = line.connect_to_server()
        begun: list[bool] = []

        def pass_on(message: str | bytes) -> None:
            if not begun:
                line.send(message)
            begun.extend([True] if "Comparing" in str(message) else [])

        server.on_message(pass_on)

    page.route_web_socket(SOCKET_URL, connect)
    system(page, shown)
    page.get_by_role("button", name="Look for differences").click()
    expect(page.get_by_role("progressbar", name="Comparing")).to_be_visible()


def mending(page: Page, shown: Showcase) -> None:
    orphans(page, shown).click()
    expect(page.locator("dialog[open]")).to_be_visible()
