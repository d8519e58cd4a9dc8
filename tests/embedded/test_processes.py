"""Supervised child processes: restarted, stopped with everything they started, killed when they hang."""

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.embedded.processes import is_running, linux_only, wait_until, wait_until_gone
from tests.support.app import free_port
from tests.support.waiting import HANG_SECONDS
from videovault.embedded import processes
from videovault.embedded.processes import (
    REPEAT_SECONDS,
    ChildProcess,
    on_stop_signal,
    supervised,
    wait_until_ready,
)
from videovault.errors import ConfigurationError

pytestmark = pytest.mark.process

# Appends its process id to the file given as argument.
WRITES_PID = "import os, sys; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n');"

# Appends its process id to the file given as argument, and sends a heartbeat every tenth of a second.
BEATS = """
import os, sys, time
open(sys.argv[1], 'a').write(f'{os.getpid()}\\n')
pipe = int(os.environ['VIDEOVAULT_HEARTBEAT_FD'])
while True:
    os.write(pipe, b'.')
    time.sleep(0.1)
"""


def _program(code: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", code, *map(str, arguments)]


def _pids(file: Path) -> list[int]:
    return [int(line) for line in file.read_text().splitlines()] if file.exists() else []


async def _pid_number(number: int, file: Path) -> int:
    """The process id of the ``number``-th start, counted from 1."""
    await wait_until(lambda: len(_pids(file)) >= number)
    return _pids(file)[number - 1]


def _supervise(child: ChildProcess, use: Callable[[], Awaitable[object]]) -> None:
    async def main() -> None:
        async with supervised(child):
            await use()

    asyncio.run(main())


@linux_only
def test_a_killed_child_is_restarted_and_ends_with_the_block(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    child = ChildProcess("The sleeper", _program(WRITES_PID + "import time; time.sleep(600)", file))

    async def kill_it() -> None:
        os.kill(await _pid_number(1, file), signal.SIGKILL)
        await _pid_number(2, file)

    _supervise(child, kill_it)
    first, second = _pids(file)
    assert not is_running(first)
    assert not is_running(second)


def test_a_child_that_keeps_failing_is_restarted_with_backoff(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(processes, "MIN_BACKOFF_SECONDS", 0.1)
    monkeypatch.setattr(processes, "MAX_BACKOFF_SECONDS", 0.2)
    file = tmp_path / "pids"
    child = ChildProcess("The failing part", _program(WRITES_PID + "sys.exit(3)", file))

    _supervise(child, lambda: _pid_number(4, file))
    messages = [record.getMessage() for record in caplog.records]
    assert [message for message in messages if message.startswith("The failing part")][:3] == [
        "The failing part ended with exit code 3; restarting it in 0.1 s.",
        "The failing part ended with exit code 3; restarting it in 0.2 s.",
        "The failing part ended with exit code 3; restarting it in 0.2 s.",
    ]


@linux_only
def test_a_child_that_ignores_sigterm_is_killed_with_its_children(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    grandchild = "import signal, subprocess; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    sleeps = WRITES_PID + "import time; time.sleep(600)"
    starts = f"subprocess.Popen([sys.executable, '-c', {sleeps!r}, sys.argv[1]]);"
    child = ChildProcess(
        "The stubborn part", _program(grandchild + WRITES_PID + starts + sleeps, file), grace=0.5
    )

    _supervise(child, lambda: _pid_number(2, file))
    for pid in _pids(file):
        wait_until_gone(pid)


def test_a_stopped_child_has_time_to_finish_its_work(tmp_path: Path) -> None:
    file, done = tmp_path / "pids", tmp_path / "done"
    code = (
        "import signal, time;"
        "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.5), open(sys.argv[2], 'w').close(), sys.exit()));"
    )
    program = _program("import sys;" + code + WRITES_PID + "time.sleep(600)", file, done)

    _supervise(ChildProcess("The worker", program, grace=30), lambda: _pid_number(1, file))
    assert done.exists()


@pytest.mark.parametrize("is_early", [False, True], ids=["while it stops", "while requests end"])
def test_a_second_signal_ends_a_child_that_is_finishing_its_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_early: bool
) -> None:
    """The child ends at once on its second SIGTERM, as the worker does."""
    monkeypatch.setattr(processes, "_at_once", threading.Event())
    file = tmp_path / "pids"
    patient = (
        "import signal, time\n"
        "again = lambda *_: os._exit(0)\n"
        "def finish(*_):\n"
        "    signal.signal(signal.SIGTERM, again)\n"
        "    open(sys.argv[1] + '.stopping', 'w').close()\n"
        "signal.signal(signal.SIGTERM, finish)\n"
    )
    program = _program(f"import os, sys\n{patient}{WRITES_PID}\nwhile True: time.sleep(1)", file)
    stopping = tmp_path / "pids.stopping"

    async def main() -> None:
        running = supervised(ChildProcess("The worker", program, grace=3600))
        await running.__aenter__()
        await _pid_number(1, file)
        if is_early:
            processes.stop_at_once()
        end = asyncio.create_task(running.__aexit__(None, None, None))
        await wait_until(stopping.exists)
        if not is_early:
            processes.stop_at_once()
        await end

    asyncio.run(main())


def test_a_child_that_cannot_be_started_is_logged_and_retried(caplog: pytest.LogCaptureFixture) -> None:
    tries = []

    def prepare() -> None:
        tries.append(1)
        raise PermissionError(13, "Permission denied", "var/s3")

    _supervise(
        ChildProcess("The S3", ["/nowhere"], prepare=prepare), lambda: wait_until(lambda: len(tries) > 1)
    )
    assert caplog.records[0].getMessage().startswith("The S3 could not be started ([Errno 13] Permission")


def test_ready_waits_until_the_port_accepts() -> None:
    port = free_port()
    code = "import socket, sys, time; time.sleep(0.5); s = socket.create_server(('127.0.0.1', int(sys.argv[1])));"
    child = ChildProcess("The server", _program(code + "time.sleep(600)", port), port=port)

    async def connect() -> None:
        await wait_until_ready(child)
        with socket.create_connection(("127.0.0.1", port)):
            pass

    _supervise(child, connect)


def test_the_error_for_a_server_that_does_not_start_has_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "READY_SECONDS", 0.3)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but not listening
        child = ChildProcess("The S3", ["/bin/s3", "serve"], port=taken.getsockname()[1])
        with pytest.raises(ConfigurationError, match=r"The S3 did not accept .* by hand: /bin/s3 serve"):
            asyncio.run(wait_until_ready(child))


def test_selected_lines_of_stderr_reach_the_log(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    file = tmp_path / "pids"
    says = "print('disk full', file=sys.stderr); print('chatter', file=sys.stderr); sys.stderr.flush();"
    child = ChildProcess(
        "The S3",
        _program("import sys;" + says + WRITES_PID + "import time; time.sleep(600)", file),
        should_log=lambda line: line != "chatter",
    )

    with caplog.at_level(logging.WARNING):
        _supervise(child, lambda: _pid_number(1, file))
    assert [record.getMessage() for record in caplog.records] == ["The S3: disk full"]


@linux_only
def test_a_hung_child_is_killed_and_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
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
    messages = [record.getMessage() for record in caplog.records]  # threads of other tests may log meanwhile
    assert "The worker has sent no heartbeat for 3 s and is killed." in messages
    assert not any(map(is_running, _pids(file)))


@linux_only
def test_a_child_that_sends_heartbeats_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    child = ChildProcess("The worker", [sys.executable, "-c", BEATS, str(file)], silent_seconds=3)

    async def wait() -> None:
        async with supervised(child):
            await wait_until(lambda: len(_pids(file)) == 1)
            await asyncio.sleep(5)

    asyncio.run(wait())
    assert len(_pids(file)) == 1


@linux_only
def test_a_supervised_child_leaves_no_pipe_open(tmp_path: Path) -> None:
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
    except OSError:  # the descriptor of the listing itself
        return ""


# Like granian: its own handler in the event loop decides when it ends.
SERVER = """
import asyncio, signal
from videovault.embedded.processes import on_stop_signal
async def main():
    called, stopped = asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    with on_stop_signal(called.set):
        print("ready", flush=True)
        await called.wait()
        print("called", flush=True)
        await stopped.wait()
        print("stopped", flush=True)
asyncio.run(main())
"""


def test_both_handlers_are_called() -> None:
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        assert server.stdout.readline() == "ready\n"
        server.send_signal(signal.SIGTERM)
        assert server.communicate(timeout=HANG_SECONDS)[0] == "called\nstopped\n"
    assert server.returncode == 0


def test_only_the_same_signal_after_a_second_counts_as_repeated() -> None:
    """The child of the server gets a signal to the process group from its parent, too, and after Ctrl-C both signals."""
    calls: list[str] = []
    now = [1000.0]

    async def use() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        with on_stop_signal(lambda: calls.append("first"), lambda: calls.append("again"), lambda: now[0]):
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGTERM):
                signal.raise_signal(number)
            await asyncio.sleep(0)
            assert calls == ["first", "first"]
            now[0] += REPEAT_SECONDS
            signal.raise_signal(signal.SIGTERM)
            await asyncio.sleep(0)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        asyncio.run(use())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert calls == ["first", "first", "again"]


def test_handlers_are_restored_afterwards() -> None:
    async def use() -> None:
        with on_stop_signal(lambda: None):
            assert signal.getsignal(signal.SIGTERM) != before

    before = signal.getsignal(signal.SIGTERM)
    asyncio.run(use())
    assert signal.getsignal(signal.SIGTERM) == before


def test_outside_the_main_thread_no_handler_is_set() -> None:
    async def use() -> None:
        with on_stop_signal(lambda: None):
            assert signal.getsignal(signal.SIGTERM) == before

    before = signal.getsignal(signal.SIGTERM)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(use())
        except BaseException as error:  # noqa: BLE001 - reported in the main thread
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        pytest.fail(repr(failures))
