"""The embedded S3 for the duration of a command: the app's own where it runs, else one of our own."""

import fcntl
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import IO

from videovault import installation
from videovault.config import settings
from videovault.embedded import launch, s3
from videovault.embedded.supervisor import LOCK_FILE
from videovault.errors import ConfigurationError

START_SECONDS = 30.0


@contextmanager
def s3_available() -> Iterator[None]:
    """Inside the block the bucket can be used. Raises ConfigurationError when the embedded S3 does not start."""
    if not settings().uses_embedded_s3:
        yield
        return
    with _locked() as is_ours:
        if is_ours:
            with _started():
                yield
        else:  # the app runs it
            _wait(None)
            yield


@contextmanager
def exclusive_data_dir() -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Inside the block no app uses DATA_DIR; what the block is given runs the embedded S3, where there is one.

    Raises ConfigurationError when the app is running.
    """
    with _locked() as is_ours:
        if not is_ours:
            raise ConfigurationError(
                f"VideoVault is running with this DATA_DIR ({settings().data_dir}): stop it first."
            )
        yield lambda: _started() if settings().uses_embedded_s3 else nullcontext()


@contextmanager
def _locked() -> Iterator[bool]:
    """Whether the lock that the app holds is ours inside the block."""
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
    with _own():
        yield


def app_is_running() -> bool:
    """Whether a web process of this machine runs on DATA_DIR."""
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
def _own() -> Iterator[None]:
    with tempfile.TemporaryFile() as said:
        process = _start(said)
        try:
            if process.poll() is not None and _tells_of_damage(said):
                s3.drop_cache(settings().data_dir)
                process = _start(said)
            if process.poll() is not None:
                sys.stderr.write(_text(said))
            _wait(process)
            yield
        finally:
            if process.poll() is not None and _tells_of_damage(
                said
            ):  # it may show in the middle of a request too
                s3.drop_cache(settings().data_dir)
            process.terminate()
            process.wait()


def _start(said: IO[bytes]) -> "subprocess.Popen[bytes]":
    """Running, unless it has ended at once; what it says goes to ``said``."""
    child = s3.server_process(settings().data_dir, settings().installation)
    s3.prepare_bucket(settings().data_dir)
    said.truncate(0)
    process = subprocess.Popen(  # noqa: S603 - our own command line
        launch.command(child.argv), env=child.env, umask=child.umask, stderr=said, start_new_session=True
    )
    _accepting(process)
    return process


def _text(said: IO[bytes]) -> str:
    said.seek(0)
    return said.read().decode(errors="replace")


def _tells_of_damage(said: IO[bytes]) -> bool:
    return any(mark in _text(said) for mark in s3.DAMAGED_CACHE)


def _wait(process: "subprocess.Popen[bytes] | None") -> None:
    if not _accepting(process):
        raise ConfigurationError("The embedded S3 did not start; the lines above say why.")


def _accepting(process: "subprocess.Popen[bytes] | None") -> bool:
    """Wait until it accepts connections, has ended or takes too long; whether it accepts them."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and (process is None or process.poll() is None):
        try:
            socket.create_connection(("127.0.0.1", settings().installation.s3_port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return True
    return False
