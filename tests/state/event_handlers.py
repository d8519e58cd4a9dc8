"""All event handlers that browsers can call, from Reflex's registry, with payloads for them."""

import importlib
import inspect
import pkgutil
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import reflex as rx
from reflex.state import BaseState
from reflex_base.registry import RegistrationContext

import videovault

PACKAGES = ("state", "components", "pages")
OURS = ("videovault.", "reflex.")  # tests have states of their own
# The fields of all forms; handlers ignore unknown ones.
FORM_FIELDS = (
    *("name", "title", "topic", "company_name", "social_handles", "license", "avatar", "avatar_name"),
    *("hook", "body", "conclusion", "tokenName", "scope", "days", "expiresInDays", "mostViews", "email"),
    *("video_id", "videoId", "user_id", "userId", "owner_id", "session_id", "token_id", "is_admin"),
)
HOSTILE_TEXTS = ("", "' OR 1=1; DROP TABLE videos; --", "../../etc/passwd", "\0\u202e\ud7ff", "x" * 2000)
HOSTILE_NUMBERS = (1, 0, -1, 2**63)
# Handlers that need no session, and why.
OPEN = {
    "State.hydrate": "tells a tab what is in it",
    "State.hydrate_and_load": "the same, and calls the handlers of the page, each of which checks its caller",
    "State.set_is_hydrated": "tells a tab that its page has loaded",
    "OnLoadInternalState.on_load_internal": "calls the handlers of the page, each of which checks its caller",
    "OnLoadInternalState.set_is_hydrated": "tells a tab that its page has loaded",
    "UpdateVarsInternalState.update_vars_internal": "sets vars that browsers keep, of which there are none",
    "FrontendEventExceptionState.handle_frontend_exception": "leaves a line in the log",
    "SessionState.show_fault": "shows a sentence in the tab",
    "SessionState.clear_messages": "clears the tab's messages",
    "SessionState.dismiss": "clears the tab's notice",
    "SessionState.go_home": "redirects signed-in users to the create page",
    "SignInState.enter": "reads the address of the sign-in page",
    "SignInState.enter_sign_up": "the same for the sign-up page, and shows who may create an account",
    "SignInState.enter_recovery": "reads the address of the page for a lost password",
    "ProblemState.explain": "reads the address of the page that explains errors",
    "SharePageState.open": "shows a video to anyone who has its key",
}
WITH_SETTER = "is_hydrated"  # the only var
FORGED = {"caller": {"user_id": "", "email": "", "is_admin": True, "session_id": "x"}}


@dataclass(frozen=True)
class Handler:
    state: type[rx.State]
    name: str
    full_name: str
    parameters: Mapping[str, Any]
    is_background: bool

    @property
    def is_for_admins(self) -> bool:
        return self.state.__module__.startswith("videovault.state.admin.")

    @property
    def is_guarded(self) -> bool:
        """Whether it needs a session; a setter sets no var but ``is_hydrated``."""
        return self.label not in OPEN and not self.is_setter

    @property
    def is_setter(self) -> bool:
        """Reflex reports its errors later than others, so it comes last among the handlers of its state."""
        return self.name == "setvar"

    @property
    def label(self) -> str:
        return f"{self.state.__name__}.{self.name}"


def handlers() -> list[Handler]:
    """The handlers of all page modules and of Reflex itself, including setters."""
    for package in PACKAGES:
        within = importlib.import_module(f"{videovault.__name__}.{package}")
        for module in pkgutil.walk_packages(within.__path__, f"{within.__name__}."):
            importlib.import_module(module.name)
    found = [
        _handler(name, registered) for name, registered in RegistrationContext.get().event_handlers.items()
    ]
    ours = (one for one in found if one.state.__module__.startswith(OURS))
    return sorted(ours, key=lambda one: (one.state.get_full_name(), one.is_setter, one.name))


def states() -> set[type[rx.State]]:
    return {handler.state for handler in handlers()}


def payloads(handler: Handler, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Payloads that match the signature, with ids of another user first; then one with too few and one with too many arguments."""
    wanted = {name: _values(handler, name, kind, ids) for name, kind in handler.parameters.items()}
    longest = max((len(values) for values in wanted.values()), default=1)
    made = [{name: values[at % len(values)] for name, values in wanted.items()} for at in range(longest)]
    return [*made, *([{}] if wanted else []), {**made[0], **FORGED}]


def _handler(full_name: str, registered: Any) -> Handler:
    function = registered.handler.fn
    hints = typing.get_type_hints(function)
    names = list(inspect.signature(function).parameters)[1:]
    state = registered.states[0]
    name = full_name.rpartition(".")[2]
    return Handler(
        state, name, full_name, {one: hints.get(one, Any) for one in names}, registered.handler.is_background
    )


def _values(handler: Handler, name: str, kind: Any, ids: Sequence[str]) -> Sequence[Any]:
    if name == "vars":
        return [dict(part) for value in (ids[0], True) for part in _parts(list(_every_var(value)))]
    if name == "var_name":  # inherited ones are named at the state that declares them
        parent = handler.state.get_parent_state()
        own = _names_of_vars(handler.state) - (_names_of_vars(parent) if parent else set())
        return sorted(own | {WITH_SETTER})
    return _of_kind(kind, ids)


def _of_kind(kind: Any, ids: Sequence[str]) -> Sequence[Any]:
    plain = next((one for one in typing.get_args(kind) if one is not type(None)), kind)
    origin = typing.get_origin(kind) if typing.get_origin(kind) in (dict, list) else typing.get_origin(plain)
    if dict in (kind, origin, plain):
        return [dict.fromkeys(FORM_FIELDS, text) for text in (*ids, *HOSTILE_TEXTS)] + [{}]
    if list in (kind, origin, plain):
        return [list(ids), list(HOSTILE_TEXTS), []]
    if plain is bool:
        return [True, False]
    if plain in (int, float):
        return HOSTILE_NUMBERS
    if plain is str:
        return [*ids, *HOSTILE_TEXTS]
    assert kind is Any, f"no example value for {kind}"
    return [*ids, True, {"is_admin": True}, None]


def _parts(entries: list[tuple[str, Any]], most: int = 100) -> Iterator[list[tuple[str, Any]]]:
    """In parts that stay far below the message limit."""
    for start in range(0, len(entries), most):
        yield entries[start : start + most]


def _every_var(value: Any) -> Iterator[tuple[str, Any]]:
    """By the name under which browser storage would send it, with and without Reflex's suffix."""
    for state in states():
        for name in _names_of_vars(state):
            yield f"{state.get_full_name()}.{name}", value
            yield f"{state.get_full_name()}.{name}_rx_state_", value


def _names_of_vars(state: type[BaseState]) -> set[str]:
    return {*state.vars, *state.get_fields()}
