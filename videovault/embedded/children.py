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

log = logging.getLogger(__name__)

READY_SECONDS = 30.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0
SETTLED_SECONDS = 60.0
LONGEST_LINE = 1 << 20


@dataclass(frozen=True)
class Child:
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
    worth_logging: Callable[[str], bool] | None = None
    """Chooses the lines of its stderr that reach our log; without it, it writes to our stdout and stderr."""


@asynccontextmanager
async def kept_alive(child: Child) -> AsyncIterator[None]:
    """Keep ``child`` running for the length of the block; it may not be ready yet when the block begins."""
    keeper = asyncio.create_task(_keep_alive(child), name=f"keep alive: {child.name}")
    try:
        yield
    finally:
        keeper.cancel()
        await asyncio.wait([keeper])


async def ready(child: Child) -> None:
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


async def _keep_alive(child: Child) -> None:
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


async def _run_once(child: Child) -> str:
    """Run ``child`` to its end, which is told in words; stop it when cancelled."""
    try:
        if child.prepare:
            await asyncio.to_thread(child.prepare)
        process = await _spawn(child)
    except OSError as error:
        return f"could not be started ({error})"
    relay = asyncio.create_task(_relay(process, child))
    try:
        return _in_words(await process.wait())
    finally:
        await _stop(process, child)
        await relay


async def _spawn(child: Child) -> Process:
    return await asyncio.create_subprocess_exec(
        *launch.command(child.argv),
        env=child.env,
        stdin=DEVNULL,
        stderr=PIPE if child.worth_logging else None,
        limit=LONGEST_LINE,
        start_new_session=True,  # Ctrl-C in the terminal is for the app, which then stops its children in order
        umask=child.umask,
    )


async def _relay(process: Process, child: Child) -> None:
    if process.stderr is None or child.worth_logging is None:
        return
    while line := await process.stderr.readline():
        text = line.decode(errors="replace").strip()
        if text and child.worth_logging(text):
            log.warning("%s: %s", child.name, text)


async def _stop(process: Process, child: Child) -> None:
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
