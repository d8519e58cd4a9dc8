"""A program that hangs is noticed by the silence of its heartbeats, killed and replaced."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.embedded.processes import is_running, linux_only, wait_until
from videovault.embedded.child_process import ChildProcess, supervised

# Writes its process id into the file that is its argument, and a heartbeat every tenth of a second.
BEATS = """
import os, sys, time
open(sys.argv[1], 'a').write(f'{os.getpid()}\\n')
pipe = int(os.environ['VIDEOVAULT_HEARTBEAT_FD'])
while True:
    os.write(pipe, b'.')
    time.sleep(0.1)
"""


def _pids(file: Path) -> list[int]:
    return [int(line) for line in file.read_text().splitlines()] if file.exists() else []


@linux_only
def test_a_stopped_child_is_killed_and_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "pids"
    child = ChildProcess("The worker", [sys.executable, "-c", BEATS, str(file)], silent_seconds=3)

    async def stop_it() -> None:
        async with supervised(child):
            await wait_until(lambda: len(_pids(file)) == 1)
            await asyncio.sleep(0.5)  # it has sent heartbeats
            os.kill(_pids(file)[0], signal.SIGSTOP)
            await wait_until(lambda: len(_pids(file)) == 2)
            assert not is_running(_pids(file)[0])
            assert is_running(_pids(file)[1])

    asyncio.run(stop_it())
    said = [record.getMessage() for record in caplog.records]  # threads of other tests may log meanwhile
    assert "The worker has not been heard of for 3 s: it hangs, and is killed." in said
    assert not any(map(is_running, _pids(file)))


@linux_only
def test_a_child_that_beats_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    child = ChildProcess("The worker", [sys.executable, "-c", BEATS, str(file)], silent_seconds=3)

    async def wait() -> None:
        async with supervised(child):
            await wait_until(lambda: len(_pids(file)) == 1)
            await asyncio.sleep(5)

    asyncio.run(wait())
    assert len(_pids(file)) == 1


@linux_only
def test_a_watched_child_leaves_no_pipe_behind(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    code = "import sys; open(sys.argv[1], 'a').write('1\\n')"
    child = ChildProcess("The worker", [sys.executable, "-c", code, str(file)], silent_seconds=3)

    async def run() -> int:
        async with supervised(child):
            await wait_until(lambda: len(_pids(file)) == 3)
        return _open_pipes()

    before = _open_pipes()
    assert asyncio.run(run()) <= before


def _open_pipes() -> int:
    return sum("pipe:" in _target(link) for link in Path("/proc/self/fd").iterdir())


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:  # it was the listing's own
        return ""
