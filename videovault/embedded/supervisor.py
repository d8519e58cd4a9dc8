"""Runs the embedded processes: for the web process the embedded S3, the studio and one worker, for a command the S3.

Of several web processes on one DATA_DIR exactly one has them. A command uses the running app's S3, or starts its own.
"""

import asyncio
import fcntl
import logging
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    nullcontext,
    suppress,
)
from typing import IO

from videovault import installation
from videovault.config import Settings, settings
from videovault.embedded import launch, s3
from videovault.embedded.processes import ChildProcess, supervised, wait_until_ready
from videovault.errors import ConfigurationError
from videovault.gateways.studio import KEY_VARIABLE

log = logging.getLogger(__name__)

LOCK_FILE = "embedded.lock"
LOCK_WAIT_SECONDS = 10.0
WORKER_GRACE_SECONDS = 20.0  # beyond the calls of generators
WORKER_SILENT_SECONDS = 20  # the duration of its leases
S3_START_SECONDS = 30.0  # for a command
S3_STOP_SECONDS = 30.0


@asynccontextmanager
async def embedded_processes() -> AsyncIterator[None]:
    """Lifespan of the web process: the processes that its settings call for run, and are ready, inside the block.

    If another web process has them, the block starts without them and takes over when that one ends. Raises
    ConfigurationError when one cannot be started.
    """
    _end_with_server()
    data_dir = settings().data_dir
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / LOCK_FILE).open("w") as lock:
        if await _locked(lock, LOCK_WAIT_SECONDS):
            async with _own_processes():
                yield
        else:
            log.info("Another process serves %s and runs its S3, studio and worker.", data_dir)
            async with _taking_over(lock):
                yield


@asynccontextmanager
async def running_processes(children: list[ChildProcess]) -> AsyncIterator[None]:
    """Supervise ``children`` in the block. Of those with a port the first one, the S3 if it is embedded, is ready then.

    Those without a port start once all others are ready. The app need not wait for that: calls of a generator that does
    not accept connections yet are repeated.
    """
    servers = [child for child in children if child.port]
    others = [child for child in children if child not in servers]
    async with AsyncExitStack() as stack:
        for child in servers:
            await stack.enter_async_context(supervised(child))
        for child in servers[:1]:
            await wait_until_ready(child)
        starting = asyncio.create_task(_run_after(servers[1:], others), name="start the other processes")
        try:
            yield
        finally:
            starting.cancel()
            await asyncio.wait([starting])


async def _run_after(servers: list[ChildProcess], children: list[ChildProcess]) -> None:
    """Supervise ``children`` until cancelled, once ``servers`` are ready or have had the time to be."""
    for server in servers:
        try:
            await wait_until_ready(server)
        except ConfigurationError as error:
            log.error("%s", error.public_message)  # noqa: TRY400 - the message says what to do
    async with AsyncExitStack() as stack:
        for child in children:
            await stack.enter_async_context(supervised(child))
        await asyncio.Event().wait()


def processes_for(config: Settings) -> list[ChildProcess]:
    """The processes that ``config`` calls for, in starting order; raises ConfigurationError when rclone is missing."""
    processes = []
    if config.uses_embedded_s3:
        processes.append(s3.server_process(config.data_dir, config.installation))
    if config.uses_embedded_studio:
        processes.append(_studio(config))
    if config.workers:
        worker = [sys.executable, "-m", "videovault", "worker"]
        grace = config.webhook_timeout_seconds + WORKER_GRACE_SECONDS
        processes.append(
            ChildProcess("The worker", worker, grace=grace, silent_seconds=WORKER_SILENT_SECONDS)
        )
    return processes


@contextmanager
def s3_available() -> Iterator[None]:
    """Inside the block the bucket can be used. Raises ConfigurationError when the embedded S3 does not start."""
    if not settings().uses_embedded_s3:
        yield
        return
    with _holding_lock() as is_locked:
        if is_locked:
            with _s3_started():
                yield
        else:  # the app is running
            _wait_for_s3(None)
            yield


