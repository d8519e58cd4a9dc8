"""The pages' socket in Reflex, with a bound on what a tab may have waiting and on what is kept after it has closed."""

import asyncio
import ctypes
import gc
import time
import types
import typing
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from inspect import Parameter
from typing import Any

import reflex as rx
from reflex.app import App, EventNamespace
from reflex.event import EventHandler
from reflex.istate.manager.memory import StateManagerMemory
from reflex.istate.manager.redis import StateManagerRedis
from reflex.istate.manager.token import BaseStateToken
from sqlalchemy.exc import SQLAlchemyError

from videovault import logs
from videovault.logs.dedup import OncePerInterval
from videovault.state.session import SessionState, caller_of
from videovault.state.share_page import SharePageState

# Whether the arguments that a page's event brings are those that its handler takes. Anybody may send anything by the pages' socket. A handler that is called with other arguments fails deep inside Reflex, with a lock taken and a traceback in the log, so such a call is turned away before.

LONGEST_NUMBER = 40  # characters


def payload_fits(handler: EventHandler, payload: Mapping[str, Any]) -> bool:
    """Whether every argument is there, none is unknown, and each is of the kind that its annotation names."""
    hints = handler._get_type_hints()  # noqa: SLF001 - what Reflex itself reads arguments by
    wanted = list(handler._parameters.values())[1:]  # noqa: SLF001 - as above; the first is the state
    kinds = (Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL)
    named = {one.name: one for one in wanted if one.kind not in kinds}
    if not payload.keys() <= named.keys() and not any(one.kind == Parameter.VAR_KEYWORD for one in wanted):
        return False
    required = {name for name, one in named.items() if one.default is Parameter.empty}
    return required <= payload.keys() and all(
        matches_type(value, hints.get(name, Any)) for name, value in payload.items()
    )


def matches_type(value: Any, kind: Any) -> bool:
    """Whether a value from JSON is of this kind; an annotation that JSON cannot express is left to the handler."""
    origin, inside = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return any(matches_type(value, one) for one in inside)
    if origin in (list, dict):
        held = value.values() if isinstance(value, dict) else value
        return isinstance(value, origin) and (
            not inside or all(matches_type(each, inside[-1]) for each in held)
        )
    if origin in (int, float):
        return _is_number(value, origin)
    return isinstance(value, origin) if origin in (str, bool, types.NoneType) else True


def _is_number(value: Any, kind: type) -> bool:
    """Reflex reads one from a text, too."""
    if isinstance(value, str) and len(value) <= LONGEST_NUMBER:
        with suppress(ValueError):
            return kind(value) is not None
    return isinstance(value, kind | int) and not isinstance(value, bool)


# Returns memory to the system after many pages have closed.

PAUSE_SECONDS = 10.0  # between two times, however many pages close


class MemoryTrimmer:
    """Closed sockets leave reference cycles, and the C library keeps what they have freed."""

    def __init__(self) -> None:
        self._planned: asyncio.TimerHandle | None = None

    def plan(self) -> None:
        """Do it soon, once for all pages that close until then."""
        if self._planned is None:
            self._planned = asyncio.get_running_loop().call_later(PAUSE_SECONDS, self._reclaim)

    def _reclaim(self) -> None:
        self._planned = None
        gc.collect()
        asyncio.get_running_loop().run_in_executor(None, _trim)


def _trim() -> None:
    with suppress(AttributeError, OSError):  # glibc only
        ctypes.CDLL(None).malloc_trim(0)


MAX_WAITING = 64  # events of one tab that are queued or running; a page has a handful
UNCHECKED = 16  # events that are let through between two counts of them
WAIT_SECONDS = 30.0  # for room, then the socket is closed
LOOK_SECONDS = 0.1
# Closed tabs whose state is kept, so that a lost connection loses nothing on the page.
MAX_CLOSED = 500
MAX_CLOSED_PER_SESSION = 24
# Visitors of share links have no session, but a pass: loading the page again is no further view.
VISITORS, MAX_CLOSED_VISITORS = "visitors", 100
LOGGED_NAME = 100
MISFIT_SECONDS = 60.0  # between two lines about the same handler
APOLOGY = f"{SessionState.get_full_name()}.apologise"

log = logs.get(__name__)


