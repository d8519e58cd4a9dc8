"""Transfers that belong to no video: from an address into the bucket, for the command line."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from urllib.parse import urlsplit

from videovault.config import settings
from videovault.errors import InvalidInput
from videovault.gateways import source, storage
from videovault.services.core.capacity import check_s3_disk_space
from videovault.services.core.naming import file_name
from videovault.services.transfer.engine import FileUploadJournal, StoredObject, Target, Transfer

FOLDER = "transfers"
MAX_KEY_BYTES = 1024  # S3's limit


class TransferStopped(Exception):
    """The transfer was told to stop; running it again goes on with it."""


@dataclass(frozen=True)
class ProgressControl:
    """Tells ``tell`` how far a transfer is (bytes, and the total if it is known) and stops it when ``stop`` is set."""

    tell: Callable[[int, int | None], object]
    stop: Event = field(default_factory=Event)

    def check(self) -> None:
        if self.stop.is_set():
            raise TransferStopped

    def begin(self, bytes_total: int | None) -> None:
        check_s3_disk_space(bytes_total or 0)

    def progress(self, bytes_done: int, bytes_total: int | None) -> None:
        self.tell(bytes_done, bytes_total)


def open_connections() -> None:
    """Make the connections' pools before many threads ask for them at once, of whom each would make its own."""
    source.connected()
    storage.connected()


def default_key(url: str) -> str:
    """``transfers/<file name>``, the same for the same address, so that running it again resumes."""
    digest = hashlib.sha256(url.encode()).hexdigest()[:8]
    return f"{FOLDER}/{digest}_{file_name(url)}"


def checked_key(key: str) -> str:
    """Raises InvalidInput for what S3 takes as no key, or takes and nobody can address."""
    bad = not key or key.startswith("/") or len(key.encode()) > MAX_KEY_BYTES or not key.isprintable()
    if bad or any(part in ("", ".", "..") for part in key.split("/")):
        raise InvalidInput(f"{key!r} cannot be the key of an object.")
    return key


def transfer_url(url: str, key: str, watch: ProgressControl) -> StoredObject:
    """Bring the video at ``url`` into the bucket as ``key``, going on with what an earlier run has stored.

    Raises UnsafeUrl, SourceError, StorageError; Stopped when ``watch`` was told to stop.
    """
    bucket = storage.connected()
    name = hashlib.sha256(f"{bucket.bucket}\n{key}\n{url}".encode()).hexdigest()[:32]
    ledger = FileUploadJournal(settings().data_dir / FOLDER / f"{name}.json")
    stored = Transfer(source.connected(), bucket, url, Target(checked_key(key)), ledger, watch).run()
    ledger.clear()
    return stored


def parse_jobs(text: str) -> list[tuple[str, str]]:
    """Addresses and keys from lines ``URL [KEY]``; empty ones and those that begin with # are left out."""
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip() and line.strip()[0] != "#"]
    return [(line[0], line[1].strip() if len(line) > 1 else default_key(line[0])) for line in lines]


def display_name(url: str) -> str:
    """What of an address may be shown: it often carries a secret after the path."""
    return urlsplit(url).path.rsplit("/", 1)[-1] or urlsplit(url).netloc
