"""Makes docs/images from the running product: every page and modal state, desktop and phone, light and dark."""

import http.server
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests.fixtures.app import ROOT, RunningApp, running_app
from tests.fixtures.browser import FLAGS, system_chromium

IMAGES = ROOT / "docs" / "images"
SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 360, "height": 740}}
PASSWORD = "correct horse battery"  # noqa: S105 - of an account that lives for a minute
EMAIL = "anna@brot.example"
COLOURS = 128
TOPICS = (
    "Why we bake our bread at night",
    "Three things that make sourdough rise",
    "Meet the people behind the counter",
)


def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, gone() as dead_link, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=system_chromium(), args=FLAGS)
        with running_app(Path(folder), SOURCE_ALLOW_HOSTS=dead_link.split("/")[2]) as app:
            public_pages(browser, app)
            token = api_token(app)
            failed = store_dead_link(app, token, dead_link)
            working_modal(browser, app)
            for topic in TOPICS[1:]:
                make_video(app, token, topic)
            signed_in_pages(browser, app, failed)
            shared_pages(browser, app, token)
        browser.close()
    print(
        f"{len(list(IMAGES.glob('*.png')))} images, {sum(f.stat().st_size for f in IMAGES.glob('*.png')) // 1024} kB"
    )


def public_pages(browser: Browser, app: RunningApp) -> None:
    for name, path in {
        "home": "/",
        "login": "/login",
        "register": "/register",
        "not-found": "/nowhere",
    }.items():
        each_look(browser, app, name, lambda page, path=path: page.goto(path), signed_in=False)  # type: ignore[misc]


def working_modal(browser: Browser, app: RunningApp) -> None:
    """The script, then the work, photographed in every look while it goes on."""
    with look(browser, app, "desktop", "light", signed_in=True) as page:
        page.goto("/create")
        page.get_by_label("What is the video about?").fill(TOPICS[0])
        page.get_by_label("Company name").fill("Brot & Söhne")
        page.get_by_label("Social handles").fill("@brotundsoehne")
        page.get_by_role("button", name="Write the script").click()
        page.get_by_role("heading", name="Your script").wait_for()
        address = page.url
        each_look(browser, app, "modal-script", lambda other: other.goto(address))
        page.get_by_role("button", name="Create video").click()
        page.get_by_role("heading", name="Making your video").wait_for()
        each_look(browser, app, "modal-working", lambda other: other.goto(address), settle_ms=300)
        page.get_by_role("heading", name="Your video is ready").wait_for(timeout=90_000)
        each_look(browser, app, "modal-ready", lambda other: other.goto(address), settle_ms=1500)


def signed_in_pages(browser: Browser, app: RunningApp, failed: str) -> None:
    each_look(browser, app, "create", lambda page: page.goto("/create"))
    each_look(browser, app, "modal-failed", lambda page: page.goto(f"/gallery?video={failed}"))
    each_look(browser, app, "gallery", lambda page: page.goto("/gallery"))
    each_look(browser, app, "player", play)
    each_look(browser, app, "delete", ask_to_delete)
    each_look(browser, app, "admin", lambda page: page.goto("/admin"))
    each_look(browser, app, "admin-people", lambda page: page.goto("/admin/people"))
    each_look(browser, app, "admin-activity", lambda page: page.goto("/admin/activity"))
    each_look(browser, app, "admin-system", lambda page: page.goto("/admin/system"), settle_ms=4000)


def shared_pages(browser: Browser, app: RunningApp, token: str) -> None:
    each_look(browser, app, "share", ask_to_share)
    link = share_link(app, token)
    each_look(browser, app, "shared", lambda page: page.goto(link), signed_in=False, settle_ms=1500)
    each_look(browser, app, "shared-dead", lambda page: page.goto(f"{link}x"), signed_in=False)


def ask_to_share(page: Page) -> None:
    page.goto("/gallery")
    page.get_by_role("button", name=f"Share {TOPICS[0]}").click()


