"""The pages' socket of Reflex, with limits on queued events and on the state kept for closed tabs."""

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
from reflex.constants import SocketEvent
from reflex.event import Event, EventHandler
from reflex.istate.manager.memory import StateManagerMemory
from reflex.istate.manager.redis import StateManagerRedis
from reflex.istate.manager.token import BaseStateToken
from reflex.state import StateUpdate
from reflex.utils.token_manager import RedisTokenManager
from reflex_base.constants.state import FIELD_MARKER

from videovault import logs
from videovault.logs import OncePerInterval
from videovault.state import outages, shared_state
from videovault.state.live_updates import update_feed
from videovault.state.outages import OUTAGE_ERRORS, monitor
from videovault.state.session import (
    IS_RECONNECT,
    STORAGE_PREFIX,
    SessionState,
    caller_of,
    failed_tabs,
    open_tabs,
)
from videovault.state.share_page import SharePageState

MAX_WAITING = 64  # queued or running events of one tab; a page has a handful
UNCHECKED = 16  # events accepted between two counts
WAIT_SECONDS = 30.0  # for the queue to shrink, then the socket is closed
POLL_SECONDS = 0.1
TRIM_SECONDS = 10.0
# Closed tabs whose state is kept, so that a lost connection loses nothing on the page.
MAX_CLOSED = 500
MAX_CLOSED_PER_SESSION = 24
# Visitors of share links have no session, but a view pass: loading the page again must not count as a view.
VISITORS, MAX_CLOSED_VISITORS = "visitors", 100
MAX_LOGGED_NAME = 100
BAD_ARGUMENTS_LOG_SECONDS = 60.0  # between two log lines about the same handler
HYDRATE = f"{rx.State.get_full_name()}.hydrate_and_load"
UNUSED_KEY = f"{STORAGE_PREFIX}unused"
WAITING_VAR = f"is_waiting{FIELD_MARKER}"
FAULT_EVENT = f"{SessionState.get_full_name()}.show_fault"
MAX_NUMBER_CHARACTERS = 40

log = logs.get(__name__)


