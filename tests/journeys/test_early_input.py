"""What people do before the page is ready: it waits, and is done once."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, Route, WebSocketRoute, expect

from tests.journeys.conftest import PASSWORD, Visitor, register, signed_in
from tests.support.page_paths import SOCKET_URL
from tests.support.waiting import HANG_SECONDS

pytestmark = pytest.mark.journey
TOPIC = "What our oven does at night"
SCRIPTS = "**/assets/*.js"


@contextmanager
def held_scripts(page: Page) -> Iterator[None]:
    """The page's own scripts arrive only after the block."""
    waiting: list[Callable[[], None]] = []
    is_held = True

    def hold(route: Route) -> None:
        if is_held:
            waiting.append(route.continue_)
        else:
            route.continue_()

    page.route(SCRIPTS, hold)
    yield
    is_held = False
    for release in waiting:
        release()


@contextmanager
def held_connection(page: Page) -> Iterator[None]:
    """The page's websocket reaches the server only after the block."""
    waiting: list[Callable[[], None]] = []
    is_held = True

    def hold(route: WebSocketRoute) -> None:
        sent: list[str | bytes] = []

        def connect() -> None:
            server = route.connect_to_server()
            for message in sent:
                server.send(message)
            route.on_message(server.send)

        if is_held:
            route.on_message(lambda message: sent.append(message))  # noqa: PLW0108 - Playwright sets an attribute on it
            waiting.append(connect)
        else:
            connect()

    page.route_web_socket(SOCKET_URL, hold)
    yield
    is_held = False
    for connect in waiting:
        connect()


def frames(page: Page) -> list[str]:
    """What it sends over its websockets from now on."""
    sent: list[str] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(str(frame))))
    return sent


def navigations(page: Page) -> list[str]:
    """The pages that it loads from now on."""
    loaded: list[str] = []
    page.on(
        "request", lambda request: loaded.append(request.url) if request.is_navigation_request() else None
    )
    return loaded


def posts(page: Page) -> list[str]:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    return sent


def open_create_page(page: Page) -> None:
    page.goto("/create", wait_until="commit")
    page.get_by_label("What is the video about?").fill(TOPIC)


def assert_one_script_is_written(page: Page) -> None:
    expect(page.get_by_label("Hook", exact=True)).not_to_be_empty()
    page.goto("/gallery?status=draft")
    expect(page.locator(".card")).to_have_count(1)


def test_a_brief_that_is_submitted_twice_before_the_scripts_are_loaded_is_sent_once(visitor: Visitor) -> None:
    page = visitor(own_context=True)
    register(page, "early@example.com")
    with held_scripts(page):
        open_create_page(page)
        loaded = navigations(page)
        page.get_by_label("Company name").fill("Brot & Söhne")
        submit = page.get_by_role("button", name="Write the script")
        submit.dblclick()
        expect(submit).to_have_attribute("aria-busy", "true")
    expect(page.get_by_label("Hook", exact=True)).not_to_be_empty()
    expect(page.get_by_label("What is the video about?")).to_have_value(TOPIC)
    expect(page.get_by_label("Company name")).to_have_value("Brot & Söhne")
    assert loaded == []
    assert_one_script_is_written(page)


def test_a_brief_that_is_submitted_twice_before_the_page_is_connected_is_sent_once(visitor: Visitor) -> None:
    page = visitor(own_context=True)
    register(page, "unconnected@example.com")
    with held_connection(page):
        open_create_page(page)
        page.wait_for_load_state()
        page.get_by_role("button", name="Write the script").dblclick()
    assert_one_script_is_written(page)


def test_what_is_typed_before_the_scripts_are_loaded_is_kept_and_saved(visitor: Visitor) -> None:
    page = visitor(own_context=True)
    sent = frames(page)
    register(page, "typist@example.com")
    with held_scripts(page):
        open_create_page(page)
    expect(page.get_by_role("radio", name="Other")).to_be_attached()
    expect(page.get_by_label("What is the video about?")).to_have_value(TOPIC)
    until = time.monotonic() + HANG_SECONDS
    while not any("save_brief" in frame for frame in sent):
        assert time.monotonic() < until
        page.wait_for_timeout(50)
    page.reload()
    expect(page.get_by_label("What is the video about?")).to_have_value(TOPIC)


def test_a_button_that_the_arriving_state_moves_while_it_is_pressed_is_clicked(visitor: Visitor) -> None:
    page = visitor(own_context=True)
    register(page, "presser@example.com")
    page.goto("/create")
    page.get_by_label("What is the video about?").fill(TOPIC)
    page.get_by_role("button", name="Write the script").hover()
    page.mouse.down()
    page.evaluate("document.querySelector('main').style.paddingTop = '300px'")
    page.mouse.up()
    expect(page.get_by_label("Hook", exact=True)).not_to_be_empty()


