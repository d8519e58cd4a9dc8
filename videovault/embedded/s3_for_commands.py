"""The embedded S3 for the duration of a command: that of the running app, otherwise one started for the command."""

import fcntl
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import IO

from videovault import installation
from videovault.config import settings
from videovault.embedded import launch, s3
from videovault.embedded.supervisor import LOCK_FILE
from videovault.errors import ConfigurationError

START_SECONDS = 30.0
STOP_SECONDS = 30.0


@contextmanager
def s3_available() -> Iterator[None]:
    """Inside the block the bucket can be used. Raises ConfigurationError when the embedded S3 does not start."""
    if not settings().uses_embedded_s3:
        yield
        return
    with _locked() as is_locked:
        if is_locked:
            with _started():
                yield
        else:  # the app is running
            _wait(None)
            yield


@contextmanager
def exclusive_data_dir() -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Inside the block no app uses DATA_DIR; the returned function starts the embedded S3 if it is configured.

    Raises ConfigurationError when the app is running.
    """
    with _locked() as is_locked:
        if not is_locked:
            raise ConfigurationError(
                f"VideoVault is running with this DATA_DIR ({settings().data_dir}): stop it first."
            )
        yield lambda: _started() if settings().uses_embedded_s3 else nullcontext()


@contextmanager
def _locked() -> Iterator[bool]:
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
def _started() -> Iterator[None]:
    installation.load_with_free_ports(settings().data_dir)
    settings.cache_clear()
    with _own_s3():
        yield


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


@contextmanager
def _own_s3() -> Iterator[None]:
    with tempfile.TemporaryFile() as errors:
        process = _start(errors)
        try:
            if process.poll() is not None and _reports_damage(errors):
                s3.drop_cache(settings().data_dir)
                process = _start(errors)
            if process.poll() is not None:
                sys.stderr.write(_text(errors))
            _wait(process)
            yield
        finally:
            if process.poll() is not None and _reports_damage(errors):  # it may also show during a request
                s3.drop_cache(settings().data_dir)
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            process.kill()


def _start(errors: IO[bytes]) -> "subprocess.Popen[bytes]":
    """The process, which may have ended already; its stderr goes to ``errors``."""
    child = s3.server_process(settings().data_dir, settings().installation)
    s3.prepare_bucket(settings().data_dir)
    errors.truncate(0)
    process = subprocess.Popen(  # noqa: S603 - our own command line
        launch.command(child.argv), env=child.env, umask=child.umask, stderr=errors, start_new_session=True
    )
    _accepting(process)
    return process


def _text(errors: IO[bytes]) -> str:
    errors.seek(0)
    return errors.read().decode(errors="replace")


def _reports_damage(errors: IO[bytes]) -> bool:
    return any(message in _text(errors) for message in s3.DAMAGED_CACHE_MESSAGES)


def _wait(process: "subprocess.Popen[bytes] | None") -> None:
    if not _accepting(process):
        raise ConfigurationError("The embedded S3 did not start; see the lines above.")


def _accepting(process: "subprocess.Popen[bytes] | None") -> bool:
    """Wait until it accepts connections; False when it has ended or takes too long."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and (process is None or process.poll() is None):
        try:
            socket.create_connection(("127.0.0.1", settings().installation.s3_port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return True
    return False
