"""Rows made again from a bucket when the database is lost: each video by its sidecar, or by what S3 knows."""

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from videovault import logs, security
from videovault.db import reading, transaction
from videovault.errors import InvalidInput, StorageError
from videovault.gateways import storage
from videovault.gateways.container import CONTENT_TYPES
from videovault.gateways.storage import ObjectInfo
from videovault.models import CopyState, Event, Status, User, Video
from videovault.services.core import audit, fields
from videovault.services.core.naming import is_copy_key
from videovault.services.core.views import View
from videovault.services.maintenance.reconcile.folders import Folder, in_batches, list_folders
from videovault.services.maintenance.reconcile.report import Example, Group, GroupBuilder
from videovault.services.maintenance.reconcile.runner import AT_ONCE
from videovault.services.transfer import playable_copy
from videovault.services.videos import integrity, sidecar
from videovault.services.videos.sidecar import Owner, Script, Sidecar, StoredMetadata

# Nobody ever gets mail there (RFC 2606); unlike .invalid, forms and commands take it as an address.
PLACEHOLDER = "rebuilt.example"
TRIES = 3
MADE_AT = re.compile(r"video_([0-9]{13})_.*")
NAMED = re.compile(r"(?:[0-9]{13}_)?(.*?)(?:\.([a-z0-9]+))?")
log = logs.get(__name__)


class Rebuilt(View):
    """What came back. ``rebuilt`` and ``from_s3_alone``, those without a sidecar, are new rows; ``kept`` counts rows
    that were there before. ``untagged`` are new rows whose objects could not be tagged anew."""

    rebuilt: Group
    from_s3_alone: Group
    untagged: Group
    not_rebuilt: Group
    users: Group
    kept: int


class NotRebuilt(Exception):
    """Nothing can, or should, be made of a folder; says why."""


@dataclass(frozen=True)
class _Outcome:
    """Of one folder; ``kind`` is a field of Rebuilt, ``user_id`` an account that was made for it."""

    kind: str
    name: str
    size: int = 0
    detail: str = ""
    untagged: bool = False
    user_id: str = ""


@dataclass
class _Tally:
    sums: dict[str, GroupBuilder] = field(
        default_factory=lambda: {name: GroupBuilder() for name in Rebuilt.model_fields}
    )
    user_ids: set[str] = field(default_factory=set)

    def add(self, outcome: _Outcome) -> None:
        example = Example(name=outcome.name, bytes=outcome.size, detail=outcome.detail)
        self.sums[outcome.kind].add(example)
        if outcome.untagged:
            self.sums["untagged"].add(example)
        if outcome.user_id:
            self.user_ids.add(outcome.user_id)

    def rebuilt(self) -> Rebuilt:
        for email in _addresses(self.user_ids):
            self.sums["users"].add(Example(name=email, bytes=0))
        groups = {name: total.group() for name, total in self.sums.items() if name != "kept"}
        return Rebuilt(kept=self.sums["kept"].count, **groups)


def rebuild() -> Rebuilt:
    """Make the rows that the bucket's videos lack, and the accounts that they belong to.

    Rows that are there are left alone, so that running it again changes nothing. Each new row gets a new secret
    key: old links for sharing are dead. Raises StorageError when the bucket cannot be listed.
    """
    # Of a password that nobody has seen: these accounts have to be given one.
    unusable = security.hash_password(security.new_token())
    tally = _Tally()
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="rebuild") as pool:
        for batch in in_batches(list_folders(storage.connected())):
            for outcome in pool.map(partial(_one, unusable=unusable), batch):
                tally.add(outcome)
    return tally.rebuilt()


def _one(folder: Folder, *, unusable: str) -> _Outcome:
    with reading() as session:
        if session.get(Video, folder.video_id):
            return _Outcome("kept", folder.video_id)
    try:
        described, guessed = _described(folder)
        video = _video(described, folder, _proven(described))
        user_id = _keep(video, described.owner, unusable)
    except (NotRebuilt, StorageError) as error:
        return _Outcome("not_rebuilt", folder.prefix, sum(each.size for each in folder.objects), str(error))
    kind = "from_s3_alone" if guessed else "rebuilt"
    return _Outcome(kind, video.id, video.size or 0, video.title, not _tagged(video), user_id)


def _described(folder: Folder) -> tuple[Sidecar, bool]:
    """What is known of a folder's video, and whether that is guessed from S3 alone."""
    found = sidecar.read(folder.prefix) if folder.sidecar else None
    if found is None:
        return _guess(folder), True
    if folder.named(found.s3_key) is None:
        raise NotRebuilt("its sidecar is there, but not the video")
    return found, False


