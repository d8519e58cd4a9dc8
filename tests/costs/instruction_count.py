"""Counts the work of a call, independently of the machine's load."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

# The other methods of a list touch one entry.
READING_A_LIST = {"insert", "remove", "index", "count", "sort", "reverse", "copy"}


def steps(call: Callable[[], object]) -> int:
    """Lines of Python, each run of a loop's body included, and for each call of a method in C the length of its object.

    So ``text.find(...)`` in a loop counts the whole text each time, as it may read it. Not counted are slices and what
    regular expressions do, which ``patterns`` decides by their form.
    """
    counted = 0

    def length(method: Any) -> int:
        owner = getattr(method, "__self__", None)
        if isinstance(owner, list) and method.__name__ not in READING_A_LIST:
            return 1
        return len(owner) if isinstance(owner, str | bytes | bytearray | list) else 1

    def traced(_frame: FrameType, _event: str, _argument: Any) -> Any:
        nonlocal counted
        counted += 1
        return traced

    def profiled(_frame: FrameType, event: str, argument: Any) -> None:
        nonlocal counted
        if event == "c_call":
            counted += length(argument)

    tracing, profiling = sys.gettrace(), sys.getprofile()
    sys.settrace(traced)
    sys.setprofile(profiled)
    try:
        call()
    finally:
        sys.setprofile(profiling)
        sys.settrace(tracing)
    return counted
