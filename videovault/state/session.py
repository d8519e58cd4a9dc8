"""The session behind a tab: looked up by its cookie at every event, with the messages that the tab shows."""

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, overload
from urllib.parse import parse_qs, urlencode
from uuid import uuid4

import reflex as rx
from reflex.app import App
from reflex.event import Event, EventSpec
from reflex.istate.proxy import StateProxy
from reflex.middleware.middleware import Middleware
from reflex.state import BaseState, OnLoadInternalState, StateUpdate
from reflex_base.event.context import EventContext
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import cookie_parser

from videovault import logs, security
from videovault.config import settings
from videovault.db import is_unavailable
from videovault.errors import DatabaseUnavailable, InvalidInput, NotSignedIn, VideoVaultError
from videovault.logs import OncePerInterval
from videovault.security import local_path
from videovault.services.accounts import sessions
from videovault.services.core import client_ip
from videovault.services.core.access import Caller
from videovault.state.background import BatchedCache, run_in_db_pool
from videovault.state.outages import is_outage_error, monitor
from videovault.state.view_models import VideoNotice

HOME = "/create"
STORAGE_PREFIX = "videovault/"  # of all keys in the browser's storage
# How long an ended session may still count as live; background loops check at this interval.
SESSION_SECONDS = 2.0
MAX_REPORT_CHARACTERS = 1000
TRACEBACK_SECONDS = 60.0  # between two tracebacks of the same error
LAST_SEEN_SECONDS = 60.0  # between two updates of a session's `last_seen_at`
FAULT = "Something went wrong on our side. Nothing you made is lost; please try again."

# In a page's router data: its connection is restored, the page itself was not loaded again.
IS_RECONNECT = "is_reconnect"
OUTAGE_LOG_SECONDS = 1.0

Handler = Callable[..., Any]
_event: Any = rx.event  # mypy takes it for the module of the same name
log = logs.get(__name__)


class OpenTabs:
    """Which tabs are connected to this process. Every tab counts as open until a server says which ones are."""

    def __init__(self) -> None:
        self._socket_of: Callable[[str], str] = lambda _token: "any"

    def use(self, socket_of: Callable[[str], str]) -> None:
        self._socket_of = socket_of

    def has(self, token: str) -> bool:
        """Whether the tab with this token of Reflex' is connected."""
        return bool(self.socket_of(token))

    def socket_of(self, token: str) -> str:
        """Identifies the connection of the tab; empty if it has none. Signing in makes a new one."""
        return self._socket_of(token)


open_tabs = OpenTabs()


class SessionState(rx.State):
    """The signed-in user, for display only: every handler checks the cookie again."""

    is_signed_in: bool = False
    is_admin: bool = False
    email: str = ""

    notice: str = ""
    notice_is_error: bool = False
    notice_number: int = 0
    video_notices: list[VideoNotice] = []
    errors: dict[str, str] = {}
    is_waiting: bool = False  # in pages only: see PageEvents

    _session: str = ""
    _is_loaded: bool = False  # its page's handlers have run for this session

    @rx.event
    def clear_messages(self) -> None:
        """Remove the messages of the previous page."""
        self.notice, self.video_notices, self.errors = "", [], {}

    @rx.event
    def dismiss(self) -> None:
        self.notice = ""

    @rx.event
    def show_fault(self) -> None:
        """Report an unexpected error."""
        self._notify(FAULT, is_error=True)

    @rx.event
    def go_home(self) -> EventSpec | None:
        """Send signed-in users from the welcome page to the create page."""
        return rx.redirect(HOME, replace=True) if self.is_signed_in else None

    async def _caller(self) -> Caller:
        """The owner of this tab's cookie, now. Raises NotSignedIn."""
        caller = await caller_of(self._token())
        if caller is None:
            raise NotSignedIn
        return caller

    def _token(self) -> str:
        return cookie_parser(self.router.headers.cookie or "").get(settings().session_cookie, "")

    def _is_open(self) -> bool:
        """Whether the tab is connected to this process; background handlers that follow something end without it."""
        return open_tabs.has(self.router.session.client_token)

    def _notify(self, text: str, *, is_error: bool = False) -> None:
        self.notice, self.notice_is_error = text, is_error
        self.notice_number += 1

    def _show_error(self, error: VideoVaultError, beside: str) -> EventSpec | None:
        """Show the error at its fields, at ``beside`` or as a notice; without a session, redirect to the login."""
        if isinstance(error, NotSignedIn):
            return rx.redirect(
                login_path(self.router.url.path, self.router.url.query, was_signed_in=bool(self._token()))
            )
        if isinstance(error, InvalidInput) and error.fields:
            self.errors = error.fields
            return rx.set_focus(next(iter(error.fields)))
        if beside:
            self.errors = {beside: error.public_message}
        else:
            self._notify(error.public_message, is_error=True)
        return None

    def _show_problems(self, codes: str, fields: Mapping[str, tuple[str, str]]) -> EventSpec | None:
        """Show how a native form went, by the codes in its address; the first wrong field gets the focus."""
        self.errors = dict(fields[code] for code in codes.split(",") if code in fields)
        return rx.set_focus(next(iter(self.errors))) if self.errors else None

    def _show_user(self, caller: Caller | None) -> None:
        shown = (caller is not None, caller.is_admin, caller.email) if caller else (False, False, "")
        if (self.is_signed_in, self.is_admin, self.email) != shown:
            self.is_signed_in, self.is_admin, self.email = shown


