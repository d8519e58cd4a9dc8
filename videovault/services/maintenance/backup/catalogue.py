"""The index of a backup, a SQLite file: its objects, and the objects that the database rows expect.

Memory stays bounded for any number of objects, and an interrupted backup finds what it has copied.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from videovault import untrusted_json
from videovault.errors import InvalidInput
from videovault.gateways.storage import Description, Listed
from videovault.models import Status
from videovault.services.maintenance.backup.backup_folder import OBJECTS, SHA256, Damaged, create_empty
from videovault.services.transfer import standalone

SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    key TEXT PRIMARY KEY, size INTEGER NOT NULL, etag TEXT NOT NULL, modified TEXT NOT NULL, sha256 TEXT NOT NULL,
    crc32 INTEGER NOT NULL, content_type TEXT NOT NULL, disposition TEXT NOT NULL, metadata TEXT NOT NULL,
    seen INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS objects_sha256 ON objects (sha256);
CREATE TABLE IF NOT EXISTS videos (
    id TEXT PRIMARY KEY, owner_id TEXT NOT NULL, status TEXT NOT NULL, title TEXT NOT NULL, s3_key TEXT, size INTEGER,
    crc32 TEXT, sealed_key TEXT NOT NULL
) WITHOUT ROWID;
"""
VIDEO_COLUMNS = ("id", "owner_id", "status", "title", "s3_key", "size", "crc32", "sealed_key")
# Ready videos with the backup's object under their key.
EXPECTED = f"""
SELECT videos.id, title, s3_key, videos.size AS wanted_size, videos.crc32 AS wanted_crc32, objects.size, objects.crc32
FROM videos LEFT JOIN objects ON objects.key = videos.s3_key WHERE status = '{Status.READY}' ORDER BY videos.id
"""  # noqa: S608 - a constant of ours


@dataclass(frozen=True)
class Entry:
    """An object of the backup; ``modified`` is the listing's time, empty if the object may change without a new time."""

    key: str
    size: int
    etag: str
    modified: str
    sha256: str
    crc32: int
    described: Description

    @property
    def path(self) -> str:
        """Relative to the backup's folder. Objects with equal bytes share a file."""
        return f"{OBJECTS}/{self.sha256[:2]}/{self.sha256}"


