"""How to reach each state of the admin pages, as in ``page_paths``."""

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
PORTRAIT = ROOT / "assets" / "sample.webp"


def videos(page: Page, _showcase: Showcase) -> None:
    page.goto("/admin")
    expect(page.get_by_role("table")).to_contain_text(FIRST)


def selected(page: Page, _showcase: Showcase) -> None:
    for title in (FAILED, TOPICS[1]):
        page.get_by_role("checkbox", name=f"Select {title}").check()
    expect(page.get_by_text("2 videos, ").first).to_be_in_viewport()  # the second video is far down the page


def to_delete(page: Page, _showcase: Showcase) -> None:
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("alertdialog")).to_contain_text(OWNER)


def deleted(page: Page, _showcase: Showcase) -> None:
    """Deletes a video, so it comes late."""
    page.get_by_role("checkbox", name=f"Select {LOST}").check()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("alertdialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("list", name="Results")).to_contain_text(LOST)


def people(page: Page, _showcase: Showcase) -> None:
    page.goto("/admin/people")
    expect(page.get_by_role("list", name="People")).to_contain_text(BAKER)


def account(page: Page, _showcase: Showcase) -> None:
    page.get_by_role("button", name=f"Manage {BAKER}").click()
    expect(page.get_by_role("dialog", name=BAKER)).to_be_visible()


def invitation(page: Page, _showcase: Showcase) -> None:
    page.get_by_role("button", name="Invite").click()
    invitation = page.get_by_role("dialog", name="Invite someone")
    invitation.get_by_role("button", name="Create link").click()
    expect(invitation.get_by_label("Invitation")).to_have_value(re.compile("invitation="))


def avatars(page: Page, _showcase: Showcase) -> None:
    page.goto("/admin/avatars")
    expect(page.get_by_role("list", name="Avatars")).to_contain_text("Built-in")


def avatar_refused(page: Page, _showcase: Showcase) -> None:
    page.get_by_role("button", name="Add avatar").click()
    form = page.get_by_role("dialog", name="Add avatar")
    form.get_by_role("button", name="Save").click()
    expect(form.get_by_text("Enter the ID that your generator knows it by.")).to_be_visible()


def own_avatars(page: Page, showcase: Showcase) -> None:
    """Changes what the create page offers, so it comes late."""
    page.goto("/admin/avatars")
    for name, generator_id in OWN_AVATARS.items():
        avatar = {"name": name, "generatorId": generator_id}
        page.context.request.post(
            "/api/admin/avatars", data=avatar, headers={"Origin": showcase.app.url}
        )  # refused if it exists already
    page.reload()
    expect(page.get_by_role("button", name=f"Move up: {next(iter(OWN_AVATARS))}")).to_be_visible()


def avatar_edited(page: Page, _showcase: Showcase) -> None:
    name = next(iter(OWN_AVATARS))
    page.get_by_role("button", name=f"Edit {name}").click()
    page.get_by_label("picture").set_input_files(PORTRAIT)
    expect(page.get_by_role("button", name="Remove picture")).to_be_visible()


def activity(page: Page, _showcase: Showcase) -> None:
    page.goto("/admin/activity")
    expect(page.get_by_role("main").get_by_role("listitem").first).to_be_visible()


def system(page: Page, _showcase: Showcase) -> None:
    page.goto("/admin/system")
    expect(page.locator("[data-check=browser]")).to_have_attribute("data-state", "ok")
    expect(page.locator(".chart svg.recharts-surface").first).to_be_visible()


def system_broken(page: Page, showcase: Showcase) -> None:
    """Uses an installation of its own."""
    account = {"email": OWNER, "password": PASSWORD}
    page.context.request.post(f"{showcase.broken.url}/api/auth/login", data=account)
    page.goto(f"{showcase.broken.url}/admin/system")
    expect(page.get_by_text(re.compile("of 1. checks failed"))).to_be_visible()
    storage = page.locator("[data-check=storage]")
    expect(storage).to_have_attribute("data-state", "broken")
    expect(storage).to_contain_text("Invalid Credentials: Verify AWS access keys")
    expect(page.locator("[data-check=workers]")).to_contain_text("python -m videovault worker")


def webhook_log(page: Page, _showcase: Showcase) -> Locator:
    call = page.locator(".calls details").first
    call.locator("summary").click()
    expect(call.locator("pre").first).to_be_visible()
    return call


def unread_reply(page: Page, _showcase: Showcase) -> Locator:
    call = page.locator(".calls details").filter(has_text="Not understood").first
    if call.get_attribute("open") is None:
        call.locator("summary").click()
    expect(call.get_by_role("button", name="Use output.wide")).to_be_visible()
    return call


def order_steps(page: Page, _showcase: Showcase) -> Locator:
    """Every step with its details open."""
    steps = page.locator(".order-steps")
    expect(steps).to_contain_text("Finished; the video is at")
    for each in steps.locator("details").all():
        each.locator("summary").click()
        expect(each.locator("pre")).to_be_visible()
    return steps


def mismatches(page: Page, _showcase: Showcase) -> Locator:
    page.get_by_role("button", name="Check for mismatches").click()
    repair_button = page.get_by_role("button", name="Repair", exact=True)
    expect(repair_button).to_be_visible()
    return repair_button


def comparing(page: Page, showcase: Showcase) -> None:
    """The check has started and no more messages arrive, not in later scenes either: this comes last."""

    def connect(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        has_started: list[bool] = []

        def pass_on(message: str | bytes) -> None:
            if not has_started:
                socket.send(message)
            has_started.extend([True] if "Comparing" in str(message) else [])

        server.on_message(pass_on)

    page.route_web_socket(SOCKET_URL, connect)
    system(page, showcase)
    page.get_by_role("button", name="Check for mismatches").click()
    expect(page.get_by_role("progressbar", name="Comparing")).to_be_visible()


def repair(page: Page, _showcase: Showcase) -> None:
    page.get_by_role("button", name="Repair", exact=True).click()
    expect(page.locator("dialog[open]")).to_be_visible()