@contextmanager
def exclusive_data_dir() -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Inside the block no app uses DATA_DIR; the returned function starts the embedded S3 if it is configured.

    Raises ConfigurationError when the app is running.
    """
    with _holding_lock() as is_locked:
        if not is_locked:
            raise ConfigurationError(
                f"VideoVault is running with this DATA_DIR ({settings().data_dir}): stop it first."
            )
        yield lambda: _s3_started() if settings().uses_embedded_s3 else nullcontext()


def app_is_running() -> bool:
    """Whether a web process of this machine uses DATA_DIR."""
    file = settings().data_dir / LOCK_FILE
    if not file.exists():
        return False
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _studio(config: Settings) -> ChildProcess:
    port = config.installation.studio_port
    folder = config.data_dir / "studio"
    program = [sys.executable, "-m", "videovault.embedded.studio"]
    options = ["--port", str(port), "--data-dir", str(folder), "--mode", config.studio_mode]
    options += ["--callback", config.status_callback_url]
    env = {**_without_settings(), KEY_VARIABLE: config.installation.studio_key}
    return ChildProcess("The embedded studio", program + options, env=env, port=port)


def _without_settings() -> dict[str, str]:
    """The environment for a program that reads untrusted input and needs none of our settings and secrets."""
    ours = {name.upper() for name in Settings.model_fields}
    return {
        name: value for name, value in os.environ.items() if name.upper() not in ours and "AWS_" not in name
    }


@asynccontextmanager
async def _own_processes() -> AsyncIterator[None]:
    await asyncio.to_thread(installation.load_with_free_ports, settings().data_dir)
    settings.cache_clear()  # this process needs the new ports too
    async with running_processes(processes_for(settings())):
        yield


@asynccontextmanager
async def _taking_over(lock: IO[str]) -> AsyncIterator[None]:
    """Wait in the background until the other process has ended, then run the processes here."""
    task = asyncio.create_task(_take_over(lock), name="take over the embedded processes")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _take_over(lock: IO[str]) -> None:
    await _locked(lock, float("inf"))
    log.info("The other process has ended: starting S3, studio and worker here.")
    try:
        async with _own_processes():
            await asyncio.Event().wait()
    except Exception:
        log.exception("The embedded processes could not be taken over; restart the app.")


async def _locked(lock: IO[str], seconds: float) -> bool:
    """Try for some seconds: a process that is being replaced needs a moment to release the lock."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if clock() >= deadline:
                return False
            await asyncio.sleep(0.2)
        else:
            return True


def _end_with_server() -> None:
    """After a SIGKILL of granian's main process, this child of it would continue to serve."""
    server = multiprocessing.parent_process()
    if server is not None and server.pid and sys.platform == "linux":
        launch.end_with_parent(server.pid)


@contextmanager
def _holding_lock() -> Iterator[bool]:
    """Whether this process holds the app's lock inside the block."""
    data_dir = settings().data_dir
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (data_dir / LOCK_FILE).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


@contextmanager
def _s3_started() -> Iterator[None]:
    installation.load_with_free_ports(settings().data_dir)
    settings.cache_clear()
    with _own_s3():
        yield


@contextmanager
def _own_s3() -> Iterator[None]:
    with tempfile.TemporaryFile() as errors:
        process = _start_s3(errors)
        try:
            if process.poll() is not None and _reports_damage(errors):
                s3.drop_cache(settings().data_dir)
                process = _start_s3(errors)
            if process.poll() is not None:
                sys.stderr.write(_s3_errors(errors))
            _wait_for_s3(process)
            yield
        finally:
            if process.poll() is not None and _reports_damage(errors):  # it may also show during a request
                s3.drop_cache(settings().data_dir)
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(S3_STOP_SECONDS)
            process.kill()


def _start_s3(errors: IO[bytes]) -> "subprocess.Popen[bytes]":
    """The process, which may have ended already; its stderr goes to ``errors``."""
    child = s3.server_process(settings().data_dir, settings().installation)
    s3.prepare_bucket(settings().data_dir)
    errors.truncate(0)
    process = subprocess.Popen(  # noqa: S603 - our own command line
        launch.command(child.argv), env=child.env, umask=child.umask, stderr=errors, start_new_session=True
    )
    _s3_accepts(process)
    return process


def _s3_errors(errors: IO[bytes]) -> str:
    errors.seek(0)
    return errors.read().decode(errors="replace")


def _reports_damage(errors: IO[bytes]) -> bool:
    return any(message in _s3_errors(errors) for message in s3.DAMAGED_CACHE_MESSAGES)


def _wait_for_s3(process: "subprocess.Popen[bytes] | None") -> None:
    if not _s3_accepts(process):
        raise ConfigurationError("The embedded S3 did not start; see the lines above.")


def _s3_accepts(process: "subprocess.Popen[bytes] | None") -> bool:
    """Wait until it accepts connections; False when it has ended or takes too long."""
    until = time.monotonic() + S3_START_SECONDS
    while time.monotonic() < until and (process is None or process.poll() is None):
        try:
            socket.create_connection(("127.0.0.1", settings().installation.s3_port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return True
    return False
