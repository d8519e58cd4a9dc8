"""The embedded S3 for the duration of a command: the app's own where it runs, else one of our own."""

import fcntl
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

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
    data_dir = settings().data_dir
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / LOCK_FILE).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # the app runs it
            _wait(None)
            yield
            return
        installation.with_free_ports(data_dir)
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