class AdminState(SessionState):
    """The base of all admin pages, which do not exist for other users.

    ``filters_number`` changes when the address fills the filter fields again.
    """

    access: str = ""  # "yes", "no", or empty while unknown
    filters_number: int = 0

    def _admit(self, caller: Caller) -> bool:
        """For display: every admin service checks the caller itself."""
        self.access = "yes" if caller.is_admin else "no"
        return caller.is_admin


class SessionBoundProxy(StateProxy):
    """Reflex's proxy for background handlers, bound to the session in which the handler started.

    A webhook may answer minutes later, when another user has signed in at the same tab. ``async with`` then raises
    NotSignedIn, and ``_caller()`` still checks the cookie of the start.
    """

    def __init__(self, state: SessionState, event: Any = None, parent_state_proxy: Any = None) -> None:
        super().__init__(state, event, parent_state_proxy)
        if parent_state_proxy is None:  # only the outermost proxy is entered
            self._self_session = state._session  # noqa: SLF001 - it stands for this state
            self._self_cookie = state._token()  # noqa: SLF001 - as above

    async def __aenter__(self) -> "SessionBoundProxy":
        await super().__aenter__()
        if self._self_parent_state_proxy is None and self._session != self._self_session:
            await self.__aexit__(None, None, None)
            raise NotSignedIn
        return self

    def _token(self) -> str:
        """The cookie at the start: by now the tab may hold another one."""
        return self._self_cookie


@overload
def signed_in(handler: Handler) -> Any: ...
@overload
def signed_in(
    *, background: bool = False, supersedes: bool = False, beside: str = ""
) -> Callable[[Handler], Any]: ...
def signed_in(
    handler: Handler | None = None, *, background: bool = False, supersedes: bool = False, beside: str = ""
) -> Any:
    """Make ``handler`` an event handler for signed-in users; one with a parameter ``caller`` gets the caller.

    Errors are shown at the fields that are wrong, at ``beside``, or as a notice.
    ``background`` and ``supersedes`` are those of rx.event.
    """
    if handler is None:
        return functools.partial(signed_in, background=background, supersedes=supersedes, beside=beside)
    inner = handler
    signature = inspect.signature(inner)
    takes_caller = "caller" in signature.parameters

    @functools.wraps(inner)
    async def authorised(self: SessionState, *args: Any, **payload: Any) -> AsyncIterator[Any]:
        tab: Any = self
        if background:  # Reflex passes a proxy
            tab = SessionBoundProxy(self.__wrapped__)  # type: ignore[attr-defined] # see above
        try:
            caller = await tab._caller()  # noqa: SLF001 - this is part of the state
            given = (caller, *args) if takes_caller else args
            async for step in _steps(inner(tab, *given, **payload)):
                yield step
        except (VideoVaultError, SQLAlchemyError) as error:
            step = await _report(tab, _shown(error), beside)
            if step:
                yield step

    # Reflex reads the parameters that browsers may send from the signature: the caller must not be one of them.
    parameters = [one for name, one in signature.parameters.items() if name != "caller"]
    authorised.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined] # for inspect
    return _event(authorised, background=background, supersedes=supersedes)


async def caller_of(token: str) -> Caller | None:
    """The owner of this session token, at most ``SESSION_SECONDS`` old. Does not count as activity."""
    if not token:
        return None
    return await _callers.get(security.token_hash(token))


def login_path(path: str, query: str = "", *, was_signed_in: bool = False) -> str:
    """The login page that leads back to this address, and says so if a session has ended.

    While a browser is being redirected there, Reflex sends the old path with the new query: its ``next`` is kept.
    """
    ended = {"done": "ended"} if was_signed_in else {}
    here = f"{path}?{query}" if query else path
    named = parse_qs(query).get("next")
    return "/login?" + urlencode({"next": local_path(named[0], path) if named else here, **ended})


def storage_key(owner: str, name: str) -> str:
    """The key under which a browser keeps what a user types until the server has saved it; see assets/js/autosave.js.

    The owner is part of the key: another user of the same browser never sees the value.
    """
    return f"{STORAGE_PREFIX}{owner}/{name}"


def on_server_error(exception: Exception) -> EventSpec | None:
    """Log an unexpected exception of a handler and tell the user."""
    if is_outage_error(exception):
        return _on_outage(exception)
    place = _raised_at(exception)
    if _tracebacks.is_due(place):
        log.error("unexpected error in a page", exc_info=exception)
    else:  # anyone can cause the same error as often as a page sends events
        log.error("unexpected error in a page, traceback logged before", place=place)
    return SessionState.event_handlers["show_fault"]()


