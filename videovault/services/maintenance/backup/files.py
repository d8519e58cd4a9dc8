"""Files of a backup: private, complete or absent, and read without trusting what lies in the folder."""

import fcntl
import hashlib
import os
import stat
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from videovault.errors import Conflict, InvalidInput

PIECE_BYTES = 1024**2
TEMPORARY = ".new-"


@dataclass(frozen=True)
class Sum:
    """Of a file's bytes; ``sha256`` in hexadecimal digits."""

    size: int
    sha256: str
    crc32: int


class Damaged(InvalidInput):
    """A file of the backup is not what the manifest says."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """No other backup, verification or restore uses the folder inside the block. Raises Conflict when one does."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise Conflict(f"Another command uses {folder}: wait until it has ended.") from error
    finally:
        os.close(descriptor)


@contextmanager
def new(target: Path) -> Iterator[BinaryIO]:
    """A file that only its owner can read; at the end of the block it takes its name, complete and on the disk."""
    with _temporary(target.parent) as (file, keep):
        yield file
        keep(target)


def kept(folder: Path, source: Iterable[bytes], place: Callable[[Sum], Path]) -> Sum:
    """Write ``source`` into a file that ``place`` names once the sum is known, or raises to refuse it."""
    with _temporary(folder) as (file, keep):
        found = written(source, file)
        target = place(found)
        private_folder(target.parent)
        keep(target)
    return found


def copy(source: Path, target: Path) -> None:
    with opened(source) as reading, new(target) as writing:
        written(pieces(reading), writing)


def remove_temporary(folder: Path) -> None:
    """What commands that were killed left, as nothing else uses the folder."""
    for left in folder.glob(f"{TEMPORARY}*"):
        left.unlink()


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, written to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def private_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)


def fresh(path: Path) -> Path:
    """Make an empty file that only its owner can read, for others to write into."""
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
    return path


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A plain file for reading. Raises Damaged for what is missing, and for links, pipes and devices."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise Damaged(f"{path} cannot be read: {error.strerror}.") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Damaged(f"{path} is not a plain file.")
    with os.fdopen(descriptor, "rb") as file:
        yield file


def read(path: Path, most: int) -> bytes:
    """A whole small file. Raises Damaged when it is missing or longer than ``most`` bytes."""
    with opened(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise Damaged(f"{path} is longer than {most:,} bytes.")
    return content


def size_of(path: Path) -> int | None:
    """In bytes; None for anything but a plain file."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(PIECE_BYTES):
        yield piece


def written(source: Iterable[bytes], file: BinaryIO | None = None) -> Sum:
    """The sum of everything in ``source``, which is written to ``file`` if there is one."""
    size, sha256, crc32 = 0, hashlib.sha256(), 0
    for piece in source:
        size += len(piece)
        sha256.update(piece)
        crc32 = zlib.crc32(piece, crc32)
        if file is not None:
            file.write(piece)
    return Sum(size, sha256.hexdigest(), crc32)


def sum_of(path: Path) -> Sum:
    """Raises Damaged for anything but a plain file."""
    with opened(path) as file:
        return written(pieces(file))


@contextmanager
def _temporary(folder: Path) -> Iterator[tuple[BinaryIO, Callable[[Path], None]]]:
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=TEMPORARY)  # for its owner only
    with os.fdopen(descriptor, "wb") as file:

        def keep(target: Path) -> None:
            file.flush()
            os.fsync(descriptor)
            Path(name).replace(target)
            sync(target.parent)

        try:
            yield file, keep
        finally:
            Path(name).unlink(missing_ok=True)
