"""The embedded S3: ``rclone serve s3`` on loopback, with objects as plain files under ``DATA_DIR/s3``."""

import logging
import os
import shutil
import sys
import sysconfig
from pathlib import Path

from videovault.config import EMBEDDED_BUCKET
from videovault.embedded.child_process import ChildProcess
from videovault.errors import ConfigurationError
from videovault.installation import Installation

log = logging.getLogger(__name__)

FLAGS = (
    # The ETag is then the CRC-32 of what is on the disk, which proves an upload made in parts.
    *("--etag-hash", "crc32"),
    # Without it every byte is hashed three times more: 9 CPU seconds per GiB instead of 3. The ETag proves it.
    "--ignore-checksum",
    # 16 MiB of read-ahead for each open object is for remotes far away.
    *("--buffer-size", "0"),
    # Parts that came before their turn are held in memory.
    *("--multipart-streaming-buffer-limit", "64Mi", "--multipart-streaming-buffer-total", "256Mi"),
    *("--log-level", "ERROR", "--log-format", ""),
)
MEMORY_LIMIT = "384MiB"
# How rclone ends when the file in which it remembers sums is damaged: at its start, or in the middle of a request.
DAMAGED_CACHE = ("cannot open db", "assertion failed: Page", "invalid page type", "go.etcd.io/bbolt")
# rclone needs none of our settings and keys, and its own RCLONE_* variables would change what it does.
INHERITED = {"PATH", "HOME", "LANG", "TZ", "TMPDIR"}


def server_process(data_dir: Path, installation: Installation) -> ChildProcess:
    """The embedded S3 of this installation; raises ConfigurationError when rclone is not installed."""
    cache = _Cache(data_dir)
    return ChildProcess(
        name="The embedded S3",
        argv=[rclone_path(), "serve", "s3", "store:", "--addr", f"127.0.0.1:{installation.s3_port}", *FLAGS],
        env=_environment(data_dir.absolute(), installation),
        port=installation.s3_port,
        umask=0o077,
        prepare=cache.prepare,
        should_log=cache.should_log,
    )


def drop_cache(data_dir: Path) -> None:
    """Have rclone compute the sums of objects again, each when it is next asked for."""
    log.warning("The embedded S3's cache of sums is damaged and is built again: %s", cache_folder(data_dir))
    shutil.rmtree(cache_folder(data_dir), ignore_errors=True)


def cache_folder(data_dir: Path) -> Path:
    return data_dir / "rclone"


def bucket_folder(data_dir: Path) -> Path:
    """Where the objects lie: ``<folder>/<key>``."""
    return data_dir / "s3" / EMBEDDED_BUCKET


def rclone_path() -> str:
    """The rclone that came with the requirements, never another version that happens to be on the PATH."""
    beside_python = [sysconfig.get_path("scripts"), str(Path(sys.executable).parent)]
    found = shutil.which("rclone", path=os.pathsep.join(beside_python))
    if not found:
        raise ConfigurationError(
            "The embedded S3 needs rclone, which is not installed here. Install the requirements again "
            "(pip install -r requirements.txt), or set AWS_S3_BUCKET_NAME to use another S3."
        )
    return str(Path(found).absolute())


def prepare_bucket(data_dir: Path) -> None:
    """Make the bucket, private to its user, and remove what uploads that were cut short left behind."""
    bucket = bucket_folder(data_dir)
    bucket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    bucket.mkdir(mode=0o700, exist_ok=True)
    for leftover in bucket.rglob(".rclone_temp_*"):
        leftover.unlink(missing_ok=True)


def _environment(data_dir: Path, installation: Installation) -> dict[str, str]:
    """Keys are passed here, since a command line can be read by everyone on the machine."""
    ours = {name: value for name, value in os.environ.items() if name in INHERITED}
    return ours | {
        "GOMEMLIMIT": MEMORY_LIMIT,
        "RCLONE_CONFIG": os.devnull,
        "RCLONE_CACHE_DIR": str(cache_folder(data_dir)),
        "RCLONE_AUTH_KEY": f'"{installation.s3_access_key},{installation.s3_secret_key}"',
        # "store" remembers the sums of files: else a listing after a restart would read every object whole.
        "RCLONE_CONFIG_STORE_TYPE": "hasher",
        "RCLONE_CONFIG_STORE_REMOTE": str(data_dir / "s3"),
        "RCLONE_CONFIG_STORE_HASHES": "crc32",
        "RCLONE_CONFIG_STORE_MAX_AGE": "off",
    }


class _Cache:
    """Learns from what rclone says that its cache is damaged, and drops it before the next start."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._damaged = False

    def prepare(self) -> None:
        if self._damaged:
            drop_cache(self._data_dir)
        self._damaged = False
        prepare_bucket(self._data_dir)

    def should_log(self, line: str) -> bool:
        """A damaged cache is told once, instead of by the hundred lines of a Go program that panics."""
        self._damaged |= any(mark in line for mark in DAMAGED_CACHE)
        # rclone tries to remove the folder at every delete, and calls it an error when it is not empty.
        return not self._damaged and "Dir.Remove not empty" not in line
