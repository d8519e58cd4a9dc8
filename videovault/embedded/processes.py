"""This process: its limits, its signals and its end. Its children: restarted when they end, stopped in order at the end."""

import asyncio
import atexit
import logging
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

from videovault import logs
from videovault.config import HEARTBEAT_FD
from videovault.embedded import launch
from videovault.errors import ConfigurationError

RESERVED_FILES = 512  # for the database, S3, webhooks and the files of the pages
DEFAULT_LIMIT = 65_536  # systems without a hard limit do not accept "unlimited" either

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
REPEAT_SECONDS = 1.0  # a signal to the process group also comes from the parent, at almost the same time
READY_SECONDS = 30.0
MIN_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.5, 30.0
STABLE_SECONDS = 60.0  # running for so long resets the backoff
FIRST_HEARTBEAT_SECONDS = 60
MAX_LINE_BYTES = 1 << 20
AGAIN_SECONDS = 1.0  # between two SIGTERM, which a child could otherwise take for one

_stopping: set[Process] = set()
_at_once = threading.Event()

log = logging.getLogger(__name__)


def raise_open_file_limit() -> None:
    """Raise the soft limit of open files to the hard one, for this process and its children."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DEFAULT_LIMIT if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def connection_limit(wanted: int) -> int:
    """``wanted``, or less if the limit of open files is low.

    Half of the files are for requests and half for page sockets; the HTTP server limits only the former.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    return max(64, min(wanted, (soft - RESERVED_FILES) // 2))


def exit_without_teardown() -> None:
    """Flush the logs and end at once, with success.

    During the interpreter's teardown, threads of the HTTP server that call Python are unwound by force, and Rust then aborts
    the process with a panic.
    """
    logs.flush()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # closed, or without a reader
            stream.flush()
    os._exit(0)


def skip_teardown_in_child() -> None:
    """Let the server's child process end this way; its parent ignores the status."""
    if multiprocessing.parent_process() is not None:
        atexit.register(exit_without_teardown)


@contextmanager
def on_stop_signal(
    callback: Callable[[], object],
    repeated: Callable[[], object] = lambda: None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[None]:
    """Call ``callback`` in the running event loop on STOP_SIGNALS, before the existing handler.

    ``repeated`` is called when the same signal comes again, REPEAT_SECONDS or more after the first one. After Ctrl-C this
    process gets both signals: from the terminal, and from its parent.

    The lifespan itself ends only after the last request. The server's handler stays: asyncio's works through the wakeup
    descriptor, which is not changed.
    """
    if threading.current_thread() is not threading.main_thread():  # other threads must not set handlers
        yield
        return
    loop = asyncio.get_running_loop()
    previous = {number: signal.getsignal(number) for number in STOP_SIGNALS}

    first: dict[int, float] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        if number not in first:
            first[number] = clock()
            loop.call_soon_threadsafe(callback)
        elif clock() - first[number] >= REPEAT_SECONDS:
            loop.call_soon_threadsafe(repeated)
        handler = previous[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for number in STOP_SIGNALS:
        _set_handler(number, handle)
    try:
        yield
    finally:
        for number, handler in previous.items():
            _set_handler(number, handler)


def _set_handler(number: signal.Signals, handler: object) -> None:
    signal.signal(number, handler)  # type: ignore[arg-type] # from getsignal
    signal.siginterrupt(number, False)  # as asyncio does: system calls are restarted


def stop_at_once() -> None:
    """Send a second SIGTERM to each child that is waiting for its work to end, also to those that are stopped later."""
    _at_once.set()
    for process in _stopping:
        with suppress(ProcessLookupError):
            process.terminate()


@dataclass(frozen=True)
class ChildProcess:
    """A program to supervise; ``name`` starts sentences in the log, ``argv[0]`` is an absolute path.

    The child is ready once ``port`` on loopback accepts connections, or at once without a port. ``prepare`` runs before
    every start; ``grace`` is the time in seconds between SIGTERM and SIGKILL.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] | None = None
    port: int | None = None
    umask: int = -1
    grace: float = 5.0
    prepare: Callable[[], object] | None = None
    should_log: Callable[[str], bool] | None = None
    """Selects the lines of its stderr for our log; without it, the child writes to our stdout and stderr."""
    silent_seconds: int = 0
    """The child is killed and restarted after so long without a heartbeat on the pipe HEARTBEAT_FD; 0: no heartbeats."""


@asynccontextmanager
async def supervised(child: ChildProcess) -> AsyncIterator[None]:
    """Keep ``child`` running inside the block; it may not be ready yet when the block starts."""
    task = asyncio.create_task(_keep_running(child), name=f"supervise: {child.name}")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def wait_until_ready(child: ChildProcess) -> None:
    """Wait until ``child`` accepts connections; raises ConfigurationError after READY_SECONDS."""
    if child.port is None:
        return
    try:
        async with asyncio.timeout(READY_SECONDS):
            await _accepting(child.port)
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


async def _keep_running(child: ChildProcess) -> None:
    clock = asyncio.get_running_loop().time
    backoff = MIN_BACKOFF_SECONDS
    while True:
        started = clock()
        end = await _run_once(child)
        if clock() - started > STABLE_SECONDS:
            backoff = MIN_BACKOFF_SECONDS
        log.warning("%s %s; restarting it in %.1f s.", child.name, end, backoff)
        await asyncio.sleep(backoff)
        backoff = min(backoff * 2, MAX_BACKOFF_SECONDS)


async def _run_once(child: ChildProcess) -> str:
    """Run ``child`` until it ends and return how it ended; stop it when cancelled."""
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
        return _describe_end(await process.wait())
    finally:
        watch.cancel()
        await asyncio.wait([watch])
        await _stop(process, child)
        await relay


async def _kill_when_hung(process: Process, child: ChildProcess, heartbeats: int) -> None:
    if not child.silent_seconds:
        return
    loop = asyncio.get_running_loop()
    silent, limit = 0, FIRST_HEARTBEAT_SECONDS

    def on_heartbeat() -> None:
        nonlocal silent, limit
        silent, limit = 0, child.silent_seconds
        if not os.read(heartbeats, 4096):  # the child has closed the pipe and is ending
            loop.remove_reader(heartbeats)

    loop.add_reader(heartbeats, on_heartbeat)
    try:
        while silent < limit:
            # Counted, not measured: a suspended machine must not look like a silent child.
            await asyncio.sleep(1)
            silent += 1
    finally:
        loop.remove_reader(heartbeats)
        _close(heartbeats)
    log.error("%s has sent no heartbeat for %d s and is killed.", child.name, limit)
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
        limit=MAX_LINE_BYTES,
        start_new_session=True,  # Ctrl-C reaches the app only, which then stops its children in order
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
    """Send SIGTERM to the process and, after its end or the grace period, SIGKILL to the rest of its group."""
    with suppress(ProcessLookupError):
        process.terminate()
    _stopping.add(process)
    try:
        async with asyncio.timeout(
            child.grace
        ):  # wait_for loses a cancellation if the process ends meanwhile
            if _at_once.is_set():
                await _terminate_again(process)
            await process.wait()
    except TimeoutError:
        log.warning("%s did not stop within %.0f s and is killed.", child.name, child.grace)
    finally:
        _stopping.discard(process)
    with suppress(ProcessLookupError, PermissionError):  # macOS refuses if only zombies are left
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


async def _terminate_again(process: Process) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(AGAIN_SECONDS):
            await process.wait()
    with suppress(ProcessLookupError):
        process.terminate()


def _describe_end(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
