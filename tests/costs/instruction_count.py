"""Counts the work of a call, independently of the machine's load."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

READING_A_LIST = {
    "insert",
    "remove",
    "index",
    "count",
    "sort",
    "reverse",
    "copy",
}  # the others touch one entry


def steps(call: Callable[[], object]) -> int:
    """Bytecode instructions of Python, and for each call of a method written in C the length of its own object.

    So ``text.find(...)`` in a loop counts the whole text each time, as it may read it. Not counted are slices and what
    regular expressions do, which ``patterns`` decides by their form.
    """
    counted = 0

    def length(method: Any) -> int:
        owner = getattr(method, "__self__", None)
        if isinstance(owner, list) and method.__name__ not in READING_A_LIST:
            return 1
        return len(owner) if isinstance(owner, str | bytes | bytearray | list) else 1

    def traced(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal counted
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        counted += event == "opcode"
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
