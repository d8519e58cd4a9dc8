"""Who is at this tab, asked of the session cookie at every event, and what the tab has to tell them."""

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, overload
from urllib.parse import urlencode

import reflex as rx
from reflex.app import App
from reflex.event import Event, EventSpec
from reflex.istate.proxy import StateProxy
from reflex.middleware.middleware import Middleware
from reflex.state import BaseState
from reflex_base.event.context import EventContext
from starlette.requests import cookie_parser

from videovault import logs, security
from videovault.config import settings
from videovault.errors import InvalidInput, NotSignedIn, VideoVaultError
from videovault.logs.dedup import OncePerInterval
from videovault.services.accounts import sessions
from videovault.services.core import client_ip
from videovault.services.core.access import Caller
from videovault.state.background import BatchedCache, run_in_db_pool
from videovault.state.view_models import VideoNotice

if TYPE_CHECKING:
    pass

HOME = "/create"
# How long an ended session may still be taken for a live one; a loop looks at every tick.
SESSION_SECONDS = 2.0
LONGEST_REPORT = 1000
TRACEBACK_SECONDS = 60.0  # between two tracebacks of the same error
NOTED_SECONDS = 60.0  # how often it is written down that somebody is there
FAULT = "Something went wrong on our side. Nothing you made is lost; please try again."

Handler = Callable[..., Any]
_event: Any = rx.event  # mypy takes it for the module of the same name
log = logs.get(__name__)


class SessionState(rx.State):
    """What every page shows of the person. For display only: each handler asks the cookie anew."""

    is_signed_in: bool = False
    is_admin: bool = False
    email: str = ""

    notice: str = ""
    notice_is_error: bool = False
    notice_number: int = 0
    news: list[VideoNotice] = []
    errors: dict[str, str] = {}

    _session: str = ""

    @rx.event
    def arrive(self) -> None:
        """Leave behind what the page before had to say."""
        self.notice, self.news, self.errors = "", [], {}

    @rx.event
    def dismiss(self) -> None:
        """Take the notice away."""
        self.notice = ""

    @rx.event
    def show_fault(self) -> None:
        """Say that something broke which nobody foresaw."""
        self._say(FAULT, bad=True)

    @rx.event
    def go_home(self) -> EventSpec | None:
        """Who is signed in has no use for the welcome page."""
        return rx.redirect(HOME, replace=True) if self.is_signed_in else None

    async def _caller(self) -> Caller:
        """Who this tab's cookie belongs to, now. Raises NotSignedIn."""
        caller = await caller_of(self._token())
        if caller is None:
            raise NotSignedIn
        return caller

    def _token(self) -> str:
        return cookie_parser(self.router.headers.cookie or "").get(settings().session_cookie, "")

    def _say(self, text: str, *, bad: bool = False) -> None:
        self.notice, self.notice_is_error = text, bad
        self.notice_number += 1

    def _tell(self, error: VideoVaultError, beside: str) -> EventSpec | None:
        """Put the error beside what it concerns, else into the notice; a lost session leads to the login."""
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
            self._say(error.public_message, bad=True)
        return None

    def _show_person(self, caller: Caller | None) -> None:
        shown = (caller is not None, caller.is_admin, caller.email) if caller else (False, False, "")
        if (self.is_signed_in, self.is_admin, self.email) != shown:
            self.is_signed_in, self.is_admin, self.email = shown


@overload
def signed_in(handler: Handler) -> Any: ...
@overload
def signed_in(
    *, background: bool = False, supersedes: bool = False, beside: str = ""
) -> Callable[[Handler], Any]: ...
def signed_in(
    handler: Handler | None = None, *, background: bool = False, supersedes: bool = False, beside: str = ""
) -> Any:
    """Make ``handler(self, caller, …)`` an event handler that only a signed-in person gets into.

    Its errors reach the person: at the fields that are wrong, at ``beside``, or as a notice.
    ``background`` and ``supersedes`` are those of rx.event.
    """
    if handler is None:
        return functools.partial(signed_in, background=background, supersedes=supersedes, beside=beside)
    inner = handler

    @functools.wraps(inner)
    async def authorised(self: SessionState, *args: Any, **payload: Any) -> AsyncIterator[Any]:
        tab: Any = self
        if background:  # to which Reflex hands a proxy
            tab = SessionBoundProxy(self.__wrapped__)  # type: ignore[attr-defined] # see above
        try:
            caller = await tab._caller()  # noqa: SLF001 - this is part of the state
            async for step in _steps(inner(tab, caller, *args, **payload)):
                yield step
        except VideoVaultError as error:
            step = await _told(tab, error, beside)
            if step:
                yield step

    authorised.__signature__ = _without_caller(inner)  # type: ignore[attr-defined] # what inspect looks at
    return _event(authorised, background=background, supersedes=supersedes)


