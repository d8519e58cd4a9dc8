"""The weight and speed of pages: `python -m benchmarks.pages` runs Chromium against the product and writes PAGES.md."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import httpx
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from benchmarks import long_gallery
from benchmarks.page_load import AWAIT_FEEDBACK, PageLoad, load_page
from benchmarks.product_memory import register
from benchmarks.results import Check, Section, machine, now
from tests.support.app import RunningApp, running_app
from tests.support.browser import FLAGS, system_chromium
from tests.support.films import film
from tests.support.seeding import seed_many
from videovault.pages import PAGES

FILE = Path(__file__).parent / "PAGES.md"
VISITS = 3
VIDEOS = 6
KB = 1000
FIRST_KB, ADMIN_KB, AGAIN_KB = 300.0, 380.0, 30.0
MAX_SHIFTS, MAX_HYDRATED_MS, MAX_FEEDBACK_MS = 0.02, 1000.0, 100.0
PREFACE = """\
# What a page costs

Written by `python -m benchmarks.pages`: Chromium against the running product on loopback, a new browser for each first visit,
medians of three. kB are 10³ bytes over the wire with headers, compressed as they are sent, films left out; "again" is the same
page in the same browser. Shifts are layout shifts that the user did not cause (CLS). Alive is when the page has its state, "feedback"
the time from an action to the first frame that responds to it.
"""


class Cost(NamedTuple):
    path: str
    first: PageLoad
    again: PageLoad

    @property
    def limit(self) -> float:
        return ADMIN_KB if self.path.startswith("/admin") else FIRST_KB

    def checks(self) -> list[Check]:
        return [
            Check(f"{self.path}: first", self.first.transferred / KB, self.limit, at_least=False, unit=" kB"),
            Check(f"{self.path}: again", self.again.transferred / KB, AGAIN_KB, at_least=False, unit=" kB"),
            Check(f"{self.path}: shifts", self.first.shifts, MAX_SHIFTS, at_least=False, unit=""),
            Check(f"{self.path}: alive", self.first.hydrated, MAX_HYDRATED_MS, at_least=False, unit=" ms"),
        ]


class Action(NamedTuple):
    """A user's action on a page, after ``begin`` has prepared it."""

    name: str
    path: str
    act: Callable[[Page], object]
    begin: Callable[[Page], object] = lambda _page: None


def write_script(page: Page) -> None:
    page.get_by_label("What is the video about?").fill("Why we bake our bread at night")
    page.get_by_role("button", name="Write the script").click()
    page.get_by_role("heading", name="Your script").wait_for()


ACTIONS = (
    Action("show the password", "/login", lambda page: page.get_by_role("switch").click()),
    Action(
        "send a brief without a topic",
        "/create",
        lambda page: page.get_by_role("button", name="Write the script").click(),
    ),
    Action(
        "type into a script",
        "/create",
        lambda page: page.get_by_label("Hook", exact=True).press_sequentially("a"),
        write_script,
    ),
    Action(
        "filter the gallery",
        "/gallery",
        lambda page: page.get_by_role("navigation", name="Show").get_by_role("link", name="Failed").click(),
    ),
)


def main() -> None:
    with (
        TemporaryDirectory(prefix="videovault-bench-") as folder,
        _films() as host,
        sync_playwright() as played,
    ):
        browser = played.chromium.launch(executable_path=system_chromium(), args=FLAGS)
        with running_app(Path(folder) / "few", SOURCE_ALLOW_HOSTS=host, RATE_LIMITS="off") as app:
            token = register(app)
            link = _fill_gallery(app, token, host)
            costs = [_cost(browser, app, token, path) for path in [*_paths(), link]]
            feedback = {act.name: _feedback(browser, app, token, act) for act in ACTIONS}
        with running_app(Path(folder) / "long", RATE_LIMITS="off") as app:
            long = _long_gallery(browser, app, register(app))
        browser.close()
    sections = [_pages(costs), _acts(feedback), long.section()]
    FILE.write_text("\n".join([PREFACE, f"- Date: {now()}\n- Machine: {machine()}\n", *map(str, sections)]))
    print("\n".join(map(str, sections)))


def _long_gallery(browser: Browser, app: RunningApp, token: str) -> long_gallery.Figures:
    ids = seed_many(app, "bench@example.com", long_gallery.titles(), film(size=(1280, 720)))
    headers = {"Authorization": f"Bearer {token}"}
    with (
        _visitor(browser, app, token, "/gallery") as context,
        httpx.Client(base_url=app.url, headers=headers) as api,
    ):
        return long_gallery.measure(context.new_page(), ids, api)


