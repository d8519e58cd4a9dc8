"""The size of a tab's state is bounded, whatever a browser sends."""

import typing
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import reflex as rx
from reflex.state import BaseState

from tests.state.conftest import Person, Server, Tab
from tests.state.event_handlers import FORM_FIELDS, Handler, handlers
from tests.support.installation import Configure

pytestmark = [pytest.mark.thorough]
HANDLERS = handlers()  # before a tab is opened: Reflex gives it the states known at that time
ENTRIES = 20
WARM_UP, ROUNDS = 2, 4
SPARE_BYTES = 4096


@pytest.fixture
def admin(configure: Configure, server: Server, person: Callable[[str], Person]) -> Tab:
    configure(RATE_LIMITS="off")
    return server.tab(person("root").token, address="/admin")


def test_no_handler_lets_its_state_grow_with_what_a_browser_sends(admin: Tab) -> None:
    called = [one for one in HANDLERS if _is_called(one)]
    assert len(called) > 40
    assert any(dict in _kinds(one) for one in called)
    growing = {one.label: grown for one in called if (grown := _growth(admin, one)) > SPARE_BYTES}
    assert not growing
    assert not admin.sent_to.startswith("/login"), "the session has ended, so the rest was refused"


def _growth(tab: Tab, handler: Handler) -> int:
    """Bytes that later calls add after the first ones."""
    for number in range(WARM_UP):
        _send(tab, handler, number)
    before = _size(tab)
    for number in range(WARM_UP, WARM_UP + ROUNDS):
        _send(tab, handler, number)
    return _size(tab) - before


def _is_called(handler: Handler) -> bool:
    ours = handler.state.__module__.startswith("videovault.") and handler.name != "setvar"
    return ours and not handler.is_background and bool(handler.parameters)


def _send(tab: Tab, handler: Handler, number: int) -> None:
    """Send values that were never sent before."""
    values = {name: _value(kind, number) for name, kind in handler.parameters.items()}
    with suppress(KeyError):  # a confirmation that is not open
        tab.send(handler.state, handler.name, **values)


def _kinds(handler: Handler) -> list[Any]:
    return [typing.get_origin(kind) or kind for kind in handler.parameters.values()]


def _value(kind: Any, number: int) -> Any:
    text = f"{number:06}-{'x' * 200}"
    plain = next((one for one in typing.get_args(kind) if one is not type(None)), kind)
    origins = (kind, typing.get_origin(kind), plain, typing.get_origin(plain))
    if dict in origins:
        unknown = {f"{text}-{entry}": text for entry in range(ENTRIES)}
        return unknown | dict.fromkeys(FORM_FIELDS, text)
    if list in origins:
        return [f"{text}-{entry}" for entry in range(ENTRIES)]
    if plain is bool:
        return bool(number % 2)
    return number if plain in (int, float) else text


def _size(tab: Tab) -> int:
    """Bytes of the tab's whole state, as it would be kept for another replica."""
    size: int = tab.server.portal.call(_serialized, tab)
    return size


async def _serialized(tab: Tab) -> int:
    root = await tab.server.states.get_state(rx.BaseStateToken(ident=tab.token, cls=rx.State))
    return _tree(root)


def _tree(state: BaseState) -> int:
    return len(state._serialize()) + sum(map(_tree, state.substates.values()))
