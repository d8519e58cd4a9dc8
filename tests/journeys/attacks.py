"""Texts and links that would run a script if a page did not escape them, and a monitor that would notice."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from playwright.sync_api import Dialog, Page

# Each fits the shortest field.
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
# Elements that would exist if the texts had become markup.
INJECTED = (
    "img[src=x], svg[onload], iframe, [onerror], a[href^='javascript:'], a[href^='data:'], script[src*=evil]"
)
# The browser's message about a response that is an error, which is not the page's fault.
FAILED_REQUEST = "Failed to load resource"


class AttackMonitor:
    """Records injected scripts that ran, and errors of the pages' own scripts."""

    def __init__(self) -> None:
        self.ran: list[Any] = []
        self.errors: list[str] = []

    def watch(self, first: Page) -> None:
        """Monitor this page and all that are opened in its context."""
        first.context.expose_binding("canary", lambda _source, number: self.ran.append(number))
        first.context.on("page", self._listen)
        self._listen(first)

    def assert_nothing_ran(self, pages: Sequence[Page]) -> None:
        for page in pages:
            assert page.locator(INJECTED).count() == 0, page.url
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
    """The URL of a page on another origin that tries to frame each of ``urls``."""
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
            """No output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
