"""Text that would run if any page took it for more than text, and a listener that would notice."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from playwright.sync_api import Dialog, Page

# Each fits the shortest field there is.
TEXTS = (
    "<script>canary(1)</script><img src=x onerror=canary(2)>",
    '"><svg onload=canary(3)> {{canary(4)}} ${canary(5)} #{canary(6)}',
    "javascript:canary(7)//'-canary(8)-' \u202e\u200b\u2066 </script><script>canary(9)</script>",
    "</textarea><iframe srcdoc='<script>parent.canary(10)</script>'></iframe>",
)
LINKS = (
    "javascript:canary(11)",
    "data:text/html,<script>canary(12)</script>",
    "//evil.example/x",
    "/\\evil.example",
)
# What would be there if markup had been taken for markup.
STRANGE = (
    "img[src=x], svg[onload], iframe, [onerror], a[href^='javascript:'], a[href^='data:'], script[src*=evil]"
)
# What a browser says of an answer that is no success, which is no fault of the page.
FAILED_REQUEST = "Failed to load resource"


class Witness:
    """Notes what ran that should not have, and what the pages' own scripts stumbled over."""

    def __init__(self) -> None:
        self.ran: list[Any] = []
        self.errors: list[str] = []

    def watch(self, first: Page) -> None:
        """From now on, this page and all that are opened beside it."""
        first.context.expose_binding("canary", lambda _source, which: self.ran.append(which))
        first.context.on("page", self._listen)
        self._listen(first)

    def nothing_happened(self, pages: Sequence[Page]) -> None:
        for page in pages:
            assert page.locator(STRANGE).count() == 0, page.url
        assert (self.ran, self.errors) == ([], [])

    def _listen(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("dialog", self._dismiss)
        page.on("console", self._note)

    def _dismiss(self, dialog: Dialog) -> None:
        self.ran.append(dialog.message)
        dialog.dismiss()

    def _note(self, message: Any) -> None:
        if message.type == "error" and FAILED_REQUEST not in message.text:
            self.errors.append(f"{message.text} ({message.page.url if message.page else ''})")


@contextmanager
def framing_site(urls: Sequence[str]) -> Iterator[str]:
    """The address of a page on another origin, which tries to show each of these in a frame."""
    frames = "".join(f'<iframe src="{url}"></iframe>' for url in urls)
    page = f"<!doctype html><title>Prizes!</title>{frames}".encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_arguments: object) -> None:
            """Tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