class Catalogue:
    """Opened with ``writing`` or ``reading``; for one thread only."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db = connection
        self._path = path

    @classmethod
    @contextmanager
    def writing(cls, path: Path) -> Iterator[Self]:
        """Continue the catalogue at ``path``, or create it. Raises Damaged."""
        if not path.exists():
            create_empty(path)
        with _connected(path, f"file:{_uri_path(path)}") as connection:
            connection.executescript(SCHEMA)
            yield cls(connection, path)

    @classmethod
    @contextmanager
    def reading(cls, path: Path) -> Iterator[Self]:
        """Open the catalogue of a finished backup read-only. Raises Damaged."""
        with _connected(path, f"file:{_uri_path(path)}?mode=ro&immutable=1") as connection:
            connection.execute("CREATE TEMP TABLE present (key TEXT PRIMARY KEY) WITHOUT ROWID")
            yield cls(connection, path)

    def commit(self) -> None:
        self._db.commit()

    def reset_seen(self) -> None:
        self._db.execute("UPDATE objects SET seen = 0")
        self.commit()

    def mark_seen(self, listed: Listed, scan: int) -> Entry | None:
        """Mark a listed object as seen and return its entry; None if it is new or changed and must be copied."""
        found = self.find(listed.key)
        if found is None or (found.size, found.etag) != (listed.size, _unquoted(listed.etag)):
            return None
        self._db.execute("UPDATE objects SET seen = ? WHERE key = ?", (scan, listed.key))
        return found

    def put(self, entry: Entry, scan: int) -> None:
        described = entry.described
        self._db.execute(
            "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(entry.key, entry.size, _unquoted(entry.etag), entry.modified, entry.sha256, entry.crc32),
                *(described.content_type, described.disposition, json.dumps(dict(described.metadata)), scan),
            ),
        )

    def find(self, key: str) -> Entry | None:
        row = self._db.execute("SELECT * FROM objects WHERE key = ?", (key,)).fetchone()
        return _entry(row) if row else None

    def delete_unseen(self, scan: int) -> None:
        """Delete entries that this scan did not see, except those that an earlier scan saw and a ready video needs."""
        unseen = "SELECT key, seen FROM objects WHERE seen < ? AND key > ? ORDER BY key LIMIT 500"
        last = ""
        while page := self._db.execute(unseen, (scan, last)).fetchall():
            dropped = [(key,) for key, seen in page if not (seen and self._is_needed(key))]
            self._db.executemany("DELETE FROM objects WHERE key = ?", dropped)
            last = page[-1][0]
        self.commit()

    def replace_videos(self, rows: Iterator[Mapping[str, Any]]) -> None:
        """Store the rows of the database's snapshot."""
        self._db.execute("DELETE FROM videos")
        named = ", ".join(f":{name}" for name in VIDEO_COLUMNS)
        self._db.executemany(f"INSERT INTO videos VALUES ({named})", rows)  # noqa: S608 - names of ours
        self.commit()

    def entries(self) -> Iterator[Entry]:
        for row in self._db.execute("SELECT * FROM objects ORDER BY key"):
            yield _entry(row)

    def totals(self) -> dict[str, Any]:
        """The manifest's numbers of ``objects``, ``bytes`` and ready ``videos``."""
        count, size = self._db.execute("SELECT count(*), coalesce(sum(size), 0) FROM objects").fetchone()
        ready = "SELECT count(*) FROM videos WHERE status = ?"
        (videos,) = self._db.execute(ready, (Status.READY,)).fetchone()
        return {"objects": count, "bytes": size, "videos": videos}

    def needs(self, sha256: str) -> bool:
        return bool(self._db.execute("SELECT 1 FROM objects WHERE sha256 = ? LIMIT 1", (sha256,)).fetchone())

    def _is_needed(self, key: str) -> bool:
        owner_id, video_id = [*key.split("/"), "", "", ""][1:3]
        ready = "SELECT 1 FROM videos WHERE id = ? AND owner_id = ? AND status = ?"
        return bool(self._db.execute(ready, (video_id, owner_id, Status.READY)).fetchone())

    def problems(self) -> Iterator[str]:
        """A sentence for each ready video whose object is missing or different."""
        for video_id, title, key, wanted_size, wanted_crc32, size, crc32 in self._db.execute(EXPECTED):
            if size is None:
                yield f"{video_id} ({title}): its object {key} is not in the backup."
            elif size != wanted_size or (wanted_crc32 and f"{crc32:08x}" != wanted_crc32):
                yield f"{video_id} ({title}): the object {key} is not the stored one."

    def sealed_keys(self) -> Iterator[tuple[str, str, str]]:
        """Each video's id, its owner's, and its sealed secret key."""
        yield from self._db.execute("SELECT id, owner_id, sealed_key FROM videos")

    def mark_present(self, key: str) -> None:
        """Note, while this is open, that the bucket already has the object."""
        self._db.execute("INSERT OR IGNORE INTO present VALUES (?)", (key,))

    def is_present(self, key: str) -> bool:
        return bool(self._db.execute("SELECT 1 FROM present WHERE key = ?", (key,)).fetchone())


@contextmanager
def _connected(path: Path, uri: str) -> Iterator[sqlite3.Connection]:
    try:
        connection = sqlite3.connect(uri, uri=True)
        try:
            connection.execute("PRAGMA trusted_schema = OFF")
            yield connection
            connection.commit()
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        raise Damaged(f"{path} cannot be used: {error}.") from error


def _entry(row: tuple[Any, ...]) -> Entry:
    """Raises Damaged for values that we never write, such as a key or path that leaves the folder."""
    key, size, etag, modified, sha256, crc32, content_type, disposition, metadata, _ = row
    try:
        is_valid = (
            SHA256.fullmatch(sha256) and size >= 0 and 0 <= crc32 < 2**32 and standalone.checked_key(key)
        )
        checked_metadata = {str(name): str(value) for name, value in untrusted_json.loads(metadata).items()}
    except (InvalidInput, TypeError, ValueError, AttributeError):
        is_valid = None
    if not is_valid:
        raise Damaged(f"The backup lists an invalid object: {str(key)[:200]!r}.")
    return Entry(
        key,
        size,
        etag,
        modified,
        sha256,
        crc32,
        Description(str(content_type), str(disposition), checked_metadata),
    )


def _unquoted(etag: str) -> str:
    """Without quotes, which some stores use in some responses only."""
    return etag.strip('"')


def _uri_path(path: Path) -> str:
    return quote(str(path.absolute()))
