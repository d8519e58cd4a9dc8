"""Browser tabs without a browser: events pass through Reflex's processor and our guard, as from a socket."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
import reflex as rx
from anyio.from_thread import BlockingPortal, start_blocking_portal
from reflex.app_mixins.middleware import MiddlewareMixin
from reflex.istate.manager.memory import StateManagerMemory
from reflex.state import StateUpdate
from reflex_base.event import Event
from reflex_base.event.processor import BaseStateEventProcessor
from sqlmodel import col, select

from tests.state.attack_target import AttackTarget, attack_target
from tests.support.waiting import eventually
from videovault.config import settings
from videovault.db import transaction
from videovault.models import Status, User
from videovault.services.accounts import accounts
from videovault.services.core import lifecycle
from videovault.services.core.access import Caller
from videovault.services.core.views import SignedIn
from videovault.state.session import SessionGuard, on_server_error

S = TypeVar("S", bound=rx.State)
PASSWORD = "correct horse"
Make = Callable[..., str]
_numbers = itertools.count(1)


@dataclass
class Received:
    """What the server sent to the browsers: by tab, the changes of vars and the events for the page itself."""

    deltas: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    events: dict[str, list[Event]] = field(default_factory=dict)

    async def emit_update(self, update: StateUpdate, token: str) -> None:
        self.deltas.setdefault(token, []).append(update.delta)
        self.events.setdefault(token, []).extend(update.events)


@dataclass
class Tab:
    """A tab with a cookie and an address; ``token`` is what Reflex knows it by."""

    server: "Server"
    token: str
    cookie: str = ""
    address: str = "/create"
    client_ip: str = "127.0.0.1"

    def send(self, state: type[rx.State], handler: str, **payload: Any) -> None:
        """Send an event and wait until it and its follow-up events are done."""
        self.server.portal.call(self._send, state, handler, payload)

    def start(self, state: type[rx.State], handler: str, **payload: Any) -> None:
        """Send an event without waiting."""
        self.server.portal.start_task_soon(self._send, state, handler, payload)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        eventually(condition, lambda: self.received)

    def sees(self, state: type[S]) -> S:
        """The state on the server."""
        return self.server.portal.call(self._state, state)

    @property
    def sent_to(self) -> str:
        """The last redirect, empty if none."""
        events = self.server.received.events.get(self.token, [])
        return next((event.payload["path"] for event in reversed(events) if event.name == "_redirect"), "")

    @property
    def received(self) -> str:
        """Everything sent to this tab, as text."""
        return str(self.server.received.deltas.get(self.token, []))

    async def _state(self, state: type[S]) -> S:
        root = await self.server.states.get_state(rx.BaseStateToken(ident=self.token, cls=rx.State))
        return await root.get_state(state)

    async def _send(self, state: type[rx.State], handler: str, payload: dict[str, Any]) -> None:
        path = self.address.partition("?")[0]
        headers = {"cookie": f"{settings().session_cookie}={self.cookie}"} if self.cookie else {}
        router = {
            "pathname": path,
            "asPath": self.address,
            "query": {},
            "headers": headers,
            "token": self.token,
            "ip": self.client_ip,
        }
        event = Event(name=f"{state.get_full_name()}.{handler}", payload=payload, router_data=router)
        running = await self.server.processor.enqueue(self.token, event)
        await running.wait_all()


@dataclass
class Server:
    portal: BlockingPortal
    processor: BaseStateEventProcessor
    states: StateManagerMemory
    received: Received

    def tab(self, cookie: str = "", address: str = "/create") -> Tab:
        tab = Tab(self, f"tab-{next(_numbers)}", cookie, address)
        self.portal.call(self._open, tab)
        return tab

    async def _open(self, tab: Tab) -> None:
        """Reflex would load an unknown page again; this one is known."""
        root = await self.states.get_state(rx.BaseStateToken(ident=tab.token, cls=rx.State))
        root.router_data = {"token": tab.token}


@pytest.fixture
def server(installation: object) -> Iterator[Server]:
    del installation
    received, states = Received(), _state_manager()
    guarded = MiddlewareMixin()
    guarded.add_middleware(SessionGuard())
    with start_blocking_portal() as portal:
        processor = BaseStateEventProcessor(middleware=guarded, backend_exception_handler=on_server_error)
        sockets: Any = received  # all of the real ones that the processor uses
        processor.configure(state_manager=states, event_namespace=sockets)
        with portal.wrap_async_context_manager(processor):
            yield Server(portal, processor, states, received)
        portal.call(states.close)


def _state_manager() -> StateManagerMemory:
    made: Any = StateManagerMemory  # mypy takes its overrides for something else
    manager: StateManagerMemory = made()
    return manager


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, mp4: bytes) -> Iterator[AttackTarget]:
    """One per test session: tests that change data create their own user first."""
    with attack_target(tmp_path_factory.mktemp("attack-target"), mp4) as built:
        yield built


@dataclass(frozen=True)
class Person:
    token: str
    caller: Caller


@pytest.fixture
def person(installation: object) -> Callable[[str], Person]:
    """Creates accounts; the first one is the admin."""
    del installation

    def make(name: str) -> Person:
        signed_in: SignedIn = accounts.register(f"{name}@example.com", PASSWORD)
        return Person(signed_in.token, accounts.authenticate(signed_in.token))

    return make


@pytest.fixture
def ada(server: Server, person: Callable[[str], Person]) -> Tab:
    """Ada's gallery."""
    return server.tab(person("ada").token, address="/gallery")


@pytest.fixture
def make(ada: Tab) -> Make:
    """Creates a video of any status for Ada or ``owner_id``, and returns its id."""
    del ada

    def put(status: Status, title: str = "Bread", *, owner_id: str = "", **values: object) -> str:
        with transaction() as session:
            first = session.exec(select(User).order_by(col(User.created_at))).first()
            assert first
            video = lifecycle.new_video(owner_id or first.id, status, title, **values)
            session.add(video)
            return video.id

    return put