def _paths() -> list[str]:
    """Every page with a fixed address."""
    return [page.route for page in PAGES if page.route.startswith("/") and "[" not in page.route]


def _cost(browser: Browser, app: RunningApp, token: str, path: str) -> Cost:
    first, again = [], []
    for _ in range(VISITS):
        with _visitor(browser, app, token, path) as context:
            first.append(load_page(context, path))
            again.append(load_page(context, path))
    print(f"{path.partition('?')[0]}: {_median(first).transferred / KB:.0f} kB", flush=True)
    return Cost(_shown(path), _median(first), _median(again))


@contextmanager
def _visitor(browser: Browser, app: RunningApp, token: str, path: str) -> Iterator[BrowserContext]:
    """A user with an empty cache, signed in for pages that need it."""
    context = browser.new_context(base_url=app.url)
    if path.startswith(("/create", "/gallery", "/account", "/admin")):
        context.add_cookies([{"name": "videovault_session", "value": token, "url": app.url}])
    yield context
    context.close()


def _feedback(browser: Browser, app: RunningApp, token: str, act: Action) -> float:
    """The median in milliseconds."""
    took = []
    for _ in range(VISITS):
        with _visitor(browser, app, token, act.path) as context:
            page = context.new_page()
            page.goto(act.path)
            page.wait_for_load_state("networkidle")
            act.begin(page)
            page.evaluate(AWAIT_FEEDBACK)
            act.act(page)
            took.append(float(page.evaluate("window.__feedback")))
    return median(took)


def _median(visits: Sequence[PageLoad]) -> PageLoad:
    return PageLoad(*(median(figures) for figures in zip(*map(_figures, visits), strict=True)))


def _figures(one: PageLoad) -> tuple[int, float, float]:
    return one.transferred, one.shifts, one.hydrated


def _pages(costs: Sequence[Cost]) -> Section:
    rows = [("page", "first kB", "again kB", "shifts", "alive ms"), ("---",) + ("--:",) * 4]
    rows += [
        (
            cost.path,
            f"{cost.first.transferred / KB:.0f}",
            f"{cost.again.transferred / KB:.1f}",
            f"{cost.first.shifts:.3f}",
            f"{cost.first.hydrated:.0f}",
        )
        for cost in costs
    ]
    missed = [str(check) for cost in costs for check in cost.checks() if not check.reached]
    goals = (
        f"First visit ≤ {FIRST_KB:.0f} kB (admin ≤ {ADMIN_KB:.0f} kB), again ≤ {AGAIN_KB:.0f} kB, shifts ≤ {MAX_SHIFTS}, "
        f"alive ≤ {MAX_HYDRATED_MS:.0f} ms: {'missed' if missed else 'reached'}"
    )
    return Section("a", "pages", _table(rows) + "\n" + "".join(f"- {line}\n" for line in [goals, *missed]))


def _acts(feedback: dict[str, float]) -> Section:
    rows = [
        ("act", "feedback ms"),
        ("---", "--:"),
        *((name, f"{took:.0f}") for name, took in feedback.items()),
    ]
    slowest = Check("slowest", max(feedback.values()), MAX_FEEDBACK_MS, at_least=False, unit=" ms")
    return Section("b", "acts", f"{_table(rows)}\n- {slowest}\n")


def _table(rows: Sequence[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _shown(path: str) -> str:
    return "/share" if path.startswith("/share/") else path


def _fill_gallery(app: RunningApp, token: str, host: str) -> str:
    """Store a few videos; returns the path of a share link."""
    with httpx.Client(base_url=app.url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as api:
        email = api.get("/api/auth/me").json()["data"]["user"]["email"]
        for number in range(VIDEOS):
            body = {"videoUrl": f"http://{host}/{number}.mp4", "userEmail": email, "title": f"Film {number}"}
            stored = api.post("/api/auth/video/download", json=body).raise_for_status().json()["data"]
        key = api.get(f"/api/auth/video/{stored['videoId']}/secret-key").json()["data"]["secretKey"]
    return f"/share/{stored['videoId']}?key={key}"


@contextmanager
def _films() -> Iterator[str]:
    """A server with the same short video under every path."""
    video = film(size=(1280, 720))

    class Films(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "video/mp4")
            self.send_header("Content-Length", str(len(video)))
            self.end_headers()
            self.wfile.write(video)

        def log_message(self, *_: object) -> None:
            """Only figures are printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Films)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


if __name__ == "__main__":
    main()
