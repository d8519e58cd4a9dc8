"""Adds videos to a running installation without a generator: rows, a small real video and its poster."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from PIL import Image
from sqlmodel import select

from tests.support.app import RunningApp
from tests.support.installation import changing, forget
from videovault.db import transaction
from videovault.gateways import storage
from videovault.gateways.s3_calls import ObjectInfo
from videovault.gateways.storage import Description
from videovault.models import Status, User, Video
from videovault.services.core import lifecycle


def seed(app: RunningApp, email: str, videos: Sequence[dict[str, Any]], film: bytes = b"") -> list[str]:
    """Add videos, ready by default, to this account. Returns their IDs in the same order.

    Without ``film`` nothing is put into S3, so that they can be listed but not played.
    """
    with database_of(app):
        rows = _rows(email, videos, film)
        bucket, poster = storage.connected(), _poster()
        for row in rows:
            if film and row.status == Status.READY:
                bucket.put(str(row.s3_key), film, Description("video/mp4"))
                bucket.put(str(row.poster_key), poster, Description("image/webp"))
                _set_etag(row.id, bucket.info(str(row.s3_key)))
        return [row.id for row in rows]


def seed_many(app: RunningApp, email: str, titles: Sequence[str], film: bytes) -> list[str]:
    """As ``seed``, newest first; fast, since all rows share one object and one poster in S3."""
    long_ago = datetime(2026, 1, 1, tzinfo=UTC)
    [first] = seed(app, email, [{"title": titles[0], "created_at": long_ago}], film)
    with database_of(app), transaction() as session:
        model = session.get_one(Video, first)
        shared = model.model_dump(
            include={"status", "s3_key", "poster_key", "size", "duration", "format", "etag"}
        )
        rows = [
            lifecycle.new_video(
                model.owner_id, title=title, created_at=long_ago - timedelta(minutes=number), **shared
            )
            for number, title in enumerate(titles[1:], 1)
        ]
        session.add_all(rows)
        return [first, *(row.id for row in rows)]


def _rows(email: str, videos: Sequence[dict[str, Any]], film: bytes) -> list[Video]:
    with transaction() as session:
        owner = session.exec(select(User).where(User.email == email)).one()
        rows = [lifecycle.new_video(owner.id, **{"status": Status.READY, **values}) for values in videos]
        for row in rows:
            if row.status == Status.READY:
                folder = f"videos/{owner.id}/{row.id}"
                row.s3_key, row.poster_key = f"{folder}/1_film.mp4", f"{folder}/poster.webp" if film else None
                row.size, row.duration, row.format = row.size or len(film), row.duration or 2.0, "mp4"
        session.add_all(rows)
        return rows


def _set_etag(video_id: str, stored: ObjectInfo | None) -> None:
    """Without it, the object would count as replaced."""
    assert stored
    with transaction() as session:
        session.get_one(Video, video_id).etag = stored.etag


@contextmanager
def database_of(app: RunningApp) -> Iterator[None]:
    """Services that are called in this process use the database of ``app``."""
    with changing, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATA_DIR", str(app.data_dir))
        forget()
        try:
            yield
        finally:
            forget()


def _poster() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (160, 90), (11, 110, 88)).save(file, "webp")
    return file.getvalue()
