"""What the arguments of an event must be for its handler to be called."""

from typing import Any

import pytest
from reflex_base.registry import RegistrationContext

from tests.state.reflection import Handler, handlers
from videovault.state import page_events

LABELS = {handler.label: handler for handler in handlers()}


def fits(handler: Handler, payload: Any) -> bool:
    registered = RegistrationContext.get().event_handlers[handler.full_name]
    return page_events.fits(registered.handler, payload)


@pytest.mark.parametrize(
    ("label", "payload", "expected"),
    [
        ("State.hydrate", {}, True),
        ("State.hydrate", {"x": 1}, False),
        ("State.hydrate_and_load", {"vars": {"a": 1}, "hashes": ["x"]}, True),
        ("State.hydrate_and_load", {"vars": None}, True),
        ("State.hydrate_and_load", {"vars": [1]}, False),
        ("State.hydrate_and_load", {"hashes": [1]}, False),
        ("State.set_is_hydrated", {"value": True}, True),
        ("State.set_is_hydrated", {"value": "yes"}, False),
        ("AdminAvatarsState.move", {"avatar_id": "a", "by": -1}, True),
        ("AdminAvatarsState.move", {"avatar_id": "a", "by": "-1"}, True),
        ("AdminAvatarsState.move", {"avatar_id": "a", "by": True}, False),
        ("AdminAvatarsState.move", {"avatar_id": "a", "by": "9" * 50}, False),
        ("AdminAvatarsState.move", {"avatar_id": "a", "by": {}}, False),
        ("AdminAvatarsState.move", {"avatar_id": "a"}, False),
        ("AdminAvatarsState.move", {"avatar_id": ["a"], "by": 1}, False),
        ("AdminAvatarsState.save", {"form": {"name": 1}}, True),
        ("AdminAvatarsState.save", {"form": "x"}, False),
        ("AdminAvatarsState.edit", {"avatar_id": "a", "caller": {"is_admin": True}}, False),
    ],
)
def test_arguments_fit_or_not(label: str, payload: dict[str, Any], expected: bool) -> None:
    assert fits(LABELS[label], payload) is expected


def test_every_handler_takes_well_typed_arguments() -> None:
    """Pages send what the signature says; a kind that is not known yet must not keep them out."""
    samples: dict[Any, Any] = {str: "x", int: 1, float: 1.5, bool: True}
    for handler in LABELS.values():
        payload = {name: samples[kind] for name, kind in handler.parameters.items() if kind in samples}
        others: dict[str, Any] = {
            name: [] if "list" in str(kind) else {} if "dict" in str(kind) else None
            for name, kind in handler.parameters.items()
            if kind not in samples
        }
        assert fits(handler, payload | others), handler.label
