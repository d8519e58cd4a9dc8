"""The ways to what people meet, each up to where it stands still to be looked at."""

from collections.abc import Callable

from playwright.sync_api import Locator, Page, WebSocketRoute, expect

from tests.support.showcase import DRAFT, FAILED, TOPICS, Showcase

FIRST = TOPICS[0]
SOCKET_URL = "**/_event/**"  # by which a page and the server talk
SOCKET_GIVES_UP_MS = 30_000
# What appears after some seconds appears now.
LONGER = "document.getAnimations().forEach((each) => each.animationName === 'appear' && each.finish())"
# The way there; what it gives back is to be in sight.
PagePath = Callable[[Page, Showcase], Locator | None]


def page_at(path: str, heading: str) -> PagePath:
    def arrive(page: Page, _shown: Showcase) -> None:
        page.goto(path)
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()

    return arrive


def modal_of(title: str, heading: str) -> PagePath:
    def arrive(page: Page, shown: Showcase) -> None:
        page.goto(f"/gallery?video={shown.ids[title]}")
        expect(page.get_by_role("dialog", name=heading)).to_be_visible()

    return arrive


def gallery(page: Page, _shown: Showcase) -> None:
    page.goto("/gallery")
    expect(page.get_by_role("button", name=f"Play {FIRST}")).to_be_visible()
    expect(page.get_by_role("progressbar").first).to_be_visible()


def nothing_comes(page: Page, _shown: Showcase) -> None:
    """The server is there, but says nothing."""
    page.route_web_socket(SOCKET_URL, lambda _line: None)
    page.goto("/gallery")
    late = page.get_by_text("This takes longer than usual.")
    late.wait_for(state="attached")
    page.evaluate(LONGER)
    expect(late).to_be_visible()


def cut_off(page: Page, shown: Showcase) -> None:
    lines: list[WebSocketRoute] = []
    page.clock.install()

    def connect(line: WebSocketRoute) -> None:
        line.connect_to_server()
        lines.append(line)

    page.route_web_socket(SOCKET_URL, connect)
    gallery(page, shown)
    page.route_web_socket(SOCKET_URL, lambda line: line.close())
    for line in lines:
        line.close()
    page.clock.fast_forward(SOCKET_GIVES_UP_MS)
    expect(page.get_by_text("The connection is interrupted.")).to_be_visible()


def pressed(button: str) -> PagePath:
    """A dialog that a button of the gallery opens."""

    def arrive(page: Page, shown: Showcase) -> None:
        gallery(page, shown)
        page.get_by_role("button", name=button).first.click()
        expect(page.locator("dialog[open]")).to_be_visible()

    return arrive


def login_refused(page: Page, _shown: Showcase) -> None:
    page.goto("/login?error=wrong&email=anna@brot.example")
    expect(page.get_by_role("alert")).to_contain_text("wrong")


def create_with_errors(page: Page, shown: Showcase) -> None:
    page_at("/create", "New video")(page, shown)
    page.get_by_role("radio", name="Other").check()
    page.get_by_role("button", name="Write the script").click()
    expect(page.get_by_text("Say what the video is about.")).to_be_visible()


def writing(page: Page, shown: Showcase) -> Locator:
    page_at("/create", "New video")(page, shown)
    page.get_by_label("What is the video about?").fill(FIRST)
    page.get_by_role("button", name="Write the script").click()
    seconds = page.locator(".figures.first")
    expect(seconds).to_be_visible()
    return seconds


def writing_anew(page: Page, shown: Showcase) -> None:
    modal_of(DRAFT, "Your script")(page, shown)
    page.get_by_role("button", name="Rewrite: hook").click()
    expect(page.get_by_role("button", name="Cancel writing the hook")).to_be_visible()


def ready(page: Page, shown: Showcase) -> None:
    modal_of(FIRST, "Your video is ready")(page, shown)
    wait_for_frame(page)


def play(page: Page, shown: Showcase) -> None:
    pressed(f"Play {FIRST}")(page, shown)
    wait_for_frame(page)


def shared(page: Page, shown: Showcase) -> None:
    page.goto(shown.link)
    expect(page.get_by_role("link", name="Download")).to_be_visible()
    wait_for_frame(page)


def wait_for_frame(page: Page) -> None:
    page.locator("video").evaluate(
        """(video) => video.readyState >= 3
            || new Promise((done) => video.addEventListener("canplay", () => done(true), {once: true}))"""
    )


def shared_no_more(page: Page, shown: Showcase) -> None:
    page.goto(f"{shown.link}x")
    expect(page.get_by_role("heading", name="This link does not work any more")).to_be_visible()


def several_selected(page: Page, shown: Showcase) -> None:
    gallery(page, shown)
    for title in TOPICS[:2]:
        page.get_by_role("checkbox", name=f"Select {title}").check()
    expect(page.get_by_role("region", name="Selected videos")).to_be_visible()


def several_to_delete(page: Page, shown: Showcase) -> None:
    several_selected(page, shown)
    page.get_by_role("region", name="Selected videos").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("alertdialog")).to_contain_text("2 videos")


def drafts(page: Page, _shown: Showcase) -> None:
    page.goto("/gallery?status=draft")
    expect(page.get_by_role("button", name=f"Continue {DRAFT}")).to_be_visible()


def failures(page: Page, _shown: Showcase) -> None:
    page.goto("/gallery?status=failed")
    expect(page.get_by_role("button", name=f"Fetch again: {FAILED}")).to_be_visible()


def address_refused(page: Page, shown: Showcase) -> None:
    pressed("Add from a link")(page, shown)
    page.get_by_label("Address of the video").fill("http://10.0.0.1/walk.mp4")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="private network")).to_be_visible()


def failed_address_refused(page: Page, shown: Showcase) -> None:
    modal_of(FAILED, "This did not work")(page, shown)
    page.get_by_label("Address of the video").fill("nonsense")
    page.get_by_role("button", name="Fetch again", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="must start with")).to_be_visible()


def renaming(page: Page, shown: Showcase) -> Locator:
    gallery(page, shown)
    page.get_by_role("button", name=f"Rename {FIRST}").click()
    return page.get_by_role("textbox", name=f"Rename {FIRST}")


def rename_refused(page: Page, shown: Showcase) -> Locator:
    title = renaming(page, shown)
    title.fill(f"{FIRST}, and what the street says of it, " * 3)
    title.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="Title is too long")).to_be_visible()
    return title


def new_key(page: Page, shown: Showcase) -> None:
    pressed(f"Share {FIRST}")(page, shown)
    page.get_by_role("button", name="New key").click()
    expect(page.get_by_role("button", name="Make a new key")).to_be_visible()


def account(page: Page, _shown: Showcase) -> None:
    page.goto("/account")
    expect(page.get_by_role("heading", name="Devices")).to_be_visible()
    expect(page.get_by_text("This device")).to_be_visible()


def fresh_token(page: Page, shown: Showcase) -> Locator:
    account(page, shown)
    page.get_by_label("Name", exact=True).last.fill("Nightly upload")
    page.get_by_role("button", name="Make a token").click()
    token = page.get_by_label("Your new token")
    expect(token).to_be_visible()
    return token


def notice(page: Page, shown: Showcase) -> None:
    account(page, shown)
    page.get_by_role("button", name="Save").click()
    dismiss = page.get_by_role("button", name="Dismiss")
    expect(dismiss).to_be_visible()
    dismiss.focus()  # it stays as long