def _guess(folder: Folder) -> Sidecar:
    """The title from the file's name, the time from the video's id, the owner from the key."""
    if not folder.videos:
        raise NotRebuilt("there is no video in it")
    latest = folder.videos[-1]
    name = NAMED.fullmatch("".join(char for char in latest.key.rsplit("/", 1)[-1] if char.isprintable()))
    made_at = MADE_AT.fullmatch(folder.video_id)
    return Sidecar(
        video_id=folder.video_id,
        owner=Owner(user_id=folder.owner_id, email=""),
        title=(name and name[1][:200]) or "Untitled",
        script=Script(),
        metadata=StoredMetadata(format=name[2] if name and name[2] in CONTENT_TYPES else "mp4"),
        s3_key=latest.key,
        created_at=datetime.fromtimestamp(int(made_at[1]) / 1000, UTC) if made_at else latest.modified_at,
    )


def _proven(described: Sidecar) -> ObjectInfo:
    """What S3 says of the object, if that is what the sidecar speaks of."""
    info, told = storage.connected().info(described.s3_key), described.metadata
    if info is None:
        raise NotRebuilt("the video is gone")
    if told.size not in (None, info.size):
        raise NotRebuilt(f"the video has {info.size:,} bytes, its sidecar speaks of {told.size:,}")
    if info.crc32 is not None and told.crc32 not in (None, f"{info.crc32:08x}"):
        raise NotRebuilt(f"the video has the CRC-32 {info.crc32:08x}, its sidecar speaks of {told.crc32}")
    return info


def _video(described: Sidecar, folder: Folder, info: ObjectInfo) -> Video:
    owner_id, video_id = folder.owner_id, folder.video_id
    told = described.metadata
    measured = {name: getattr(told, name) for name in StoredMetadata.model_fields}
    measured |= {"size": info.size, "etag": info.etag}
    if info.crc32 is not None:
        measured["crc32"] = f"{info.crc32:08x}"
    return Video(
        id=video_id,
        owner_id=owner_id,
        title=described.title,
        status=Status.READY,
        sealed_key=security.seal(security.new_secret_key(), owner_id=owner_id, video_id=video_id),
        s3_key=described.s3_key,
        poster_key=folder.poster_key,
        created_at=described.created_at,
        bytes_done=info.size,
        bytes_total=info.size,
        **described.script.model_dump(),
        **measured,
        **_copy(described, folder),
    )


def _copy(described: Sidecar, folder: Folder) -> dict[str, Any]:
    """The row's columns of the playable copy: the one that is there, or one to be made."""
    copy = described.playable_copy
    listed = folder.named(copy.key) if copy else None
    if copy is None or listed is None or listed.size != copy.size or not is_copy_key(copy.key):
        return {"copy_state": playable_copy.initial_state(described.metadata.playback)}
    return {
        "copy_state": CopyState.READY,
        "copy_key": copy.key,
        "copy_format": copy.format,
        "copy_size": copy.size,
        "copy_etag": listed.etag,
    }


def _keep(video: Video, owner: Owner, unusable: str) -> str:
    """Add the row, and its owner's if need be; the id of an account that was made, or nothing."""
    for _ in range(TRIES):
        try:
            with transaction() as session:
                made = _account(session, owner, unusable)
                session.add(video)
                session.add(Event(kind=audit.REBUILT, video_id=video.id))
        except IntegrityError:
            continue  # another thread or machine made the same account in this moment
        return owner.user_id if made else ""
    raise NotRebuilt("somebody else was writing it at the same time: run this again")


def _account(session: Session, owner: Owner, unusable: str) -> bool:
    """See to it that the owner has an account, by the address that the sidecar tells; whether one was made."""
    nameless = f"{owner.user_id.lower()}@{PLACEHOLDER}"
    user = session.get(User, owner.user_id)
    made = user is None
    user = user or User(id=owner.user_id, email=nameless, password_hash=unusable)
    email = _address(owner)
    if user.email == nameless and email:
        taken = session.exec(select(User.id).where(User.email == email, User.id != user.id)).first()
        # Whoever registered anew by this address has proven nothing, so the old videos are not theirs by it.
        user.email, user.name = (
            (nameless, f"{owner.name} ({email})".strip()[:200]) if taken else (email, owner.name)
        )
    session.add(user)
    session.flush()
    return made


def _address(owner: Owner) -> str:
    try:
        return fields.normalize_email(owner.email)
    except InvalidInput:
        return ""


def _tagged(video: Video) -> bool:
    """Tag the object by its new secret key where that is possible; ``reconcile`` knows of those that are not."""
    vault = storage.connected()
    if not vault.keeps_metadata:
        return True
    try:
        return integrity.tag(video)
    except StorageError as error:
        log.warning("not tagged", video_id=video.id, reason=error.public_message)
        return False


def _addresses(user_ids: Iterable[str]) -> list[str]:
    with reading() as session:
        return sorted(session.exec(select(User.email).where(col(User.id).in_(list(user_ids)))))
