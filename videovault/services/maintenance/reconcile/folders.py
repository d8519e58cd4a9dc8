"""The bucket as a stream of video folders, and the rows that they belong to."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import TypeVar

from sqlmodel import col, select

from videovault.db import reading
from videovault.gateways.storage import Listed, Storage
from videovault.models import Status, User, Video
from videovault.services.core import naming
from videovault.services.core.naming import POSTER_NAME, SIDECAR_NAME
from videovault.services.core.views import PROCESSING

T = TypeVar("T")
BATCH = 200
# Objects with other keys are not ours: they are neither compared nor touched.
OBJECT_KEY = re.compile(r"videos/([A-Za-z0-9_-]{1,64})/(video_[0-9]{13}_[a-z0-9]{9})/.+")


@dataclass(frozen=True)
class Folder:
    owner_id: str
    video_id: str
    objects: tuple[Listed, ...] = ()

    @property
    def prefix(self) -> str:
        return naming.folder_path(self.owner_id, self.video_id)

    @property
    def sidecar(self) -> Listed | None:
        return self.named(self.prefix + SIDECAR_NAME)

    @property
    def poster_key(self) -> str | None:
        found = self.named(self.prefix + POSTER_NAME)
        return found.key if found else None

    @property
    def videos(self) -> list[Listed]:
        """The objects other than sidecar, poster and playable copy; the latest attempt comes last."""
        companions = (self.prefix + POSTER_NAME, self.prefix + SIDECAR_NAME)
        return [
            each for each in self.objects if each.key not in companions and not naming.is_copy_key(each.key)
        ]

    def named(self, key: str | None) -> Listed | None:
        return next((each for each in self.objects if each.key == key), None)


@dataclass(frozen=True)
class VideoWithOwner:
    """A video's row and its owner's."""

    video: Video
    owner: User


def list_folders(vault: Storage) -> Iterator[Folder]:
    """Each video's folder with its objects. S3 lists keys in order, so the objects of a folder are adjacent."""
    ours = (
        (match.groups(), each)
        for each in vault.objects("videos/")
        if (match := OBJECT_KEY.fullmatch(each.key))
    )
    for (owner_id, video_id), objects in groupby(ours, key=lambda entry: entry[0]):
        yield Folder(owner_id, video_id, tuple(each for _, each in objects))


def in_batches(items: Iterator[T]) -> Iterator[list[T]]:
    while batch := list(islice(items, BATCH)):
        yield batch


def rows_by_folder(batch: Sequence[Folder]) -> Mapping[str, VideoWithOwner]:
    """The rows of these folders, by the folder's prefix."""
    wanted = (
        select(Video, User)
        .join(User, col(User.id) == col(Video.owner_id))
        .where(col(Video.id).in_([each.video_id for each in batch]))
    )
    with reading() as session:
        return {naming.folder(video): VideoWithOwner(video, owner) for video, owner in session.exec(wanted)}


def ready_videos() -> Iterator[VideoWithOwner]:
    """Every ready video, one page in memory at a time."""
    last = ""
    page = select(Video, User).join(User, col(User.id) == col(Video.owner_id))
    page = page.where(Video.status == Status.READY).order_by(col(Video.id)).limit(BATCH)
    while True:
        with reading() as session:
            found = [
                VideoWithOwner(video, owner)
                for video, owner in session.exec(page.where(col(Video.id) > last))
            ]
        yield from found
        if not found:
            return
        last = found[-1].video.id


def claims(video: Video | None, key: str) -> bool:
    """Whether an object belongs, or may come to belong, to this row. During processing and deletion all of the folder does."""
    if video is None or not key.startswith(naming.folder(video)):
        return False
    if video.status in (*PROCESSING, Status.DELETING):
        return True
    companions = (naming.folder(video) + name for name in (POSTER_NAME, SIDECAR_NAME))
    return key in (video.s3_key, video.copy_key, *companions)
