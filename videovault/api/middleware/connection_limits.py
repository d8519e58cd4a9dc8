"""Requests and page sockets that are open in this process, counted by client address and refused beyond the limits."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import Scope

from videovault import logs, security
from videovault.api.middleware.forwarded import client_address, is_trusted_proxy
from videovault.config import settings
from videovault.logs.dedup import LimitLog
from videovault.services.accounts import sessions

Peer = tuple[str, int]
PER_ADDRESS = "connections per address"
SOCKETS = "page sockets in total"
ANONYMOUS = "page sockets without a session"
ANONYMOUS_PER_ADDRESS = "page sockets without a session per address"
log = logs.get(__name__)


class OpenConnections:
    """For the event loop only; ``delivered`` may be copied by other threads.

    ``delivered`` holds how many bytes of messages each open page socket has delivered, by the address and port of the
    connection itself. A trusted proxy that does not name its client is counted in total only: that it stands for
    one client cannot be known.
    """

    def __init__(self) -> None:
        self.delivered: dict[Peer, int] = {}
        self.notes = LimitLog()
        self._is_closing = False
        self._serving: set[asyncio.Task[None]] = set()
        self._open: Counter[str] = Counter()
        self._anonymous: Counter[str] = Counter()

    @contextmanager
    def entered(self, scope: Scope) -> Iterator[bool]:
        """Count a request or socket while it is open; False when its address has too many, and it is not counted."""
        with self._counted(self._open, counted_address(scope)) as held:
            if held > settings().max_connections_per_address:
                self.notes.note(PER_ADDRESS, client_address(scope))
                yield False
            else:
                yield True

    @contextmanager
    def socket(self, scope: Scope, opened_by: Peer, *, is_anonymous: bool) -> Iterator[bool]:
        """Count a page socket; False when there are too many of its kind."""
        limit = SOCKETS if len(self.delivered) >= settings().max_connections else ""
        if not is_anonymous:
            with self._followed(opened_by, scope, limit) as is_let_in:
                yield is_let_in
            return
        address = counted_address(scope)
        with self._counted(self._anonymous, address) as held:
            if self._anonymous.total() > settings().max_anonymous_sockets:
                limit = ANONYMOUS
            elif held > settings().max_anonymous_sockets_per_address:
                limit = ANONYMOUS_PER_ADDRESS
            with self._followed(opened_by, scope, limit) as is_let_in:
                yield is_let_in

    async def until_closed(self, serving: Coroutine[Any, Any, None]) -> None:
        """Serve a page's socket until it ends, or until ``close`` is called."""
        task = asyncio.create_task(serving)
        self._serving.add(task)
        try:
            await task
        except asyncio.CancelledError:
            if not self._is_closing:
                raise
        finally:
            task.cancel()
            self._serving.discard(task)

    def close(self) -> None:
        """End all page sockets: the HTTP server aborts when it drops one that the application still reads from."""
        self._is_closing = True
        for task in self._serving:
            task.cancel()

    @contextmanager
    def _followed(self, opened_by: Peer, scope: Scope, limit: str) -> Iterator[bool]:
        if limit:
            self.notes.note(limit, client_address(scope))
            yield False
            return
        self.delivered[opened_by] = 0
        try:
            yield True
        finally:
            self.delivered.pop(opened_by, None)

    @contextmanager
    def _counted(self, counter: Counter[str], address: str) -> Iterator[int]:
        """How many the address has with this one; 0 for clients that are not told apart."""
        counter[address] += 1
        try:
            yield counter[address] if address else 0
        finally:
            counter[address] -= 1
            if not counter[address]:
                del counter[address]


def peer(scope: Scope) -> Peer:
    """Who opened the connection itself, before a proxy is believed."""
    host, port = scope.get("client") or ("", 0)
    return host, int(port)  # granian has it as text


def counted_address(scope: Scope) -> str:
    """What counts as one client; empty where clients cannot be told apart."""
    return "" if is_trusted_proxy(scope) else client_address(scope)


async def is_anonymous(scope: Scope) -> bool:
    """Whether the connection carries no session that is alive."""
    token = cookie_parser(Headers(scope=scope).get("cookie", "")).get(settings().session_cookie, "")
    if not token:
        return True
    try:
        return not await asyncio.to_thread(
            sessions.authenticate_many, [security.token_hash(token)], note=False
        )
    except SQLAlchemyError:
        log.exception("a session cannot be looked up, its page counts as one without")
        return True
