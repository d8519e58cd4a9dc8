"""Attacking clients: many connections at once, from a loopback address that is not a trusted proxy."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

from tests.support.raw_tab import NAMESPACE, RawTab

ATTACKER = "127.0.0.2"
HEAD = b"POST /api/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
# What each connection sends first, by kind of attack.
BEGINNINGS = {
    "silent": b"",
    "half-sent head": b"GET / HTTP/1.1\r\nHo",
    "slow body": HEAD + b"Content-Length: 1000\r\n\r\n{",
    "idle after an answer": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


@contextmanager
def connections(
    url: str, count: int, beginning: bytes, source: str = ATTACKER
) -> Iterator[list[socket.socket]]:
    """``count`` connections that have sent ``beginning`` and nothing since; some may be closed by the server."""
    place = urlsplit(url)
    with ExitStack() as opened:
        made = []
        for _ in range(count):
            one = opened.enter_context(
                socket.create_connection(
                    ("127.0.0.1", place.port or 80), timeout=20, source_address=(source, 0)
                )
            )
            try:
                one.sendall(beginning)
            except OSError:  # closed already
                continue
            made.append(one)
        yield made


def is_closed(connection: socket.socket, seconds: float) -> bool:
    """Whether the server closes the connection within so many seconds; what it sends before is discarded."""
    connection.settimeout(seconds)
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def load(tab: RawTab, hydrate: str, filler: int = 0) -> None:
    """Load a page in the tab, with ``filler`` extra bytes, and wait until it is loaded."""
    router = {"pathname": "/login", "asPath": "/login", "query": {}, "ballast": "x" * filler}
    event = {"name": hydrate, "payload": {}, "router_data": router}
    tab.say(f"42{NAMESPACE}{json.dumps(['event', event])}")
    tab.answers()
