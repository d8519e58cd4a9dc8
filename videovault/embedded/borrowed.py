"""The embedded S3 for the duration of a command: the app's own where it runs, else one of our own."""

import fcntl
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from videovault import installation
from videovault.config import settings
from videovault.embedded import launch, s3
from videovault.embedded.supervisor import LOCK_FILE
from videovault.errors import ConfigurationError

START_SECONDS = 30.0


@contextmanager
def s3_running() -> Iterator[None]:
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
def alone() -> Iterator[Callable[[], AbstractContextManager[None]]]:
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
    installation.with_free_ports(settings().data_dir)
    settings.cache_clear()
    with _own():
        yield


@contextmanager
def _own() -> Iterator[None]:
    child = s3.server(settings().data_dir, settings().installation)
    s3.prepare(settings().data_dir)
    process = subprocess.Popen(  # noqa: S603 - our own command line
        launch.command(child.argv), env=child.env, umask=child.umask, start_new_session=True
    )
    try:
        _wait(process)
        yield
    finally:
        process.terminate()
        process.wait()


def _wait(process: subprocess.Popen[bytes] | None) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and (process is None or process.poll() is None):
        try:
            socket.create_connection(("127.0.0.1", settings().installation.s3_port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise ConfigurationError("The embedded S3 did not start; the lines above say why.")
