"""Processes in tests, by process id."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.waiting import eventually

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc or a feature of Linux")

# Prints its process id and its parent's, then sleeps.
SLEEPER = [
    sys.executable,
    "-c",
    "import os, time; print(os.getpid(), os.getppid(), flush=True); time.sleep(600)",
]


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_until_gone(pid: int) -> None:
    eventually(lambda: not is_running(pid), lambda: f"process {pid} is still running")


async def wait_until(met: Callable[[], bool]) -> None:
    """``eventually`` without blocking the event loop."""
    await asyncio.to_thread(eventually, met)