async def caller_of(token: str) -> Caller | None:
    """Whose session token this is, at most ``SESSION_SECONDS`` old; that it was asked for is no sign of life."""
    if not token:
        return None
    return await _callers.get(security.token_hash(token))


def login_path(path: str, query: str = "", *, was_signed_in: bool = False) -> str:
    """The login page that leads back to where the person was, and says so if a session has ended there."""
    ended = {"done": "ended"} if was_signed_in else {}
    return "/login?" + urlencode({"next": f"{path}?{query}" if query else path, **ended})


def on_server_error(exception: Exception) -> EventSpec:
    """What a person sees of an exception that no handler foresaw; the log has the rest, once in a while."""
    where = _place(exception)
    if _faults.is_due(where):
        log.error("unforeseen error in a page", exc_info=exception)
    else:  # anybody can cause the same one as often as a page sends events
        log.error("unforeseen error in a page, as told before", place=where)
    return SessionState.event_handlers["apologise"]()


def on_browser_error(exception: Exception) -> None:
    """Note what a browser says went wrong. Anybody can say anything, so it is one line, and a short one."""
    said = str(exception).encode("unicode_escape").decode()
    log.warning("error in a browser", said=said[:LONGEST_REPORT])


class SessionGuard(Middleware):
    """Before any event: wipe what another session left in this tab, show who is there now, and that somebody is.

    Reflex binds a tab's state to a token in the browser's storage, not to a login.
    """

    async def preprocess(self, app: App, state: BaseState, event: Event) -> None:  # noqa: ARG002 - Reflex's signature
        shown = await state.get_state(SessionState)
        logs.bind_client_ip(str(client_ip.parse_address(shown.router.session.client_ip) or ""))
        token = shown._token()  # noqa: SLF001 - the guard is part of this state
        caller = await caller_of(token)
        session = security.token_hash(token) if caller else ""
        if session and EventContext.get().parent_txid is None:  # not what a loop in the tab has led to
            await _noted.get(session)
        if shown._session != session:  # noqa: SLF001
            state._get_root_state().reset()  # type: ignore[no-untyped-call] # noqa: SLF001 - Reflex has no other way
            shown._session = session  # noqa: SLF001
        shown._show_person(caller)  # noqa: SLF001


def _place(exception: Exception) -> str:
    """The kind of the exception and the line that raised it."""
    trace = exception.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    raised = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
    return f"{type(exception).__name__} {raised}"


async def _recognised(token_hashes: Collection[str]) -> Mapping[str, Caller]:
    return await run_in_db_pool(sessions.authenticate_many, token_hashes, note=False)


async def _noted_too(token_hashes: Collection[str]) -> Mapping[str, Caller]:
    return await run_in_db_pool(sessions.authenticate_many, token_hashes, note=True)


_callers: BatchedCache[Caller] = BatchedCache(SESSION_SECONDS, _recognised)
_faults = OncePerInterval(TRACEBACK_SECONDS)
_noted: BatchedCache[Caller] = BatchedCache(NOTED_SECONDS, _noted_too)


async def _steps(running: Any) -> AsyncIterator[Any]:
    """What a handler yields, or the one thing it returns."""
    if inspect.isasyncgen(running):
        async for step in running:
            yield step
        return
    step = await running
    if step is not None:
        yield step


async def _told(tab: SessionState, error: VideoVaultError, beside: str) -> EventSpec | None:
    """Tell it to whom it concerns: not to somebody else who has the tab by now."""
    try:
        async with tab if isinstance(tab, SessionBoundProxy) else nullcontext():
            return tab._tell(error, beside)  # noqa: SLF001 - this is part of the state
    except NotSignedIn:
        return None


def _without_caller(handler: Handler) -> inspect.Signature:
    signature = inspect.signature(handler)
    kept = [parameter for name, parameter in signature.parameters.items() if name != "caller"]
    return signature.replace(parameters=kept)


# What a background handler changes its tab by, only as long as nobody else has the tab.


class SessionBoundProxy(StateProxy):
    """Reflex's proxy, which belongs to the session that the handler began in.

    A webhook may answer minutes later, when somebody else has signed in at this very tab: entering it by
    ``async with`` then raises NotSignedIn, and the caller that is asked for stays the one of the beginning.
    """

    def __init__(self, state: "SessionState", event: Any = None, parent_state_proxy: Any = None) -> None:
        super().__init__(state, event, parent_state_proxy)
        if parent_state_proxy is None:  # the others lead to the one that is entered
            self._self_session = state._session  # noqa: SLF001 - it stands for this state
            self._self_cookie = state._token()  # noqa: SLF001 - as above

    async def __aenter__(self) -> "SessionBoundProxy":
        await super().__aenter__()
        if self._self_parent_state_proxy is None and self._session != self._self_session:
            await self.__aexit__(None, None, None)
            raise NotSignedIn
        return self

    def _token(self) -> str:
        """The cookie at the beginning: by now the tab may hold another one."""
        return self._self_cookie
