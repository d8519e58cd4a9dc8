"""A stop signal reaches the lifespan and the server's own handler."""

import asyncio
import signal
import subprocess
import sys
import threading

import pytest

from tests.support.waiting import HANG_SECONDS
from videovault.embedded.process import REPEAT_SECONDS, on_stop_signal

pytestmark = pytest.mark.process

# Like granian: its own handler in the event loop decides when it ends.
SERVER = """
import asyncio, signal
from videovault.embedded.process import on_stop_signal
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