def _on_outage(exception: Exception) -> EventSpec | None:
    """Log one line a second, for all pages; only the first error is shown, since showing one needs the same services."""
    failed_tabs.add(EventContext.get().token)
    if not _outage_lines.is_due("outage"):
        return None
    log.warning("a page's event failed in an outage", reason=_raised_at(exception), outage=monitor.is_outage)
    return None if monitor.is_outage else SessionState.event_handlers["show_fault"]()


def on_browser_error(exception: Exception) -> None:
    """Log an error that a browser reports as one short line: anyone can send anything."""
    report = str(exception).encode("unicode_escape").decode()
    log.warning("error in a browser", report=report[:MAX_REPORT_CHARACTERS])


class SessionGuard(Middleware):
    """Before each event: wipe what another session left in this tab, and show the current user.

    Reflex binds a tab's state to a token in the browser's storage, not to a login. ``on_reconnect`` are the handlers by
    route that run in place of on_load when the connection of a loaded page is restored.
    """

    def __init__(self, on_reconnect: Mapping[str, Sequence[Any]] | None = None) -> None:
        self._on_reconnect = on_reconnect or {}

    async def preprocess(self, app: App, state: BaseState, event: Event) -> StateUpdate | None:  # noqa: ARG002 - Reflex's signature
        shown = await state.get_state(SessionState)
        is_new = EventContext.get().parent_txid is None  # a click, and not what its handler caused
        if is_new or not logs.request_id():
            logs.bind_request_id(uuid4().hex)
        logs.bind_client_ip(str(client_ip.parse_address(shown.router.session.client_ip) or ""))
        token = shown._token()  # noqa: SLF001 - the guard is part of this state
        caller = await caller_of(token)
        session = security.token_hash(token) if caller else ""
        if session and is_new:  # not sent by a background loop of the tab
            await _last_seen.get(session)
        if shown._session != session:  # noqa: SLF001
            state._get_root_state().reset()  # type: ignore[no-untyped-call] # noqa: SLF001 - Reflex has no other way
            shown._session = session  # noqa: SLF001
        shown._show_user(caller)  # noqa: SLF001
        if event.name == PAGE_LOADED and not shown._is_loaded:  # noqa: SLF001
            shown._is_loaded = EventContext.get().token not in failed_tabs  # noqa: SLF001
        return self._page_load(shown) if event.name == PAGE_LOAD else None

    def _page_load(self, shown: SessionState) -> StateUpdate | None:
        """The events in place of the page's own, if it is loaded already."""
        router = EventContext.get().router_data or {}
        handlers = self._on_reconnect.get(str(router.get("pathname", "")).rstrip("/"))
        if handlers is not None and router.get(IS_RECONNECT) and shown._is_loaded:  # noqa: SLF001 - part of the guard
            hydrated = OnLoadInternalState.event_handlers["set_is_hydrated"](True)
            return StateUpdate(events=Event.from_event_type([*handlers, hydrated]))
        return None


def _shown(error: VideoVaultError | SQLAlchemyError) -> VideoVaultError:
    """The error for the user. Raises all errors of the database except that it does not answer."""
    if isinstance(error, VideoVaultError):
        return error
    if not is_unavailable(error):
        raise error
    return DatabaseUnavailable()


def _raised_at(exception: Exception) -> str:
    """The kind of the exception and the line that raised it."""
    trace = exception.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    line = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
    return f"{type(exception).__name__} {line}"


async def _authenticate(token_hashes: Collection[str]) -> Mapping[str, Caller]:
    return await run_in_db_pool(sessions.authenticate_many, token_hashes, note=False)


async def _authenticate_and_note(token_hashes: Collection[str]) -> Mapping[str, Caller]:
    return await run_in_db_pool(sessions.authenticate_many, token_hashes, note=True)


# Reflex' events before and after the handlers of a page.
PAGE_LOAD = f"{OnLoadInternalState.get_full_name()}.on_load_internal"
PAGE_LOADED = f"{OnLoadInternalState.get_full_name()}.set_is_hydrated"
failed_tabs: set[str] = set()  # tabs in which an event has failed in this outage
_outage_lines = OncePerInterval(OUTAGE_LOG_SECONDS)
_callers: BatchedCache[Caller] = BatchedCache(SESSION_SECONDS, _authenticate)
_last_seen: BatchedCache[Caller] = BatchedCache(LAST_SEEN_SECONDS, _authenticate_and_note)
_tracebacks = OncePerInterval(TRACEBACK_SECONDS)


async def _steps(running: Any) -> AsyncIterator[Any]:
    """What a handler yields, or the one thing it returns."""
    if inspect.isasyncgen(running):
        async for step in running:
            yield step
        return
    step = await running
    if step is not None:
        yield step


async def _report(tab: SessionState, error: VideoVaultError, beside: str) -> EventSpec | None:
    """Show the error in the tab, unless the tab belongs to another session by now."""
    try:
        async with tab if isinstance(tab, SessionBoundProxy) else nullcontext():
            return tab._show_error(error, beside)  # noqa: SLF001 - this is part of the state
    except NotSignedIn:
        return None
