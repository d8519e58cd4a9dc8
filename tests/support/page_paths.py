"""How to reach each state of the pages; each function returns when nothing changes any more.

Some begin in the state of another scene, as ``scenes.SCENES`` says.
"""

from collections.abc import Callable

from playwright.sync_api import Locator, Page, WebSocketRoute, expect

from tests.support.showcase import DRAFT, FAILED, TOPICS, Showcase

FIRST = TOPICS[0]
SOCKET_URL = "**/_event/**"
SOCKET_TIMEOUT_MS = 30_000
# Shows at once what would appear after some seconds.
SKIP_DELAY = "document.getAnimations().forEach((each) => each.animationName === 'show-late' && each.finish())"
# Returns the element that has to be in view, if any.
PagePath = Callable[[Page, Showcase], Locator | None]


def page_at(path: str, heading: str) -> PagePath:
    def arrive(page: Page, _showcase: Showcase) -> None:
        page.goto(path)
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()

    return arrive


def modal_of(title: str, heading: str) -> PagePath:
    def arrive(page: Page, showcase: Showcase) -> None:
        page.goto(f"/gallery?video={showcase.ids[title]}")
        expect(page.get_by_role("dialog", name=heading)).to_be_visible()

    return arrive


def gallery(page: Page, _showcase: Showcase) -> None:
    page.goto("/gallery")
    expect(page.get_by_role("button", name=f"Play {FIRST}")).to_be_visible()
    expect(page.get_by_role("progressbar").first).to_be_visible()


def loading(page: Page, _showcase: Showcase) -> None:
    """The server is connected but never answers."""
    page.route_web_socket(SOCKET_URL, lambda _socket: None)
    page.goto("/gallery")
    slow_notice = page.get_by_text("This is taking longer than usual.")
    slow_notice.wait_for(state="attached")
    page.evaluate(SKIP_DELAY)
    expect(slow_notice).to_be_visible()


def offline(page: Page, showcase: Showcase) -> None:
    sockets: list[WebSocketRoute] = []
    page.clock.install()

    def connect(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    page.route_web_socket(SOCKET_URL, connect)
    gallery(page, showcase)
    page.route_web_socket(SOCKET_URL, lambda socket: socket.close())
    for socket in sockets:
        socket.close()
    page.clock.fast_forward(SOCKET_TIMEOUT_MS)
    expect(page.get_by_text("Connection lost.").filter(visible=True)).to_have_count(1)


def pressed(button: str) -> PagePath:
    """A dialog that this button of the gallery opens."""

    def arrive(page: Page, _showcase: Showcase) -> None:
        page.get_by_role("button", name=button).first.click()
        expect(page.locator("dialog[open]")).to_be_visible()

    return arrive


def login_refused(page: Page, _showcase: Showcase) -> None:
    page.goto("/login?error=wrong&email=anna@brot.example")
    expect(page.get_by_role("alert")).to_contain_text("wrong")


def create_with_errors(page: Page, showcase: Showcase) -> None:
    page_at("/create", "New video")(page, showcase)
    page.get_by_role("radio", name="Other").check()
    page.get_by_role("button", name="Write the script").click()
    expect(page.get_by_text("Say what the video is about.")).to_be_visible()


def writing(page: Page, showcase: Showcase) -> Locator:
    page_at("/create", "New video")(page, showcase)
    page.get_by_label("What is the video about?").fill(FIRST)
    page.get_by_role("button", name="Write the script").click()
    seconds = page.locator(".figures.first")
    expect(seconds).to_be_visible()
    return seconds


def rewriting(page: Page, _showcase: Showcase) -> None:
    page.get_by_role("button", name="Rewrite: hook").click()
    expect(page.get_by_role("button", name="Cancel writing the hook")).to_be_visible()


def ready(page: Page, showcase: Showcase) -> None:
    modal_of(FIRST, "Your video is ready")(page, showcase)
    wait_for_frame(page)


def play(page: Page, showcase: Showcase) -> None:
    pressed(f"Play {FIRST}")(page, showcase)
    wait_for_frame(page)


def shared(page: Page, showcase: Showcase) -> None:
    page.goto(showcase.link)
    expect(page.get_by_role("link", name="Download")).to_be_visible()
    wait_for_frame(page)


def wait_for_frame(page: Page) -> None:
    """Wait until the player, which may be replaced meanwhile, has a frame to show."""
    page.wait_for_function("() => document.querySelector('video')?.readyState >= 3")


def shared_invalid(page: Page, showcase: Showcase) -> None:
    page.goto(f"{showcase.link}x")
    expect(page.get_by_role("heading", name="This link no longer works")).to_be_visible()


def several_selected(page: Page, _showcase: Showcase) -> None:
    for title in TOPICS[:2]:
        page.get_by_role("checkbox", name=f"Select {title}").check()
    expect(page.get_by_role("region", name="Selected videos")).to_be_visible()


def several_to_delete(page: Page, _showcase: Showcase) -> None:
    page.get_by_role("region", name="Selected videos").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("alertdialog")).to_contain_text("2 videos")


def drafts(page: Page, _showcase: Showcase) -> None:
    page.goto("/gallery?status=draft")
    expect(page.get_by_role("button", name=f"Continue {DRAFT}")).to_be_visible()


def failures(page: Page, _showcase: Showcase) -> None:
    page.goto("/gallery?status=failed")
    expect(page.get_by_role("button", name=f"Retry: {FAILED}")).to_be_visible()


def import_refused(page: Page, _showcase: Showcase) -> None:
    page.get_by_label("Video URL").fill("http://10.0.0.1/walk.mp4")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="private network")).to_be_visible()


def failed_url_refused(page: Page, _showcase: Showcase) -> None:
    page.get_by_label("Video URL").fill("nonsense")
    page.get_by_role("button", name="Retry", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="must start with")).to_be_visible()


def renaming(page: Page, showcase: Showcase) -> Locator:
    gallery(page, showcase)
    page.get_by_role("button", name=f"Rename {FIRST}").click()
    return page.get_by_role("textbox", name=f"Rename {FIRST}")


def rename_refused(page: Page, showcase: Showcase) -> Locator:
    title = renaming(page, showcase)
    title.fill(f"{FIRST}, and what the neighbours say about it, " * 3)
    title.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="Title is too long")).to_be_visible()
    return title


def share_reset(page: Page, _showcase: Showcase) -> None:
    page.get_by_role("button", name="Reset link").click()
    expect(page.get_by_role("button", name="Reset link")).to_be_visible()


def account(page: Page, _showcase: Showcase) -> None:
    page.goto("/account")
    expect(page.get_by_role("heading", name="Devices")).to_be_visible()
    expect(page.get_by_text("This device")).to_be_visible()


def new_token(page: Page, _showcase: Showcase) -> Locator:
    page.get_by_label("Name", exact=True).last.fill("Nightly upload")
    page.get_by_role("button", name="Create token").click()
    token = page.get_by_label("Your new token")
    expect(token).to_be_visible()
    return token


def notice(page: Page, _showcase: Showcase) -> None:
    page.get_by_role("button", name="Save").click()
    dismiss = page.get_by_role("button", name="Dismiss")
    expect(dismiss).to_be_visible()
    dismiss.focus()  # the notice stays as long as it has the focus
