"""The create page and its modal: on a phone, with errors, without a session, and for screen readers."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.journeys.conftest import PASSWORD, Visitor, register
from tests.journeys.playback import assert_link_is_renewed
from tests.support.app import RunningApp
from tests.support.scenes import DESKTOP, PHONE, THEMES, WAIT_UNTIL_SETTLED
from tests.support.seeding import seed
from videovault.models import Status

pytestmark = pytest.mark.journey
TOPIC = "What our oven does at night"
CREATE = re.compile(r"/create/?$")
MOVING = """() => [...document.querySelectorAll("*")].map((part) => getComputedStyle(part)).filter((style) =>
    parseFloat(style.animationDuration) > 0.001 || parseFloat(style.transitionDuration) > 0.001
    || style.scrollBehavior === "smooth").length"""


def test_finished_video_is_shared_and_its_modal_closed_in_the_gallery(
    app: RunningApp, page: Page, mp4: bytes
) -> None:
    register(page, "colleague@example.com")
    [video_id] = seed(app, "colleague@example.com", [{"title": "Our company"}], mp4)
    page.goto(f"/create?video={video_id}")
    expect(page.get_by_role("heading", name="Your video is ready")).to_be_visible()
    page.get_by_role("button", name="Share").click()
    expect(page.get_by_label("Link", exact=True)).to_have_value(re.compile(f"/share/{video_id}"))
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(1)
    page.get_by_role("link", name="Go to gallery").click()
    page.wait_for_url(re.compile(r"/gallery/?$"))
    expect(page.get_by_role("button", name="Play Our company")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_next_step_is_in_view(page: Page) -> None:
    page.set_viewport_size(DESKTOP)
    register(page, "view@example.com")
    page.goto("/create")
    expect(page.get_by_role("button", name="Write the script")).to_be_in_viewport(ratio=1)
    page.set_viewport_size(PHONE)
    page.get_by_label("What is the video about?").fill(TOPIC)
    page.get_by_role("button", name="Write the script").click()
    expect(page.get_by_role("heading", name="Your script")).to_be_in_viewport(ratio=1)
    page.goto("/gallery?status=draft")
    expect(page.get_by_role("link", name="Drafts")).to_be_in_viewport(ratio=0.9)


def test_one_part_is_rewritten_and_undone_while_the_others_stay(page: Page) -> None:
    page.set_viewport_size(PHONE)
    register(page, "rewriter@example.com")
    page.goto("/create")
    page.get_by_label("What is the video about?").fill(TOPIC)
    page.get_by_role("button", name="Write the script").click()
    hook, body = page.get_by_label("Hook", exact=True), page.get_by_label("Body", exact=True)
    expect(hook).not_to_be_empty()
    before = hook.input_value()
    body.fill("Three words here.")
    expect(page.get_by_test_id("body-meter")).to_have_text("3 words, 1 s spoken")

    page.get_by_role("button", name="Rewrite: hook").click()
    expect(page.get_by_role("button", name="Undo the new hook")).to_be_visible()
    expect(hook).not_to_have_value(before)
    rewritten = hook.input_value()
    expect(body).to_have_value("Three words here.")
    page.get_by_role("button", name="Undo the new hook").click()
    expect(hook).to_have_value(before)
    page.get_by_role("button", name="Redo the new hook").click()
    expect(hook).to_have_value(rewritten)

    create = page.get_by_role("button", name="Create video")
    hook.fill("  ")
    expect(create).to_be_disabled()
    hook.fill(rewritten)
    expect(create).to_be_enabled()
    assert_accessible(page)
    page.set_viewport_size(DESKTOP)
    assert_fits(page)
    page.reload()
    expect(hook).to_have_value(rewritten)
    expect(body).to_have_value("Three words here.")


def test_typed_text_survives_errors_a_lost_session_and_a_reload(page: Page) -> None:
    register(page, "careful@example.com")
    page.goto("/create")
    topic, name = page.get_by_label("What is the video about?"), page.get_by_label("Avatar ID")
    page.get_by_label("Company name").fill("Brot & Söhne")
    page.get_by_role("radio", name="Other").check()
    page.get_by_role("button", name="Write the script").click()
    expect(topic).to_be_focused()
    expect(topic).to_have_accessible_description(re.compile("Say what the video is about"))
    topic.fill(TOPIC)
    page.get_by_role("button", name="Write the script").click()
    expect(name).to_be_focused()
    expect(page.get_by_label("Company name")).to_have_value("Brot & Söhne")

    name.fill("Professor Quill")
    page.evaluate("fetch('/api/auth/logout', {method: 'POST'})")  # as in another tab
    topic.press_sequentially(" and why")
    page.wait_for_url(re.compile(r"/login/?\?next="))
    sign_in(page, "careful@example.com")
    expect(topic).to_have_value(f"{TOPIC} and why")
    expect(name).to_have_value("Professor Quill")
    page.reload()
    expect(topic).to_have_value(f"{TOPIC} and why")
    expect(page.get_by_label("Company name")).to_have_value("Brot & Söhne")


def test_the_browsers_copy_is_removed_once_saved_and_nothing_is_loaded_again(visitor: Visitor) -> None:
    """Loading again would open a dialog that is just being closed."""
    page, sent = visitor(), list[str]()
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(str(frame))))
    register(page, "saver@example.com")
    page.goto("/create")
    page.get_by_label("What is the video about?").fill(TOPIC)
    page.get_by_role("button", name="Write the script").click()
    hook = page.get_by_label("Hook", exact=True)
    expect(hook).not_to_be_empty()
    sent.clear()
    hook.fill("It rests.")
    key = page.evaluate("Object.keys(localStorage).find((key) => key.includes('/script/'))")
    page.wait_for_function("(key) => localStorage.getItem(key) === null", arg=key)
    assert any("save_script" in frame for frame in sent)
    assert not [frame for frame in sent if "hydrate" in frame]
    later = {"hook": "Typed since.", "body": "It rests.", "conclusion": "It rests."}
    page.evaluate("([key, values]) => localStorage.setItem(key, JSON.stringify(values))", [key, later])
    page.reload()
    expect(hook).to_have_value("Typed since.")


def sign_in(page: Page, email: str) -> None:
    page.get_by_label("E-mail").fill(email)
    password = page.get_by_label("Password", exact=True)
    password.fill("not this one")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("The e-mail address or the password is wrong.")
    expect(page.get_by_label("E-mail")).to_have_value(email)
    password.fill(PASSWORD)
    page.get_by_role("switch", name="Show password").click()
    expect(password).to_have_attribute("type", "text")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(CREATE)


def test_link_of_a_finished_video_is_renewed(app: RunningApp, visitor: Visitor, long_mp4: bytes) -> None:
    page = visitor(own_context=True)
    register(page, "viewer@example.com")
    [video_id] = seed(app, "viewer@example.com", [{"title": "Bread"}], long_mp4)
    page.clock.install()
    page.goto(f"/create?video={video_id}")
    expect(page.get_by_role("heading", name="Your video is ready")).to_be_visible()
    assert_link_is_renewed(page, page.locator("dialog video"))


def test_nothing_moves_with_reduced_motion(app: RunningApp, page: Page) -> None:
    register(page, "calm@example.com")
    seed(app, "calm@example.com", [{"title": "Bread", "status": Status.GENERATING}])
    page.goto("/gallery")
    page.get_by_role("button", name="Open Bread").click()
    expect(page.get_by_role("heading", name="Making your video")).to_be_visible()
    assert page.evaluate(MOVING) > 0
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(MOVING) == 0


def assert_accessible(page: Page) -> None:
    assert_fits(page)
    for theme in THEMES:
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        expect(page.locator("html")).to_have_class(theme)
        page.evaluate(WAIT_UNTIL_SETTLED)
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()


def assert_fits(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
