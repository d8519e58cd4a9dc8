"""Where an unfinished upload of a video is remembered: in its row, and a row for each part."""

from typing import Any

from sqlmodel import col, delete, select

from videovault.db import clock, reading, transaction
from videovault.models import UploadPart, Video
from videovault.services import lifecycle
from videovault.services.engine import Begun, StoredPart
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
            return Begun.from_facts(row.upload_id, row.upload_source, parts)

    def begin(self, begun: Begun) -> None:
        self._note(begun.upload_id, begun.facts())

    def add(self, part: StoredPart) -> None:
        row = UploadPart(
            video_id=self._video.id,
            number=part.number,
            size=part.size,
            etag=part.etag,
            crc32=f"{part.crc32:08x}",
        )
        with transaction(essential=True) as session:
            if not lifecycle.change(session, self._video, heartbeat_at=clock()):
                raise Superseded
            session.merge(row)

    def clear(self) -> None:
        self._note(None, None)

    def _note(self, upload_id: str | None, facts: dict[str, Any] | None) -> None:
        with transaction(essential=True) as session:
            columns = {"upload_id": upload_id, "upload_source": facts}
            if not lifecycle.change(session, self._video, heartbeat_at=clock(), **columns):
                raise Superseded
            session.exec(delete(UploadPart).where(col(UploadPart.video_id) == self._video.id))
