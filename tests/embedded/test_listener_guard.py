"""Which connections the listener guard closes, on sockets of this process."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from tests.support.attackers import is_closed
from videovault.embedded.listener_guard import (
    MAX_HEADER_BYTES,
    MAX_UNFINISHED_BYTES,
    OVERHEAD_BYTES,
    Limits,
    ListenerGuard,
)
from videovault.logs import LimitLog
from videovault.services.core import client_ip


@dataclass
class Listener:
    """A listening socket with both ends of its connections."""

    opened: ExitStack
    server: socket.socket
    accepted: list[socket.socket] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.server.getsockname()[1])

    def connect(self, source: str, *, answered: bool = False) -> socket.socket:
        client = self.opened.enter_context(
            socket.create_connection(("127.0.0.1", self.port), 10, source_address=(source, 0))
        )
        accepted, _ = self.server.accept()
        self.accepted.append(self.opened.enter_context(accepted))
        if answered:
            accepted.sendall(b"x")
            assert client.recv(1) == b"x"
        return client

    def guard(
        self, *, total: int = 100, per_address: int = 100, delivered: dict[tuple[str, int], int]
    ) -> ListenerGuard:
        limits = Limits(total, per_address, client_ip.rate_limit_key, lambda host: host == "127.0.0.1")
        return ListenerGuard(self.port, limits, delivered, LimitLog())


@pytest.fixture
def listener() -> Iterator[Listener]:
    with ExitStack() as opened:
        yield Listener(opened, opened.enter_context(socket.create_server(("127.0.0.1", 0))))


def closed(clients: list[socket.socket]) -> list[bool]:
    return [is_closed(client, 0.2) for client in clients]


def test_connections_over_the_limit_per_address_are_closed_newest_first(listener: Listener) -> None:
    guard = listener.guard(per_address=2, delivered={})
    first = [listener.connect("127.0.0.2") for _ in range(2)]
    guard.check()
    later = listener.connect("127.0.0.2")
    other = listener.connect("127.0.0.3")
    guard.check()
    assert closed([*first, later, other]) == [False, False, True, False]


def test_connections_that_were_never_answered_are_closed_first(listener: Listener) -> None:
    silent = listener.connect("127.0.0.2")
    playing = listener.connect("127.0.0.2", answered=True)
    listener.guard(per_address=1, delivered={}).check()
    assert closed([silent, playing]) == [True, False]


def test_a_trusted_proxy_is_exempt_from_the_limit_per_address_only(listener: Listener) -> None:
    proxied = [listener.connect("127.0.0.1") for _ in range(4)]
    listener.guard(per_address=1, delivered={}).check()
    assert not any(closed(proxied))
    listener.guard(per_address=1, total=3, delivered={}).check()
    assert sum(closed(proxied)) == 1


def test_at_the_total_limit_the_address_with_most_connections_loses_some(listener: Listener) -> None:
    attacker = [listener.connect("127.0.0.2") for _ in range(8)]
    users = [listener.connect(f"127.0.0.{number}") for number in range(3, 6)]
    listener.guard(total=6, delivered={}).check()
    assert not any(closed(users))
    assert sum(closed(attacker)) == 5


def test_an_unfinished_message_beyond_the_limit_closes_its_socket_but_delivered_ones_do_not(
    listener: Listener,
) -> None:
    delivered: dict[tuple[str, int], int] = {}
    guard = listener.guard(delivered=delivered)
    clients = {name: listener.connect("127.0.0.2") for name in ("unfinished", "delivering", "unread")}
    sides = dict(zip(clients, listener.accepted, strict=True))
    for client in clients.values():
        delivered[client.getsockname()] = 0
    guard.check()
    for name, client in clients.items():
        left = MAX_UNFINISHED_BYTES + 1
        while left and name != "unread":
            client.sendall(b"x" * min(left, 4096))
            left -= len(
                sides[name].recv(4096, socket.MSG_WAITALL) if left >= 4096 else sides[name].recv(left)
            )
    clients["unread"].sendall(b"x" * 4096)  # still in the kernel's buffer
    delivered[clients["delivering"].getsockname()] += MAX_UNFINISHED_BYTES
    guard.check()
    assert closed(list(clients.values())) == [True, False, False]


def test_a_flood_between_two_checks_closes_its_socket_despite_a_delivered_message(
    listener: Listener,
) -> None:
    delivered: dict[tuple[str, int], int] = {}
    guard = listener.guard(delivered=delivered)
    clients = [listener.connect("127.0.0.2") for _ in range(2)]
    for client in clients:
        delivered[client.getsockname()] = 0
    _send(
        clients[0], listener.accepted[0], MAX_HEADER_BYTES + MAX_UNFINISHED_BYTES + 1
    )  # before the first check
    guard.check()
    _send(clients[1], listener.accepted[1], 100 + MAX_UNFINISHED_BYTES + OVERHEAD_BYTES)
    delivered[clients[1].getsockname()] += 100
    guard.check()
    assert closed(clients) == [True, True]


def _send(client: socket.socket, side: socket.socket, size: int) -> None:
    """Send ``size`` bytes and read them on the server's side."""
    while size:
        client.sendall(b"x" * min(size, 4096))
        size -= len(side.recv(min(size, 4096), socket.MSG_WAITALL))