def test_a_press_that_the_pointer_takes_elsewhere_is_no_click(visitor: Visitor) -> None:
    page = visitor()
    sent = frames(page)
    register(page, "changed-mind@example.com")
    page.goto("/create")
    expect(page.get_by_role("radio", name="Other")).to_be_attached()
    page.get_by_role("button", name="Write the script").hover()
    page.mouse.down()
    page.evaluate("document.querySelector('main').style.paddingTop = '300px'")
    page.get_by_role("heading", name="New video").hover()
    page.mouse.up()
    page.get_by_role("link", name="Gallery").click()
    expect(page.get_by_role("heading", name="Your videos will appear here")).to_be_visible()
    assert not [frame for frame in sent if "write_script" in frame]


def test_nothing_on_the_create_page_moves_when_its_state_arrives(visitor: Visitor) -> None:
    page = visitor(own_context=True)
    register(page, "still@example.com")
    submit = page.get_by_role("button", name="Write the script")
    for width in (1280, 600, 390):
        page.set_viewport_size({"width": width, "height": 900})
        with held_scripts(page):
            page.goto("/create", wait_until="commit")
            expect(page.locator("link[rel=stylesheet]")).to_have_count(1)
            page.wait_for_function(
                "getComputedStyle(document.querySelector('.button.main')).cursor === 'pointer'"
            )
            before = submit.bounding_box()
        expect(page.get_by_role("radio", name="Other")).to_be_attached()
        assert submit.bounding_box() == before


def test_sign_in_before_the_scripts_are_loaded_leads_on_and_keeps_what_was_typed(page: Page) -> None:
    register(page, "quick@example.com")
    page.context.clear_cookies()
    with held_scripts(page):
        page.goto("/login?next=%2Fgallery", wait_until="commit")
        loaded, posted = navigations(page), posts(page)
        page.get_by_label("E-mail").fill("quick@example.com")
        page.get_by_label("Password", exact=True).fill("not this one")
        page.get_by_role("button", name="Sign in").dblclick()
    expect(page.get_by_role("alert")).to_have_text("The e-mail address or the password is wrong.")
    expect(page.get_by_label("E-mail")).to_have_value("quick@example.com")
    expect(page.get_by_label("Password", exact=True)).to_have_value("not this one")
    assert loaded == []
    assert len(posted) == 1
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(re.compile(r"/gallery/?$"))


def test_a_link_of_a_mail_is_used_before_the_page_is_connected(visitor: Visitor) -> None:
    """Its token stands in the address before the state fills in the field."""
    page, sent = visitor(), list[str]()

    def refuse(route: Route) -> None:
        sent.append(route.request.post_data or "")
        route.abort()

    page.route("**/api/auth/reset", refuse)
    with held_connection(page):
        page.goto("/reset?token=from-the-mail")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Change password").click()
        expect(page.get_by_text("This could not be sent.")).to_be_visible()
    assert len(sent) == 1
    assert "token=from-the-mail" in sent[0]


def test_gallery_button_that_is_clicked_twice_before_the_scripts_are_loaded_is_clicked_once(
    visitor: Visitor,
) -> None:
    page = visitor()
    sent = frames(page)
    register(page, "impatient@example.com")
    with held_scripts(page):
        page.goto("/gallery", wait_until="commit")
        page.get_by_role("button", name="Import from link").dblclick()
    expect(page.get_by_label("Video URL")).to_be_focused()
    assert len([frame for frame in sent if "import_dialog_state.open" in frame]) == 1


def test_gallery_button_that_is_clicked_before_the_state_is_loaded_opens_its_dialog(visitor: Visitor) -> None:
    """Loading closes the dialogs of the visit before."""
    page = visitor()
    register(page, "hasty@example.com")
    with held_connection(page):
        page.goto("/gallery")
        page.get_by_role("button", name="Import from link").dblclick()
    expect(page.get_by_label("Video URL")).to_be_focused()


def test_search_and_order_that_are_chosen_before_the_scripts_are_loaded_are_applied(page: Page) -> None:
    register(page, "seeker@example.com")
    with held_scripts(page):
        page.goto("/gallery", wait_until="commit")
        page.get_by_role("searchbox").fill("bread")
        page.get_by_label("Sort order").select_option("By title")
    page.wait_for_url(lambda url: "q=bread" in url and "sort=title" in url)
    expect(page.get_by_role("searchbox")).to_have_value("bread")
    expect(page.get_by_label("Sort order")).to_have_value("title")


def test_links_and_menus_work_before_the_scripts_are_loaded(page: Page) -> None:
    register(page, "linker@example.com")
    with held_scripts(page):
        page.goto("/create", wait_until="commit")
        page.get_by_role("button", name="Menu").click()
        expect(page.get_by_role("button", name="Sign out")).to_be_visible()
        page.get_by_role("link", name="Gallery").click()
        page.wait_for_url(re.compile(r"/gallery/?$"), wait_until="commit")
        page.get_by_role("button", name="Menu").click()
        page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(re.compile(r":\d+/$"))
    expect(
        signed_in(page, "linker@example.com", "/create").get_by_role("heading", name="New video")
    ).to_be_visible()