def share_link(app: RunningApp, token: str) -> str:
    """To the first video, as its owner gives it to others."""
    with httpx.Client(base_url=app.url, headers={"Authorization": f"Bearer {token}"}) as api:
        user_id = api.get("/api/auth/me").json()["data"]["user"]["userId"]
        videos = api.get("/api/auth/video/gallery", params={"userId": user_id, "q": TOPICS[0]}).json()
        video_id = videos["data"]["videos"][0]["videoId"]
        return str(api.get(f"/api/auth/video/{video_id}/secret-key").json()["data"]["url"])


def play(page: Page) -> None:
    page.goto("/gallery")
    page.get_by_role("button", name=f"Play {TOPICS[0]}").click()


def ask_to_delete(page: Page) -> None:
    page.goto("/gallery")
    page.get_by_role("button", name=f"Delete {TOPICS[0]}").click()


def each_look(
    browser: Browser,
    app: RunningApp,
    name: str,
    arrive: Callable[[Page], object],
    *,
    signed_in: bool = True,
    settle_ms: int = 900,
) -> None:
    for size in SIZES:
        for theme in ("light", "dark"):
            with look(browser, app, size, theme, signed_in=signed_in) as page:
                arrive(page)
                page.wait_for_timeout(settle_ms)
                wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
                file = IMAGES / f"{name}-{size}-{theme}.png"
                page.screenshot(path=file)
                compress(file)
                print(file.name, f"too wide by {wide} px" if wide > 0 else "")


@contextmanager
def look(browser: Browser, app: RunningApp, size: str, theme: str, *, signed_in: bool) -> Iterator[Page]:
    width, height = SIZES[size]["width"], SIZES[size]["height"]
    context = browser.new_context(
        base_url=app.url,
        viewport={"width": width, "height": height},
        color_scheme="dark" if theme == "dark" else "light",
    )
    page = context.new_page()
    if signed_in:
        context.request.post("/api/auth/login", data={"email": EMAIL, "password": PASSWORD})
    yield page
    context.close()


def compress(file: Path) -> None:
    Image.open(file).convert("P", palette=Image.Palette.ADAPTIVE, colors=COLOURS).save(file, optimize=True)


def api_token(app: RunningApp) -> str:
    account = {"email": EMAIL, "password": PASSWORD}
    return str(httpx.post(f"{app.url}/api/auth/register", json=account).json()["data"]["token"])


def store_dead_link(app: RunningApp, token: str, url: str) -> str:
    """A video that fails; its id."""
    body = {"videoUrl": url, "userEmail": EMAIL, "title": "Our autumn opening hours"}
    headers = {"Authorization": f"Bearer {token}", "Prefer": "respond-async"}
    answer = httpx.post(f"{app.url}/api/auth/video/download", json=body, headers=headers)
    return str(answer.json()["data"]["videoId"])


def make_video(app: RunningApp, token: str, topic: str) -> None:
    """Have a video made by the API and wait until it is stored."""
    with httpx.Client(base_url=app.url, headers={"Authorization": f"Bearer {token}"}, timeout=120) as api:
        brief = {"topic": topic, "company_name": "Brot & Söhne", "social_handles": "@brotundsoehne"}
        brief |= {"license": "", "avatar": "Maya", "email": EMAIL}
        draft = api.post("/api/auth/create-video", json=brief).json()["data"]
        script = {part: draft[part] for part in ("videoId", "hook", "body", "conclusion")}
        api.post("/api/auth/create-video/generate-video", json=brief | script)
        while api.get(f"/api/auth/video/{draft['videoId']}").json()["data"]["status"] == "processing":
            threading.Event().wait(0.5)


@contextmanager
def gone() -> Iterator[str]:
    """A link that has died, as generators' links do."""

    class Gone(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(410)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gone)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hours.mp4"
    server.shutdown()
    server.server_close()


if __name__ == "__main__":
    main()
