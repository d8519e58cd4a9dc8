"""Transfers for the command line: from a URL into the bucket, without a video's row."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Event, Lock
from typing import Any
from urllib.parse import urlsplit

from videovault.config import settings
from videovault.errors import InvalidInput
from videovault.gateways import source, storage, store_capabilities
from videovault.gateways.store_capabilities import Facts
from videovault.services.core.naming import file_name
from videovault.services.transfer.engine import MultipartUpload, StoredObject, StoredPart, Target, Transfer

FOLDER = "transfers"
STORES_FILE = "transfer-stores.json"
MAX_KEY_BYTES = 1024  # S3's limit


class TransferStopped(Exception):
    """``ProgressControl.stop`` was set; running the transfer again resumes it."""


@dataclass(frozen=True)
class ProgressControl:
    """Reports bytes, and the total if it is known, to ``report``; setting ``stop`` ends the transfer."""

    report: Callable[[int, int | None], object]
    stop: Event = field(default_factory=Event)

    def check(self) -> None:
        if self.stop.is_set():
            raise TransferStopped

    def begin(self, bytes_total: int | None) -> None:
        storage.check_s3_disk_space(bytes_total or 0)

    def progress(self, bytes_done: int, bytes_total: int | None) -> None:
        self.report(bytes_done, bytes_total)


class FileUploadJournal:
    """A file with a line of JSON for the upload and one for each part; it exists while the upload is unfinished."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._has_upload = False

    def load(self) -> MultipartUpload | None:
        """None if the file is missing or damaged."""
        upload = None
        with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
            text = self._path.read_text()
            first, *others = text.splitlines()
            fields = json.loads(first)
            upload = MultipartUpload.from_dict(fields["upload_id"], fields, tuple(_parts(others)))
            if not text.endswith("\n"):
                self.begin(upload)  # otherwise the next part would be appended to a truncated line
        self._has_upload = upload is not None
        return upload

    def begin(self, upload: MultipartUpload) -> None:
        lines = [
            {"upload_id": upload.upload_id, **upload.to_dict()},
            *(asdict(part) for part in upload.parts),
        ]
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new = self._path.with_suffix(f".{os.getpid()}")
            new.write_text("".join(json.dumps(line) + "\n" for line in lines))
            new.replace(self._path)
            self._has_upload = True

    def add(self, part: StoredPart) -> None:
        with self._lock:
            if self._has_upload:
                with self._path.open("a") as file:
                    file.write(json.dumps(vars(part)) + "\n")

    def clear(self) -> None:
        with self._lock:
            self._has_upload = False
            self._path.unlink(missing_ok=True)


class FileCapabilities:
    """The capabilities of stores in a file of DATA_DIR: loading the database would take longer than a small transfer."""

    def load(self, store: str) -> Facts:
        return store_capabilities.from_json(self._read().get(store, {}))

    def save(self, store: str, facts: Facts) -> None:
        """Without room for the file, the next run detects them again."""
        new = self._path.with_suffix(f".{os.getpid()}")
        with suppress(OSError):
            new.write_text(json.dumps({**self._read(), store: store_capabilities.as_json(facts)}))
            new.replace(self._path)

    def _read(self) -> dict[str, Any]:
        """Empty if the file is missing or damaged."""
        with suppress(OSError, ValueError):
            found = json.loads(self._path.read_text())
            return found if isinstance(found, dict) else {}
        return {}

    @property
    def _path(self) -> Path:
        return settings().data_dir / STORES_FILE


def open_connections() -> None:
    """Create the connection pools before many threads use them: otherwise each thread would create its own."""
    store_capabilities.use_memory(FileCapabilities())
    source.connected()
    storage.connected()


def default_key(url: str) -> str:
    """``transfers/<file name>``, the same for the same URL, so that a second run resumes the first."""
    digest = hashlib.sha256(url.encode()).hexdigest()[:8]
    return f"{FOLDER}/{digest}_{file_name(url)}"


def checked_key(key: str) -> str:
    """Raises InvalidInput for a key that S3 refuses, or that no URL can address."""
    bad = not key or key.startswith("/") or len(key.encode()) > MAX_KEY_BYTES or not key.isprintable()
    if bad or any(part in ("", ".", "..") for part in key.split("/")):
        raise InvalidInput(f"{key!r} cannot be the key of an object.")
    return key


def transfer_url(url: str, key: str, control: ProgressControl) -> StoredObject:
    """Copy the video at ``url`` into the bucket as ``key``; resumes an earlier run.

    Raises UnsafeUrl, SourceError, StorageError, TransferStopped.
    """
    bucket = storage.connected()
    name = hashlib.sha256(f"{bucket.bucket}\n{key}\n{url}".encode()).hexdigest()[:32]
    journal = FileUploadJournal(settings().data_dir / FOLDER / f"{name}.json")
    stored = Transfer(source.connected(), bucket, url, Target(checked_key(key)), journal, control).run()
    journal.clear()
    return stored


def parse_jobs(text: str) -> list[tuple[str, str]]:
    """URLs and keys from lines ``URL [KEY]``; empty lines and those starting with # are skipped."""
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip() and line.strip()[0] != "#"]
    return [(line[0], line[1].strip() if len(line) > 1 else default_key(line[0])) for line in lines]


def display_name(url: str) -> str:
    """The part of a URL that may be shown: its query often carries a secret."""
    return urlsplit(url).path.rsplit("/", 1)[-1] or urlsplit(url).netloc


def _parts(lines: Iterable[str]) -> Iterable[StoredPart]:
    """All up to a line that a crash truncated."""
    with suppress(ValueError, TypeError):
        for line in lines:
            yield StoredPart(**json.loads(line))