class PageEvents(EventNamespace):
    """Reflex's own, which bounds neither."""

    def __init__(self, namespace: str, app: App) -> None:
        super().__init__(namespace, app)
        self._unchecked: Counter[str] = Counter()
        self._closed: dict[str, str] = {}  # session by tab, the latest closed last
        self._dropping: set[asyncio.Task[None]] = set()
        self._memory = MemoryTrimmer()
        self._misfits = OncePerInterval(MISFIT_SECONDS)

    async def on_event(self, sid: str, data: Any) -> None:
        """Take an event once the tab has room for it; the socket is not read meanwhile."""
        if not self._is_known(data):
            return
        if not self._is_well_formed(data):
            data = {**data, "name": APOLOGY, "payload": {}}
        self._unchecked[sid] += 1
        if self._unchecked[sid] > UNCHECKED and not await self._has_room(sid):
            await self.disconnect(sid)
            return
        await super().on_event(sid, data)

    def on_disconnect(self, sid: str) -> asyncio.Task[None] | None:
        token = self.sid_to_token.get(sid)
        self._unchecked.pop(sid, None)
        unlinked: asyncio.Task[None] | None = super().on_disconnect(sid)
        if token and unlinked:
            dropping = asyncio.create_task(self._drop_unless_worth_keeping(token, unlinked))
            self._dropping.add(dropping)  # the loop itself holds tasks weakly
            dropping.add_done_callback(self._dropping.discard)
        return unlinked

    def _is_known(self, data: Any) -> bool:
        """Reflex would keep an event of an unknown name for ever."""
        name = data.get("name") if isinstance(data, Mapping) else None
        if isinstance(name, str) and name in self.app._registration_context.event_handlers:  # noqa: SLF001
            return True
        log.warning("a page has sent an unknown event", name=str(name)[:LOGGED_NAME])
        return False

    def _is_well_formed(self, data: Mapping[str, Any]) -> bool:
        """Whether the arguments fit; a page of another version sends others too, and is told that it did not work."""
        registered = self.app._registration_context.event_handlers[data["name"]]  # noqa: SLF001
        payload = data.get("payload") or {}
        if isinstance(payload, Mapping) and payload_fits(registered.handler, payload):
            return True
        if self._misfits.is_due(data["name"]):
            log.warning(
                "a page has sent an event with arguments that do not fit",
                name=registered.handler.fn.__qualname__,
            )
        return False

    async def _has_room(self, sid: str) -> bool:
        if not await self._fewer_are_waiting(self.sid_to_token.get(sid, ""), MAX_WAITING):
            log.warning("limit reached", limit="events of one page at once")
            return False
        self._unchecked[sid] = 0
        return True

    async def _fewer_are_waiting(self, token: str, count: int) -> bool:
        """Wait until fewer than ``count`` events of the tab are queued or running; False if that takes too long."""
        until = time.monotonic() + WAIT_SECONDS
        while self._waiting(token) >= count:
            if time.monotonic() > until:
                return False
            await asyncio.sleep(LOOK_SECONDS)
        return True

    def _waiting(self, token: str) -> int:
        """How many events of the tab are queued or running."""
        processor = self.app.event_processor
        queued = len(processor._token_queues.get(token, ()))  # noqa: SLF001 - Reflex tells it nowhere else
        tasks = processor._tasks.values()  # noqa: SLF001
        return queued + sum(f"|{token}|" in task.get_name() for task in tasks)

    async def _drop_unless_worth_keeping(self, token: str, unlinked: asyncio.Task[None]) -> None:
        """Forget what the tab's state holds, once the events that were under way have ended."""
        await unlinked
        await self._fewer_are_waiting(token, 1)
        if token in self._token_manager.token_to_socket:  # it is open again
            return
        session = await self._living_session(token)
        if not session:
            await self._drop(token)
            return
        self._closed.pop(token, None)
        self._closed[token] = session
        for oldest in self._too_many(session):
            del self._closed[oldest]
            await self._drop(oldest)

    async def _living_session(self, token: str) -> str:
        """The session that the tab was last used in, or VISITORS; empty if there was none or if it has ended."""
        root = await self.app.state_manager.get_state(self._state_of(token))
        shown = await root.get_state(SessionState)
        session = shown._session  # noqa: SLF001 - this reads what the guard of that state has written
        if not session:
            visitor = await root.get_state(SharePageState)
            return VISITORS if visitor._ticket else ""  # noqa: SLF001 - as above
        try:
            return session if await caller_of(shown._token()) else ""  # noqa: SLF001 - as above
        except SQLAlchemyError:
            log.exception("a session cannot be looked up, the state of its closed page is kept")
            return session

    def _too_many(self, session: str) -> list[str]:
        """The tabs to be dropped, of this session's and of all, those that were closed first."""
        self._closed = {
            token: of
            for token, of in self._closed.items()
            if token not in self._token_manager.token_to_socket
        }
        own = [token for token, of in self._closed.items() if of == session]
        most = MAX_CLOSED_VISITORS if session == VISITORS else MAX_CLOSED_PER_SESSION
        return list(dict.fromkeys([*own[:-most], *list(self._closed)[:-MAX_CLOSED]]))

    async def _drop(self, token: str) -> None:
        manager, state = self.app.state_manager, self._state_of(token)
        if isinstance(manager, StateManagerRedis):
            classes = manager._get_required_state_classes(state.cls, subclasses=True)  # noqa: SLF001 - no other way
            await manager.redis.unlink(*(state._state_key(each) for each in classes))  # noqa: SLF001 - as above
        elif isinstance(manager, StateManagerMemory):
            lock = manager._states_locks.get(state.lock_key)  # noqa: SLF001 - as above
            if lock is None or not lock.locked():  # else it goes an hour after its last event
                manager._purge_token(state)  # noqa: SLF001 - as above
        self._memory.plan()

    def _state_of(self, token: str) -> BaseStateToken:
        return BaseStateToken(ident=token, cls=rx.State)


def install(app: App) -> None:
    """Put it in the place of Reflex's own."""
    if app.sio is None or app.event_namespace is None:
        raise RuntimeError("the app has no socket: its pages would not work")
    events = PageEvents(app.event_namespace.namespace, app)
    app._event_namespace = events  # noqa: SLF001 - Reflex has no setting for it
    app.sio.register_namespace(events)
