"""The folder of a backup: private files, written completely or not at all, and the manifest that lists them.

The manifest is written last, so a folder with a manifest holds a complete backup. Nothing in the folder is trusted when
it is read.
"""

import fcntl
import hashlib
import json
import os
import re
import stat
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from videovault import security, untrusted_json
from videovault.config import settings
from videovault.errors import ConfigurationError, Conflict, InvalidInput
from videovault.installation import FILE_NAME, Installation

FORMAT = 1
MANIFEST_NAME = "manifest.json"
PARTIAL = "partial.sqlite"
OBJECTS = "objects"
MAX_MANIFEST_BYTES = 64 * 1024
SHA256 = re.compile(r"[0-9a-f]{64}")

DatabaseKind = Literal["sqlite", "postgresql"]
# Only these file names are valid, so that no manifest can name a file outside its folder.
FILE_NAMES = r"^(catalogue|database|installation)-[0-9]{8}T[0-9]{12}Z\.(sqlite|dump|json)$"
PIECE_BYTES = 1024**2
TEMPORARY = ".new-"


class Damaged(InvalidInput):
    """A file of the backup does not match the manifest."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class File(_Frozen):
    """A file beside the manifest; ``size`` in bytes, ``sha256`` in hexadecimal digits."""

    name: Annotated[str, StringConstraints(pattern=FILE_NAMES)]
    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, StringConstraints(pattern=f"^{SHA256.pattern}$")]


class Database(_Frozen):
    """``revision`` is the schema's, ``server`` and ``tool`` are the major versions of PostgreSQL and pg_dump."""

    kind: DatabaseKind
    revision: str
    file: File
    server: int | None = None
    tool: int | None = None


class Key(_Frozen):
    """The SECRET_KEY that seals the database: from installation.json, or only in the settings."""

    source: Literal["installation", "settings"]
    fingerprint: str


class Manifest(_Frozen):
    """``keeps_metadata``: the objects come from a store that keeps tags. ``bytes`` is the sum of the object sizes."""

    format: Literal[1] = 1
    taken_at: AwareDatetime
    database: Database
    key: Key
    installation: File | None
    catalogue: File
    keeps_metadata: bool
    objects: int
    bytes: int
    videos: int

    @property
    def files(self) -> list[File]:
        found = [self.database.file, self.catalogue, self.installation]
        return [each for each in found if each is not None]


@dataclass(frozen=True)
class FileHash:
    """Size and hashes of a file; ``sha256`` in hexadecimal digits."""

    size: int
    sha256: str
    crc32: int


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold the folder's lock. Raises InvalidInput if it is not a folder, Conflict if another command uses it."""
    if not folder.is_dir():
        raise InvalidInput(f"{folder} is not a folder.")
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise Conflict(f"Another command uses {folder}: wait until it has finished.") from error
    finally:
        os.close(descriptor)


def timestamp(at: datetime) -> str:
    return at.strftime("%Y%m%dT%H%M%S%fZ")


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Publish the manifest, which makes the backup complete."""
    content = manifest.model_dump(mode="json")
    with new_file(folder / MANIFEST_NAME) as file:
        file.write(json.dumps({"manifest": content, "sha256": _digest(content)}, indent=2).encode())


def read_manifest(folder: Path) -> Manifest:
    """Raises InvalidInput when the folder holds no complete backup or another format, and Damaged."""
    path = folder / MANIFEST_NAME
    if not path.exists():
        if (folder / PARTIAL).exists():
            raise InvalidInput(
                f"The backup in {folder} was interrupted before it was complete. "
                f"`python -m videovault backup {folder}` continues it."
            )
        raise InvalidInput(f"{folder} holds no backup: there is no {MANIFEST_NAME}.")
    try:
        whole = untrusted_json.loads(read_file(path, MAX_MANIFEST_BYTES))
        content, digest = whole["manifest"], whole["sha256"]
        if content["format"] != FORMAT:
            raise InvalidInput(
                f"{path} has format {content['format']}, and this version of VideoVault reads format {FORMAT}."
            )
        if _digest(content) != digest:
            raise Damaged(f"{path} was changed: its checksum differs.")
        return Manifest.model_validate(content)
    except (ValidationError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise Damaged(f"{path} is damaged: it cannot be read.") from error


def file_entry(path: Path) -> File:
    """The manifest's entry for a finished file."""
    found = hash_file(path)
    return File(name=path.name, size=found.size, sha256=found.sha256)


