"""The server's main process: holds the port, starts the process that serves, and announces it once it answers.

``web_server`` replaces the process of ``python -m videovault run`` with this one, which therefore imports nothing but the
server: what the checks before the start have loaded took 70 MB for as long as the app ran.
"""

import json
import multiprocessing
import os
import signal
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import Server

START_SECONDS = 60.0
POLL_SECONDS = 0.2
HEAD_SECONDS = 30  # for a request's head, and between two requests of one connection
BACKLOG = 2048  # connections that the system accepts before the server does


@dataclass(frozen=True)
class Listener:
    """Where to listen, for how many connections, and what to print once it answers. No secrets."""

    host: str
    port: int
    max_connections: int
    stop_seconds: int
    summary: str


class PromptServer(Server):  # type: ignore[misc, valid-type] # granian chooses the class at run time
    """Passes a second signal on to its child, so that this one stops at once."""

    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        if self.interrupt_signal:
            for child in multiprocessing.active_children():
                child.terminate()
        super().signal_handler_interrupt(*args, **kwargs)


def serve(listener: Listener) -> None:
    """Serve until SIGINT or SIGTERM; the app's lifespan starts and stops everything else."""
    # A forked child would deadlock on locks that threads of this process held at that moment.
    multiprocessing.set_start_method("spawn")
    ready = threading.Event()
    threading.Thread(target=_announce, args=(listener, ready), daemon=True).start()
    server = PromptServer(
        "videovault.videovault:app",
        address=listener.host,
        port=listener.port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,  # with HTTP/2 enabled, a connection that sends nothing is never closed
        http1_settings=HTTP1Settings(header_read_timeout=HEAD_SECONDS * 1000),
        backlog=BACKLOG,
        backpressure=listener.max_connections,
        factory=True,
        workers=1,
        workers_kill_timeout=listener.stop_seconds,
        log_level=LogLevels.warning,
    )
    threading.Thread(target=_stop_while_starting, args=(server, ready), daemon=True).start()
    server.serve()


def _stop_while_starting(server: Any, ready: threading.Event) -> None:
    """Kill granian's child, which loses a signal that arrives while it starts and would then continue to serve.

    It has served nothing yet, and its own children end with it.
    """
    while not server.interrupt_signal:
        if ready.wait(POLL_SECONDS):
            return
    while True:
        for child in multiprocessing.active_children():
            child.kill()
        time.sleep(POLL_SECONDS)


def _announce(listener: Listener, ready: threading.Event) -> None:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listener.host, listener.host)  # noqa: S104 - compared, not bound
    url = f"http://{f'[{host}]' if ':' in host else host}:{listener.port}/healthz"
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(url, timeout=2):
                ready.set()
                print(listener.summary, flush=True)  # noqa: T201 - for the terminal
                return
        except OSError:
            time.sleep(POLL_SECONDS)
    text = f"VideoVault does not answer at {url} after {START_SECONDS:.0f} s and stops."
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - for the terminal
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    # Nothing needs cleaning up during the start, and KeyboardInterrupt could be swallowed inside an import.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    serve(Listener(**json.loads(os.environ.pop("VIDEOVAULT_LISTENER"))))
