"""Idle and abusive connections against the running product; a normal user must not notice them."""

import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from benchmarks.process_usage import descendants, memory_of, serving_process
from tests.support.app import RunningApp, running_app
from tests.support.attackers import ATTACKER, BEGINNINGS, connections, is_closed, load
from tests.support.raw_tab import HYDRATE, NAMESPACE, RawTab, Refused
from tests.support.waiting import eventually
from videovault.api.middleware.connection_limits import MAX_ROUTER_DATA_BYTES
from videovault.config import MAX_WEBSOCKET_MESSAGE_BYTES

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="needs Linux"),
]
MANY = 2000
PER_ADDRESS = 1500
ANONYMOUS = 40
MIB = 1024**2


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    limits = {"MAX_ANONYMOUS_SOCKETS_PER_ADDRESS": str(ANONYMOUS)}
    with running_app(tmp_path_factory.mktemp("connections") / "var", **limits) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def waiting(app: RunningApp) -> Iterator[dict[str, socket.socket]]:
    """Connections that stopped sending, by what they sent; opened first, since their timeout is long."""
    sent = {kind: BEGINNINGS[kind] for kind in ("silent", "half-sent head", "idle after an answer")}
    with ExitStack() as opened:
        place = ("127.0.0.1", int(app.url.rpartition(":")[2]))
        made = {kind: opened.enter_context(socket.create_connection(place)) for kind in sent}
        for kind, connection in made.items():
            connection.sendall(sent[kind])
        yield made


def a_user_is_served(app: RunningApp) -> None:
    """By a page, the API and a page's websocket."""
    for path in ("/login/", "/api/openapi.json", "/healthz"):
        assert httpx.get(f"{app.url}{path}", timeout=20).status_code == 200
    with RawTab(app.url) as tab:
        load(tab, HYDRATE)


def lines_of(app: RunningApp, limit: str) -> list[str]:
    log = re.sub(r"\x1b\[[0-9;]*m", "", app.log.read_text())
    return [line for line in log.splitlines() if "limit reached" in line and f"limit={limit!r}" in line]


@pytest.mark.parametrize("kind", BEGINNINGS)
def test_2000_connections_of_one_address_are_limited_and_others_are_served(
    app: RunningApp, kind: str
) -> None:
    with connections(app.url, MANY, BEGINNINGS[kind]) as opened:
        a_user_is_served(app)
        eventually(lambda: open_to(app, ATTACKER) <= PER_ADDRESS)
        a_user_is_served(app)
        assert opened
    [line] = lines_of(app, "connections per address")  # logged once
    assert ATTACKER in line


@pytest.mark.parametrize("kind", ["silent", "half-sent head"])
def test_with_2000_connections_of_a_proxy_without_client_addresses_others_are_served(
    app: RunningApp, kind: str
) -> None:
    with connections(app.url, MANY, BEGINNINGS[kind], source="127.0.0.1"):
        a_user_is_served(app)


def test_web_process_and_worker_raise_the_limit_of_open_files(app: RunningApp) -> None:
    main = app.process.pid
    for pid in [main, *descendants(main)]:
        if b"videovault" in Path(f"/proc/{pid}/cmdline").read_bytes() or pid == serving_process(
            app.process.pid
        ):
            [line] = [
                line
                for line in Path(f"/proc/{pid}/limits").read_text().splitlines()
                if line.startswith("Max open files")
            ]
            soft, hard = line.split()[3:5]
            assert soft == hard


def test_pages_without_a_session_are_limited_per_address_also_behind_a_proxy(app: RunningApp) -> None:
    tabs = [RawTab(app.url, forwarded="203.0.113.9") for _ in range(ANONYMOUS)]
    with pytest.raises(Refused, match="403"):
        RawTab(app.url, forwarded="203.0.113.9")
    RawTab(app.url, forwarded="203.0.113.10").close()
    tabs.pop().close()
    eventually(lambda: _is_let_in(app, "203.0.113.9"))
    for tab in tabs:
        tab.close()
    assert len(lines_of(app, "page sockets without a session per address")) == 1


@pytest.mark.parametrize(
    "attack",
    [
        lambda tab: tab.say("451-/_event," + '["event",{"_placeholder":true,"num":0}]'),
        lambda tab: tab.say_bytes(b"\x04" * 10),
        lambda tab: tab.say(f"40{NAMESPACE}"),
        lambda tab: tab.say(f"42{NAMESPACE}" + "x" * MAX_WEBSOCKET_MESSAGE_BYTES),
    ],
    ids=["an attachment", "bytes", "a second connect", "a message over the limit"],
)
def test_a_socket_with_unexpected_messages_is_closed(
    app: RunningApp, attack: Callable[[RawTab], None]
) -> None:
    with RawTab(app.url) as tab:
        attack(tab)
        with pytest.raises((Refused, ConnectionError)):
            tab.answers()
    a_user_is_served(app)


def test_a_fragmented_message_over_the_limit_is_cut(app: RunningApp) -> None:
    with RawTab(app.url) as tab:
        sent = _in_fragments(tab, 60 * MIB)  # the server itself would take 64
    assert sent < 60 * MIB
    assert lines_of(app, "size of a websocket message")


def test_a_flood_of_events_is_throttled_and_others_are_served(app: RunningApp) -> None:
    event = (
        f'42{NAMESPACE}["event",{{"name":"{HYDRATE}","payload":{{}},"router_data":{{"pathname":"/login"}}}}]'
    )
    with RawTab(app.url) as flood:
        for _ in range(500):
            flood.say(event)
        for _ in range(3):
            a_user_is_served(app)


def test_unknown_events_are_not_logged(app: RunningApp) -> None:
    with RawTab(app.url) as tab:
        for number in range(50):
            tab.send(f"no_such_state.handler_{number}")
        tab.answers()
    assert "No registered handler" not in app.log.read_text()


def test_the_memory_of_300_pages_without_a_session_is_released(app: RunningApp) -> None:
    server = serving_process(app.process.pid)
    with RawTab(app.url) as first:
        load(first, HYDRATE)
    time.sleep(2)
    before = memory_of(server, "VmRSS")
    tabs = [RawTab(app.url) for _ in range(300)]
    for tab in tabs:
        load(tab, HYDRATE, filler=MAX_ROUTER_DATA_BYTES - 2000)
    for tab in tabs:
        tab.close()
    eventually(lambda: memory_of(server, "VmRSS") - before < 30 * MIB)


def test_a_connection_without_a_complete_request_is_closed(waiting: dict[str, socket.socket]) -> None:
    assert not [kind for kind, connection in waiting.items() if not is_closed(connection, 150)]


def _in_fragments(tab: RawTab, size: int) -> int:
    """Send up to ``size`` bytes of an incomplete message; returns the bytes sent until the server closed the socket."""
    sent = 0
    with suppress(ConnectionError):
        tab.say(f"42{NAMESPACE}", finished=False)
        while sent < size:
            tab.say("x" * 16384, finished=False)
            sent += 16384
            time.sleep(0.01)
    return sent


def open_to(app: RunningApp, address: str) -> int:
    """Established connections of the address to the app, as the server's side has them."""
    port = int(app.url.rpartition(":")[2])
    remote = "".join(f"{int(part):02X}" for part in reversed(address.split(".")))
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    rows = [line.split() for line in lines]
    return sum(
        row[1].endswith(f":{port:04X}") and row[2].startswith(remote) and row[3] == "01" for row in rows
    )


def _is_let_in(app: RunningApp, forwarded: str) -> bool:
    try:
        RawTab(app.url, forwarded=forwarded).close()
    except Refused:
        return False
    return True
