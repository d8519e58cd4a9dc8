"""Counts open requests and page websockets per client address, and refuses those beyond the limits."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError
from starlette.types import Scope

from videovault import logs, security
from videovault.api import cookies
from videovault.api.middleware.forwarded import is_trusted_proxy, limit_key
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
    """The open connections of this process. Use it on the event loop only; other threads may copy ``delivered``.

    ``delivered`` maps the peer of each open page websocket to the bytes of messages it has delivered.
    A trusted proxy that does not name its client may stand for many, so it counts towards the totals only.
    """

    def __init__(self) -> None:
        self.delivered: dict[Peer, int] = {}
        self.notes = LimitLog()
        self._is_closing = False
        self._serving: set[asyncio.Future[None]] = set()
        self._open: Counter[str] = Counter()
        self._anonymous: Counter[str] = Counter()

    @contextmanager
    def connection(self, scope: Scope) -> Iterator[bool]:
        """Count a request or websocket while it is open. Yields False if its address has too many."""
        with self._counted(self._open, scope) as count:
            if count > settings().max_connections_per_address:
                self.notes.note(PER_ADDRESS, limit_key(scope))
                yield False
            else:
                yield True

    @contextmanager
    def websocket(self, scope: Scope, opened_by: Peer, *, is_anonymous: bool) -> Iterator[bool]:
        """Count a page's websocket while it is open. Yields False if there are too many of its kind."""
        limit = SOCKETS if len(self.delivered) >= settings().max_connections else ""
        if not is_anonymous:
            with self._registered(opened_by, scope, limit) as is_accepted:
                yield is_accepted
            return
        with self._counted(self._anonymous, scope) as count:
            if self._anonymous.total() > settings().max_anonymous_sockets:
                limit = ANONYMOUS
            elif count > settings().max_anonymous_sockets_per_address:
                limit = ANONYMOUS_PER_ADDRESS
            with self._registered(opened_by, scope, limit) as is_accepted:
                yield is_accepted

    async def until_closed(self, serving: Awaitable[None]) -> None:
        """Serve a page's websocket until it ends or ``close`` is called."""
        task = asyncio.ensure_future(serving)
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
        """End all page websockets: the HTTP server aborts if it drops one that the application still reads."""
        self._is_closing = True
        for task in self._serving:
            task.cancel()

    @contextmanager
    def _registered(self, opened_by: Peer, scope: Scope, limit: str) -> Iterator[bool]:
        if limit:
            self.notes.note(limit, limit_key(scope))
            yield False
            return
        self.delivered[opened_by] = 0
        try:
            yield True
        finally:
            self.delivered.pop(opened_by, None)

    @contextmanager
    def _counted(self, counter: Counter[str], scope: Scope) -> Iterator[int]:
        """The connections of the client including this one; 0 for clients that cannot be told apart."""
        address = "" if is_trusted_proxy(scope) else limit_key(scope)
        counter[address] += 1
        try:
            yield counter[address] if address else 0
        finally:
            counter[address] -= 1
            if not counter[address]:
                del counter[address]


def peer(scope: Scope) -> Peer:
    """The other end of the TCP connection, before forwarded headers are applied."""
    host, port = scope.get("client") or ("", 0)
    return host, int(port)  # granian passes it as text


async def is_anonymous(scope: Scope) -> bool:
    """Whether the connection carries no valid session."""
    token = cookies.session_token(scope)
    if not token:
        return True
    try:
        return not await asyncio.to_thread(
            sessions.authenticate_many, [security.token_hash(token)], note=False
        )
    except SQLAlchemyError:
        log.exception("session lookup failed, the websocket counts as anonymous")
        return True
