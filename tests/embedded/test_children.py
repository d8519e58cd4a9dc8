"""Programs that are kept alive, and stopped with everything they started."""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.embedded.processes import is_running, linux_only, wait_until, wait_until_gone
from videovault.embedded import child_process
from videovault.embedded.child_process import ChildProcess, supervised, wait_until_ready
from videovault.errors import ConfigurationError

pytestmark = pytest.mark.process

# Writes its process id into the file that is its argument, a line for each start.
WRITES_PID = "import os, sys; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n');"


def _program(code: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", code, *map(str, arguments)]


def _pids(file: Path) -> list[int]:
    return [int(line) for line in file.read_text().splitlines()] if file.exists() else []


async def _pid_number(number: int, file: Path) -> int:
    """The process id that was written at the ``number``-th start, counted from 1."""
    await wait_until(lambda: len(_pids(file)) >= number)
    return _pids(file)[number - 1]


async def _within(child: ChildProcess, use: Callable[[], Awaitable[None]]) -> None:
    async with supervised(child):
        await use()


@linux_only
def test_a_killed_child_comes_back_and_is_gone_after_the_end(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    child = ChildProcess("The sleeper", _program(WRITES_PID + "import time; time.sleep(600)", file))

    async def kill_it() -> None:
        os.kill(await _pid_number(1, file), signal.SIGKILL)
        await _pid_number(2, file)

    asyncio.run(_within(child, kill_it))
    first, second = _pids(file)
    assert not is_running(first)
    assert not is_running(second)


def test_a_child_that_fails_again_and_again_is_started_after_growing_pauses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(child_process, "FIRST_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(child_process, "LONGEST_PAUSE_SECONDS", 0.2)
    file = tmp_path / "pids"
    child = ChildProcess("The failing part", _program(WRITES_PID + "sys.exit(3)", file))

    async def wait() -> None:
        await _pid_number(4, file)

    asyncio.run(_within(child, wait))
    assert [record.getMessage() for record in caplog.records][:3] == [
        "The failing part ended with exit code 3; it is started again in 0.1 s.",
        "The failing part ended with exit code 3; it is started again in 0.2 s.",
        "The failing part ended with exit code 3; it is started again in 0.2 s.",
    ]


@linux_only
def test_a_child_that_ignores_sigterm_is_killed_with_all_it_started(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    grandchild = "import signal, subprocess; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    sleeps = WRITES_PID + "import time; time.sleep(600)"
    starts = f"subprocess.Popen([sys.executable, '-c', {sleeps!r}, sys.argv[1]]);"
    child = ChildProcess(
        "The stubborn part", _program(grandchild + WRITES_PID + starts + sleeps, file), grace=0.5
    )

    async def wait() -> None:
        await _pid_number(2, file)

    asyncio.run(_within(child, wait))
    for pid in _pids(file):
        wait_until_gone(pid)


def test_a_child_may_finish_its_work_when_it_is_stopped(tmp_path: Path) -> None:
    file, done = tmp_path / "pids", tmp_path / "done"
    code = (
        "import signal, time;"
        "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.5), open(sys.argv[2], 'w').close(), sys.exit()));"
    )
    program = _program("import sys;" + code + WRITES_PID + "time.sleep(600)", file, done)

    async def wait() -> None:
        await _pid_number(1, file)

    asyncio.run(_within(ChildProcess("The worker", program, grace=30), wait))
    assert done.exists()


def test_what_cannot_be_started_is_told_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    tries = []

    def prepare() -> None:
        tries.append(1)
        raise PermissionError(13, "Permission denied", "var/s3")

    async def wait() -> None:
        await wait_until(lambda: len(tries) > 1)

    asyncio.run(_within(ChildProcess("The S3", ["/nowhere"], prepare=prepare), wait))
    assert caplog.records[0].getMessage().startswith("The S3 could not be started ([Errno 13] Permission")


def test_ready_waits_until_the_port_accepts() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code = "import socket, sys, time; time.sleep(0.5); s = socket.create_server(('127.0.0.1', int(sys.argv[1])));"
    child = ChildProcess("The server", _program(code + "time.sleep(600)", port), port=port)

    async def connect() -> None:
        await wait_until_ready(child)
        with socket.create_connection(("127.0.0.1", port)):
            pass

    asyncio.run(_within(child, connect))


def test_a_server_that_does_not_come_up_is_told_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_process, "READY_SECONDS", 0.3)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        child = ChildProcess("The S3", ["/bin/s3", "serve"], port=taken.getsockname()[1])
        with pytest.raises(ConfigurationError, match=r"The S3 did not accept .* by hand: /bin/s3 serve"):
            asyncio.run(wait_until_ready(child))


def test_lines_worth_it_reach_the_log(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    file = tmp_path / "pids"
    says = "print('disk full', file=sys.stderr); print('chatter', file=sys.stderr); sys.stderr.flush();"
    child = ChildProcess(
        "The S3",
        _program("import sys;" + says + WRITES_PID + "import time; time.sleep(600)", file),
        should_log=lambda line: line != "chatter",
    )

    async def wait() -> None:
        await _pid_number(1, file)

    with caplog.at_level(logging.WARNING):
        asyncio.run(_within(child, wait))
    assert [record.getMessage() for record in caplog.records] == ["The S3: disk full"]