def verify_file(folder: Path, file: File) -> Path:
    """The path of a listed file. Raises Damaged when its content has changed."""
    path = folder / file.name
    found = hash_file(path)
    if (found.size, found.sha256) != (file.size, file.sha256):
        raise Damaged(f"{path} is damaged: its checksum differs from the manifest's.")
    return path


def read_installation(folder: Path, manifest: Manifest) -> Installation | None:
    """The key file in the backup. Raises Damaged."""
    if manifest.installation is None:
        return None
    path = verify_file(folder, manifest.installation)
    try:
        return TypeAdapter(Installation).validate_json(read_file(path, MAX_MANIFEST_BYTES))
    except ValidationError as error:
        raise Damaged(f"{path} is damaged: it cannot be read.") from error


def available_keys(installation: Installation | None) -> Sequence[str]:
    """The SECRET_KEYs of the settings and this key file, the sealing one first."""
    chosen = settings()
    current = chosen.secret_key.get_secret_value() or (installation.secret_key if installation else "")
    old = [key.strip() for key in chosen.secret_key_old.get_secret_value().split(",")]
    return [key for key in (current, *old) if key]


def current_key(installation: Installation | None) -> Key:
    """The key that seals now, from the settings or this key file. Raises ConfigurationError when there is none."""
    from_settings = settings().secret_key.get_secret_value()
    if not from_settings and installation is None:
        raise ConfigurationError(
            f"There is no key: {settings().data_dir / FILE_NAME} is missing and SECRET_KEY is not set. Without the "
            "key that sealed the database, a backup is useless: restore the key first."
        )
    key = security.key_fingerprint(available_keys(installation)[0])
    return Key(source="settings" if from_settings else "installation", fingerprint=key)


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


# Files.


@contextmanager
def new_file(target: Path) -> Iterator[BinaryIO]:
    """Write a file atomically: at the end of the block it is synced to disk and renamed to ``target``. Mode 0600."""
    with _temporary(target.parent) as (file, keep):
        yield file
        keep(target)


def write_named(folder: Path, source: Iterable[bytes], place: Callable[[FileHash], Path]) -> FileHash:
    """Write ``source`` to the path that ``place`` returns for its hash; ``place`` may raise to reject it."""
    with _temporary(folder) as (file, keep):
        found = hash_pieces(source, file)
        target = place(found)
        private_folder(target.parent)
        keep(target)
    return found


def copy_file(source: Path, target: Path) -> None:
    with open_file(source) as reading, new_file(target) as writing:
        hash_pieces(read_pieces(reading), writing)


def remove_temporary(folder: Path) -> None:
    """Delete leftovers of killed commands, since nothing else uses the folder."""
    for left in folder.glob(f"{TEMPORARY}*"):
        left.unlink()


def fsync_path(path: Path) -> None:
    """Sync a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def private_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)


def create_empty(path: Path) -> Path:
    """Create an empty file with mode 0600 for another program to write into."""
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
    return path


@contextmanager
def open_file(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file for reading. Raises Damaged if it is missing, a link, a pipe or a device."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise Damaged(f"{path} cannot be read: {error.strerror}.") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Damaged(f"{path} is not a regular file.")
    with os.fdopen(descriptor, "rb") as file:
        yield file


def read_file(path: Path, max_bytes: int) -> bytes:
    """The content of a small file. Raises Damaged when it is missing or longer than ``max_bytes``."""
    with open_file(path) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise Damaged(f"{path} is longer than {max_bytes:,} bytes.")
    return content


def file_size(path: Path) -> int | None:
    """In bytes; None for anything but a regular file."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def read_pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(PIECE_BYTES):
        yield piece


def hash_pieces(source: Iterable[bytes], file: BinaryIO | None = None) -> FileHash:
    """Hash ``source``, and write it to ``file`` if given."""
    size, sha256, crc32 = 0, hashlib.sha256(), 0
    for piece in source:
        size += len(piece)
        sha256.update(piece)
        crc32 = zlib.crc32(piece, crc32)
        if file is not None:
            file.write(piece)
    return FileHash(size, sha256.hexdigest(), crc32)


def hash_file(path: Path) -> FileHash:
    """Raises Damaged for anything but a regular file."""
    with open_file(path) as file:
        return hash_pieces(read_pieces(file))


@contextmanager
def _temporary(folder: Path) -> Iterator[tuple[BinaryIO, Callable[[Path], None]]]:
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=TEMPORARY)  # for its owner only
    with os.fdopen(descriptor, "wb") as file:

        def keep(target: Path) -> None:
            file.flush()
            os.fsync(descriptor)
            Path(name).replace(target)
            fsync_path(target.parent)

        try:
            yield file, keep
        finally:
            Path(name).unlink(missing_ok=True)
