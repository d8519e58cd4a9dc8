"""Child processes that are kept alive: started again when they end, stopped in order when the app stops."""

import asyncio
import logging
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from videovault.embedded import launch
from videovault.errors import ConfigurationError
from videovault.worker import HEARTBEAT_FD

log = logging.getLogger(__name__)

READY_SECONDS = 30.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0
SETTLED_SECONDS = 60.0
START_SECONDS = 60  # until the first heartbeat
LONGEST_LINE = 1 << 20


@dataclass(frozen=True)
class ChildProcess:
    """A program to keep alive; ``name`` begins sentences in the log, ``argv[0]`` is an absolute path.

    ``port`` on loopback accepts connections once the child is ready (none: it is ready at once);
    ``prepare`` runs before every start; ``grace`` seconds are left to it between SIGTERM and SIGKILL.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] | None = None
    port: int | None = None
    umask: int = -1
    grace: float = 5.0
    prepare: Callable[[], object] | None = None
    should_log: Callable[[str], bool] | None = None
    """Chooses the lines of its stderr that reach our log; without it, it writes to our stdout and stderr."""
    silent_seconds: int = 0
    """Killed and replaced when it has written nothing for so long to the pipe that HEARTBEAT_FD names; 0: it has none."""


@asynccontextmanager
async def supervised(child: ChildProcess) -> AsyncIterator[None]:
    """Keep ``child`` running for the length of the block; it may not be ready yet when the block begins."""
    keeper = asyncio.create_task(_keep_alive(child), name=f"keep alive: {child.name}")
    try:
        yield
    finally:
        keeper.cancel()
        await asyncio.wait([keeper])


async def wait_until_ready(child: ChildProcess) -> None:
    """Wait until ``child`` accepts connections; raises ConfigurationError after READY_SECONDS."""
    if child.port is None:
        return
    try:
        await asyncio.wait_for(_accepting(child.port), READY_SECONDS)
    except TimeoutError as error:
        raise ConfigurationError(
            f"{child.name} did not accept connections on 127.0.0.1:{child.port} within {READY_SECONDS:.0f} s. "
            "The lines above say why, or run it by hand: " + " ".join(child.argv)
        ) from error


async def _accepting(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


async def _keep_alive(child: ChildProcess) -> None:
    clock = asyncio.get_running_loop().time
    pause = FIRST_PAUSE_SECONDS
    while True:
        started = clock()
        end = await _run_once(child)
        if clock() - started > SETTLED_SECONDS:
            pause = FIRST_PAUSE_SECONDS
        log.warning("%s %s; it is started again in %.1f s.", child.name, end, pause)
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


async def _run_once(child: ChildProcess) -> str:
    """Run ``child`` to its end, which is told in words; stop it when cancelled."""
    heartbeats, written = os.pipe() if child.silent_seconds else (-1, -1)
    try:
        if child.prepare:
            await asyncio.to_thread(child.prepare)
        process = await _spawn(child, written)
    except OSError as error:
        _close(heartbeats)
        return f"could not be started ({error})"
    finally:
        _close(written)
    relay = asyncio.create_task(_relay(process, child))
    watch = asyncio.create_task(_kill_when_hung(process, child, heartbeats))
    try:
        return _in_words(await process.wait())
    finally:
        watch.cancel()
        await asyncio.wait([watch])
        await _stop(process, child)
        await relay


async def _kill_when_hung(process: Process, child: ChildProcess, heartbeats: int) -> None:
    if not child.silent_seconds:
        return
    loop = asyncio.get_running_loop()
    silent, patience = 0, START_SECONDS

    def hear() -> None:
        nonlocal silent, patience
        silent, patience = 0, child.silent_seconds
        if not os.read(heartbeats, 4096):  # it has closed the pipe, and ends
            loop.remove_reader(heartbeats)

    loop.add_reader(heartbeats, hear)
    try:
        while silent < patience:
            # Counted, not measured: where all processes of the machine were paused, that is one second.
            await asyncio.sleep(1)
            silent += 1
    finally:
        loop.remove_reader(heartbeats)
        _close(heartbeats)
    log.error("%s has not been heard of for %d s: it hangs, and is killed.", child.name, patience)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)


async def _spawn(child: ChildProcess, heartbeats: int) -> Process:
    watched = heartbeats >= 0
    env = {**(os.environ if child.env is None else child.env), HEARTBEAT_FD: str(heartbeats)}
    return await asyncio.create_subprocess_exec(
        *launch.command(child.argv),
        env=env if watched else child.env,
        pass_fds=(heartbeats,) if watched else (),
        stdin=DEVNULL,
        stderr=PIPE if child.should_log else None,
        limit=LONGEST_LINE,
        start_new_session=True,  # Ctrl-C in the terminal is for the app, which then stops its children in order
        umask=child.umask,
    )


async def _relay(process: Process, child: ChildProcess) -> None:
    if process.stderr is None or child.should_log is None:
        return
    while line := await process.stderr.readline():
        text = line.decode(errors="replace").strip()
        if text and child.should_log(text):
            log.warning("%s: %s", child.name, text)


async def _stop(process: Process, child: ChildProcess) -> None:
    """SIGTERM to the process; after its end or the grace, SIGKILL to whatever is left of its group."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), child.grace)
    except TimeoutError:
        log.warning("%s did not stop within %.0f s and is killed.", child.name, child.grace)
    with suppress(ProcessLookupError, PermissionError):  # macOS refuses where only zombies are left
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _in_words(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