class PageEvents(EventNamespace):
    """Reflex's namespace with these limits."""

    def __init__(self, namespace: str, app: App) -> None:
        super().__init__(namespace, app)
        self._unchecked: Counter[str] = Counter()
        self._closed: dict[str, str] = {}  # session by tab, in the order in which they were closed
        self._dropping: set[asyncio.Task[None]] = set()
        self._memory = MemoryTrimmer()
        self._bad_arguments = OncePerInterval(BAD_ARGUMENTS_LOG_SECONDS)
        if isinstance(self._token_manager, RedisTokenManager):
            self._token_manager = shared_state.SharedTokens(shared_state.redis_client())

    async def on_connect(self, sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        monitor.start()
        await super().on_connect(sid, environ, auth)
        if monitor.is_outage:
            await self._show_outage(True, sid)

    async def emit_update(self, update: StateUpdate, token: str) -> None:
        """Without a line in the log for each change of a page that has been closed."""
        if isinstance(self._token_manager, RedisTokenManager) or self.has_open(token):
            await super().emit_update(update, token)

    def has_open(self, token: str) -> bool:
        """Whether the tab's socket is in this process."""
        return bool(self.socket_of(token))

    def socket_of(self, token: str) -> str:
        """The id of the tab's socket in this process; empty if it has none."""
        record = self._token_manager.token_to_socket.get(token)
        is_here = record is not None and record.instance_id == self._token_manager.instance_id
        return record.sid if record is not None and is_here else ""

    async def report_outage(self, is_outage: bool) -> None:
        """Tell all pages directly, since events and state may need what is not available."""
        if is_outage:
            await self._show_outage(True)
            return
        await shared_state.restore(self.app)
        update_feed.wake_all()
        await self._show_outage(False)
        failed = [*failed_tabs]
        failed_tabs.clear()
        for token in failed:
            await self._load_again(token)

    async def _show_outage(self, is_outage: bool, sid: str | None = None) -> None:
        """To one page, or to all; no tab's state is changed."""
        update = StateUpdate(delta={SessionState.get_full_name(): {WAITING_VAR: is_outage}})
        await self.emit(str(SocketEvent.EVENT), update, to=sid)

    async def _load_again(self, token: str) -> None:
        """Let a page that has lost events load its state: after this event of Reflex' it asks for it."""
        events = Event.from_event_type([rx.remove_session_storage(UNUSED_KEY)])
        if self.has_open(token):
            await self.emit_update(StateUpdate(events=events), token)

    async def on_event(self, sid: str, data: Any) -> None:
        """Accept an event once the tab's queue has room; meanwhile the socket is not read."""
        if not self._is_known(data):
            return
        if not self._is_well_formed(data):
            data = {**data, "name": FAULT_EVENT, "payload": {}}
        if data["name"] == HYDRATE and isinstance(data.get("router_data"), dict):
            # Only a page that has just been loaded sends the hashes of its initial state.
            data["router_data"][IS_RECONNECT] = not (data.get("payload") or {}).get("hashes")
        self._unchecked[sid] += 1
        if self._unchecked[sid] > UNCHECKED and not await self._has_room(sid):
            await self.disconnect(sid)
            return
        await super().on_event(sid, data)

    def on_disconnect(self, sid: str) -> asyncio.Task[None] | None:
        token = self.sid_to_token.get(sid)
        self._unchecked.pop(sid, None)
        failed_tabs.discard(token or "")
        unlinked: asyncio.Task[None] | None = super().on_disconnect(sid)
        if token and unlinked:
            dropping = asyncio.create_task(self._drop_or_keep(token, unlinked))
            self._dropping.add(dropping)  # the loop itself holds tasks weakly
            dropping.add_done_callback(self._dropping.discard)
        return unlinked

    def _is_known(self, data: Any) -> bool:
        """Reflex would keep an event with an unknown name forever."""
        name = data.get("name") if isinstance(data, Mapping) else None
        if isinstance(name, str) and name in self.app._registration_context.event_handlers:  # noqa: SLF001
            return True
        log.warning("unknown event from a page", name=str(name)[:MAX_LOGGED_NAME])
        return False

    def _is_well_formed(self, data: Mapping[str, Any]) -> bool:
        """Whether the arguments fit. A page of another version may send others; it is shown an error."""
        registered = self.app._registration_context.event_handlers[data["name"]]  # noqa: SLF001
        payload = data.get("payload") or {}
        if isinstance(payload, Mapping) and payload_fits(registered.handler, payload):
            return True
        if self._bad_arguments.is_due(data["name"]):
            log.warning(
                "event with wrong arguments from a page",
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
        """Wait until fewer than ``count`` events of the tab are queued or running. False after WAIT_SECONDS."""
        until = time.monotonic() + WAIT_SECONDS
        while self._waiting(token) >= count:
            if time.monotonic() > until:
                return False
            await asyncio.sleep(POLL_SECONDS)
        return True

    def _waiting(self, token: str) -> int:
        """The number of queued or running events of the tab."""
        processor = self.app.event_processor
        queued = len(processor._token_queues.get(token, ()))  # noqa: SLF001 - Reflex has no public way
        tasks = processor._tasks.values()  # noqa: SLF001
        return queued + sum(f"|{token}|" in task.get_name() for task in tasks)

    async def _drop_or_keep(self, token: str, unlinked: asyncio.Task[None]) -> None:
        """Keep or drop the state of a closed tab, once its running events have ended."""
        await unlinked
        await self._fewer_are_waiting(token, 1)
        if token in self._token_manager.token_to_socket:  # open again
            return
        try:
            await self._drop_unless_valid(token)
        except OUTAGE_ERRORS:
            log.debug("cannot look up a session, the state of its closed page is kept")

    async def _drop_unless_valid(self, token: str) -> None:
        session = await self._valid_session(token)
        if not session:
            await self._drop(token)
            return
        self._closed.pop(token, None)
        self._closed[token] = session
        for oldest in self._exceeding_limits(session):
            del self._closed[oldest]
            await self._drop(oldest)

    async def _valid_session(self, token: str) -> str:
        """The tab's session, or VISITORS; empty if there was none or if it has ended."""
        root = await self.app.state_manager.get_state(self._state_of(token))
        shown = await root.get_state(SessionState)
        session = shown._session  # noqa: SLF001 - written by SessionGuard
        if not session:
            visitor = await root.get_state(SharePageState)
            return VISITORS if visitor._view_pass else ""  # noqa: SLF001 - as above
        return session if await caller_of(shown._token()) else ""  # noqa: SLF001 - as above

    def _exceeding_limits(self, session: str) -> list[str]:
        """The tabs to drop: the oldest of this session and of all sessions that exceed the limits."""
        self._closed = {
            token: owner
            for token, owner in self._closed.items()
            if token not in self._token_manager.token_to_socket
        }
        own = [token for token, owner in self._closed.items() if owner == session]
        limit = MAX_CLOSED_VISITORS if session == VISITORS else MAX_CLOSED_PER_SESSION
        return list(dict.fromkeys([*own[:-limit], *list(self._closed)[:-MAX_CLOSED]]))

    async def _drop(self, token: str) -> None:
        manager, state = self.app.state_manager, self._state_of(token)
        if isinstance(manager, StateManagerRedis):
            classes = manager._get_required_state_classes(state.cls, subclasses=True)  # noqa: SLF001 - no other way
            await manager.redis.unlink(*(state._state_key(each) for each in classes))  # noqa: SLF001 - as above
        elif isinstance(manager, StateManagerMemory):
            lock = manager._states_locks.get(state.lock_key)  # noqa: SLF001 - as above
            if lock is None or not lock.locked():  # else Reflex drops it an hour after its last event
                manager._purge_token(state)  # noqa: SLF001 - as above
        self._memory.schedule()

    def _state_of(self, token: str) -> BaseStateToken:
        return BaseStateToken(ident=token, cls=rx.State)


def count_open_pages(app: App) -> int:
    """The pages that are connected to this process."""
    return len(app.event_namespace.sid_to_token) if app.event_namespace else 0


def install(app: App) -> None:
    """Replace Reflex's own namespace."""
    if app.sio is None or app.event_namespace is None:
        raise RuntimeError("the app has no socket, so its pages would not work")
    shared_state.install(app)
    events = PageEvents(app.event_namespace.namespace, app)
    open_tabs.use(events.socket_of)
    probes: dict[str, outages.Probe] = {"database": outages.ask_database}
    if isinstance(app.state_manager, StateManagerRedis):
        probes["Redis"] = shared_state.ask(app.state_manager)
    monitor.configure(probes, events.report_outage, lambda: bool(events.sid_to_token))
    app._event_namespace = events  # noqa: SLF001 - Reflex has no setting for it
    app.sio.register_namespace(events)


def payload_fits(handler: EventHandler, payload: Mapping[str, Any]) -> bool:
    """Whether every argument is there, none is unknown, and each has the annotated type.

    Anyone can send anything over the pages' socket. Wrong arguments would make the handler fail deep inside Reflex, with
    a lock held and a traceback in the log.
    """
    hints = handler._get_type_hints()  # noqa: SLF001 - Reflex itself reads arguments by them
    parameters = list(handler._parameters.values())[1:]  # noqa: SLF001 - as above; the first is the state
    kinds = (Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL)
    named = {one.name: one for one in parameters if one.kind not in kinds}
    if not payload.keys() <= named.keys() and not any(
        one.kind == Parameter.VAR_KEYWORD for one in parameters
    ):
        return False
    required = {name for name, one in named.items() if one.default is Parameter.empty}
    return required <= payload.keys() and all(
        matches_type(value, hints.get(name, Any)) for name, value in payload.items()
    )


def matches_type(value: Any, kind: Any) -> bool:
    """Whether a JSON value has this type; a type that JSON cannot express is left to the handler."""
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
    """Reflex also accepts numbers as text."""
    if isinstance(value, str) and len(value) <= MAX_NUMBER_CHARACTERS:
        with suppress(ValueError):
            return kind(value) is not None
    return isinstance(value, kind | int) and not isinstance(value, bool)


class MemoryTrimmer:
    """Returns memory to the system: closed sockets leave reference cycles, and the C library keeps freed memory."""

    def __init__(self) -> None:
        self._scheduled: asyncio.TimerHandle | None = None

    def schedule(self) -> None:
        """Trim once for all pages that close within ``TRIM_SECONDS``."""
        if self._scheduled is None:
            self._scheduled = asyncio.get_running_loop().call_later(TRIM_SECONDS, self._trim)

    def _trim(self) -> None:
        self._scheduled = None
        gc.collect()
        asyncio.get_running_loop().run_in_executor(None, _malloc_trim)


def _malloc_trim() -> None:
    with suppress(AttributeError, OSError):  # glibc only
        ctypes.CDLL(None).malloc_trim(0)
