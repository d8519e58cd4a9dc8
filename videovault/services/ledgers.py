"""Where an unfinished upload is remembered: in the video's rows, or in a file for the command line."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from threading import Lock
from typing import Any

from sqlmodel import col, delete, select

from videovault.db import reading, transaction
from videovault.models import UploadPart, Video, now
from videovault.services import lifecycle
from videovault.services.engine import Begun, Identity, StoredPart
from videovault.services.lease import Superseded


class VideoLedger:
    """In the database, as long as the video is ours: raises Superseded when it is not any more."""

    def __init__(self, video: Video) -> None:
        self._video = video

    def load(self) -> Begun | None:
        with reading() as session:
            row = session.get(Video, self._video.id)
            if row is None or not row.upload_id or not row.upload_source:
                return None
            stored = session.exec(select(UploadPart).where(UploadPart.video_id == row.id)).all()
            parts = tuple(
                StoredPart(each.number, each.size, each.etag, int(each.crc32, 16)) for each in stored
            )
            return _begun(row.upload_id, row.upload_source, parts)

    def begin(self, begun: Begun) -> None:
        self._note(begun.upload_id, _facts(begun))

    def add(self, part: StoredPart) -> None:
        row = UploadPart(
            video_id=self._video.id,
            number=part.number,
            size=part.size,
            etag=part.etag,
            crc32=f"{part.crc32:08x}",
        )
        with transaction() as session:
            if not lifecycle.change(session, self._video, heartbeat_at=now()):
                raise Superseded
            session.merge(row)

    def clear(self) -> None:
        self._note(None, None)

    def _note(self, upload_id: str | None, facts: dict[str, Any] | None) -> None:
        with transaction() as session:
            columns = {"upload_id": upload_id, "upload_source": facts}
            if not lifecycle.change(session, self._video, heartbeat_at=now(), **columns):
                raise Superseded
            session.exec(delete(UploadPart).where(col(UploadPart.video_id) == self._video.id))


class FileLedger:
    """In a JSON file, which is there as long as the upload is unfinished."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._begun: Begun | None = None

    def load(self) -> Begun | None:
        """What the file tells; a damaged one is as good as none."""
        try:
            kept = json.loads(self._path.read_text())
            parts = tuple(StoredPart(**part) for part in kept["parts"])
            self._begun = _begun(kept["upload_id"], kept, parts)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            self._begun = None
        return self._begun

    def begin(self, begun: Begun) -> None:
        with self._lock:
            self._save(begun)

    def add(self, part: StoredPart) -> None:
        with self._lock:
            if self._begun:
                self._save(replace(self._begun, parts=(*self._begun.parts, part)))

    def clear(self) -> None:
        with self._lock:
            self._begun = None
            self._path.unlink(missing_ok=True)

    def _save(self, begun: Begun) -> None:
        self._begun = begun
        kept = {
            "upload_id": begun.upload_id,
            **_facts(begun),
            "parts": [asdict(part) for part in begun.parts],
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(kept))
        fresh.replace(self._path)


def _facts(begun: Begun) -> dict[str, Any]:
    return {**asdict(begun.source), "part_bytes": begun.part_bytes, "container": begun.container}


def _begun(upload_id: str, facts: Mapping[str, Any], parts: tuple[StoredPart, ...]) -> Begun:
    source = Identity(facts["total"], facts["validator"], facts["last_modified"])
    return Begun(upload_id, source, facts["part_bytes"], facts["container"], parts)
