"""Whether the arguments that a page's event brings are those that its handler takes.

Anybody may send anything by the pages' socket. A handler that is called with other arguments fails deep inside Reflex,
with a lock taken and a traceback in the log, so such a call is turned away before.
"""

import types
import typing
from collections.abc import Mapping
from contextlib import suppress
from inspect import Parameter
from typing import Any

from reflex.event import EventHandler

LONGEST_NUMBER = 40  # characters


def fits(handler: EventHandler, payload: Mapping[str, Any]) -> bool:
    """Whether every argument is there, none is unknown, and each is of the kind that its annotation names."""
    hints = handler._get_type_hints()  # noqa: SLF001 - what Reflex itself reads arguments by
    wanted = list(handler._parameters.values())[1:]  # noqa: SLF001 - as above; the first is the state
    kinds = (Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL)
    named = {one.name: one for one in wanted if one.kind not in kinds}
    if not payload.keys() <= named.keys() and not any(one.kind == Parameter.VAR_KEYWORD for one in wanted):
        return False
    required = {name for name, one in named.items() if one.default is Parameter.empty}
    return required <= payload.keys() and all(
        is_of(value, hints.get(name, Any)) for name, value in payload.items()
    )


def is_of(value: Any, kind: Any) -> bool:
    """Whether a value from JSON is of this kind; an annotation that JSON cannot express is left to the handler."""
    origin, inside = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return any(is_of(value, one) for one in inside)
    if origin in (list, dict):
        held = value.values() if isinstance(value, dict) else value
        return isinstance(value, origin) and (not inside or all(is_of(each, inside[-1]) for each in held))
    if origin in (int, float):
        return _is_number(value, origin)
    return isinstance(value, origin) if origin in (str, bool, types.NoneType) else True


def _is_number(value: Any, kind: type) -> bool:
    """Reflex reads one from a text, too."""
    if isinstance(value, str) and len(value) <= LONGEST_NUMBER:
        with suppress(ValueError):
            return kind(value) is not None
    return isinstance(value, kind | int) and not isinstance(value, bool)
