"""Looking after processes in tests, by process id."""

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

linux_only = pytest.mark.skipif(
    sys.platform != "linux", reason="reads /proc, or tests what only Linux can do"
)

# Says its own process id and its parent's, then stays.
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


def wait_until_gone(pid: int, seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while is_running(pid):
        assert time.monotonic() < until, f"process {pid} is still running"
        time.sleep(0.05)


async def until(met: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until ``met()``, asked in a thread, is true; raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while True:
            if await asyncio.to_thread(met):
                return
            await asyncio.sleep(0.05)
