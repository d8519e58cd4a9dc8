"""Rebuild lost rows from the bucket: each video from its sidecar, or else from its key and S3 metadata."""

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
from videovault.services.maintenance.reconcile.compare import Folder, in_batches, list_folders
from videovault.services.maintenance.reconcile.report import Example, Group, GroupBuilder
from videovault.services.maintenance.reconcile.runner import AT_ONCE
from videovault.services.transfer import playable_copy
from videovault.services.videos import integrity, sidecar
from videovault.services.videos.sidecar import Owner, Script, Sidecar, StoredMetadata

# A reserved domain (RFC 2606) that receives no mail. Unlike .invalid, forms and commands accept it.
PLACEHOLDER_DOMAIN = "rebuilt.example"
MAX_ATTEMPTS = 3
VIDEO_ID_TIME = re.compile(r"video_([0-9]{13})_.*")
FILE_NAME = re.compile(r"(?:[0-9]{13}_)?(.*?)(?:\.([a-z0-9]+))?")
log = logs.get(__name__)


class Rebuilt(View):
    """``rebuilt`` and ``from_s3_alone``, those without a sidecar, are new rows; ``kept`` counts the existing ones.

    ``untagged`` are new rows whose objects could not be tagged.
    """

    rebuilt: Group
    from_s3_alone: Group
    untagged: Group
    not_rebuilt: Group
    users: Group
    kept: int


class NotRebuilt(Exception):
    """A folder cannot be rebuilt; the message is the reason."""


@dataclass(frozen=True)
class _Outcome:
    """The result for one folder; ``kind`` is a field of Rebuilt, ``user_id`` an account that was created for it."""

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
        for email in _emails_of(self.user_ids):
            self.sums["users"].add(Example(name=email, bytes=0))
        groups = {name: total.group() for name, total in self.sums.items() if name != "kept"}
        return Rebuilt(kept=self.sums["kept"].count, **groups)


def rebuild() -> Rebuilt:
    """Create the missing rows of the bucket's videos, and the missing accounts of their owners.

    Existing rows are not changed, so a second run changes nothing. Each new row gets a new secret key, which
    invalidates old share links. Raises StorageError when the bucket cannot be listed.
    """
    # The hash of an unknown password: these accounts need a new one.
    unusable_hash = security.hash_password(security.new_token())
    tally = _Tally()
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="rebuild") as pool:
        for batch in in_batches(list_folders(storage.connected())):
            for outcome in pool.map(partial(_rebuild_folder, unusable_hash=unusable_hash), batch):
                tally.add(outcome)
    return tally.rebuilt()


def _rebuild_folder(folder: Folder, *, unusable_hash: str) -> _Outcome:
    with reading() as session:
        if session.get(Video, folder.video_id):
            return _Outcome("kept", folder.video_id)
    try:
        described, guessed = _describe(folder)
        video = _new_row(described, folder, _check_object(described))
        user_id = _add_row(video, described.owner, unusable_hash)
    except (NotRebuilt, StorageError) as error:
        return _Outcome("not_rebuilt", folder.prefix, sum(each.size for each in folder.objects), str(error))
    kind = "from_s3_alone" if guessed else "rebuilt"
    return _Outcome(kind, video.id, video.size or 0, video.title, not _tag(video), user_id)


def _describe(folder: Folder) -> tuple[Sidecar, bool]:
    """The description of a folder's video, and whether it is guessed from S3 alone."""
    found = sidecar.read(folder.prefix) if folder.sidecar else None
    if found is None:
        return _guess_from_s3(folder), True
    if folder.named(found.s3_key) is None:
        raise NotRebuilt("the sidecar exists, but not the video")
    return found, False


def _guess_from_s3(folder: Folder) -> Sidecar:
    """Title from the file name, time from the video's id, owner from the key."""
    if not folder.videos:
        raise NotRebuilt("there is no video in the folder")
    latest = folder.videos[-1]
    name = FILE_NAME.fullmatch("".join(char for char in latest.key.rsplit("/", 1)[-1] if char.isprintable()))
    created_at_match = VIDEO_ID_TIME.fullmatch(folder.video_id)
    return Sidecar(
        video_id=folder.video_id,
        owner=Owner(user_id=folder.owner_id, email=""),
        title=(name and name[1][:200]) or "Untitled",
        script=Script(),
        metadata=StoredMetadata(format=name[2] if name and name[2] in CONTENT_TYPES else "mp4"),
        s3_key=latest.key,
        created_at=datetime.fromtimestamp(int(created_at_match[1]) / 1000, UTC)
        if created_at_match
        else latest.modified_at,
    )


def _check_object(described: Sidecar) -> ObjectInfo:
    """The object's metadata in S3, if size and CRC-32 match the sidecar."""
    info, metadata = storage.connected().info(described.s3_key), described.metadata
    if info is None:
        raise NotRebuilt("the video is missing")
    if metadata.size not in (None, info.size):
        raise NotRebuilt(f"the video has {info.size:,} bytes, its sidecar says {metadata.size:,}")
    if info.crc32 is not None and metadata.crc32 not in (None, f"{info.crc32:08x}"):
        raise NotRebuilt(f"the video has the CRC-32 {info.crc32:08x}, its sidecar says {metadata.crc32}")
    return info


def _new_row(described: Sidecar, folder: Folder, info: ObjectInfo) -> Video:
    owner_id, video_id = folder.owner_id, folder.video_id
    metadata = described.metadata
    columns = {name: getattr(metadata, name) for name in StoredMetadata.model_fields}
    columns |= {"size": info.size, "etag": info.etag}
    if info.crc32 is not None:
        columns["crc32"] = f"{info.crc32:08x}"
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
        **columns,
        **_copy(described, folder),
    )


def _copy(described: Sidecar, folder: Folder) -> dict[str, Any]:
    """The row's columns for the playable copy: the existing one, or one to be created."""
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


def _add_row(video: Video, owner: Owner, unusable_hash: str) -> str:
    """Add the row, and its owner's if missing. Returns the id of a created account, or nothing."""
    for _ in range(MAX_ATTEMPTS):
        try:
            with transaction() as session:
                created = _ensure_account(session, owner, unusable_hash)
                session.add(video)
                session.add(Event(kind=audit.REBUILT, video_id=video.id))
        except IntegrityError:
            continue  # another thread or machine created the same account
        return owner.user_id if created else ""
    raise NotRebuilt("it was changed at the same time: run the command again")


def _ensure_account(session: Session, owner: Owner, unusable_hash: str) -> bool:
    """Make sure that the owner has an account with the sidecar's e-mail address. Returns whether one was created."""
    placeholder_email = f"{owner.user_id.lower()}@{PLACEHOLDER_DOMAIN}"
    user = session.get(User, owner.user_id)
    created = user is None
    user = user or User(id=owner.user_id, email=placeholder_email, password_hash=unusable_hash)
    email = _valid_email(owner)
    if user.email == placeholder_email and email:
        taken = session.exec(select(User.id).where(User.email == email, User.id != user.id)).first()
        # A new registration with this address proves nothing, so it does not get the old videos.
        user.email, user.name = (
            (placeholder_email, f"{owner.name} ({email})".strip()[:200]) if taken else (email, owner.name)
        )
    session.add(user)
    session.flush()
    return created


def _valid_email(owner: Owner) -> str:
    try:
        return fields.normalize_email(owner.email)
    except InvalidInput:
        return ""


def _tag(video: Video) -> bool:
    """Tag the object with its new secret key where possible; ``reconcile`` reports the others."""
    vault = storage.connected()
    if not vault.keeps_metadata:
        return True
    try:
        return integrity.tag(video)
    except StorageError as error:
        log.warning("not tagged", video_id=video.id, reason=error.public_message)
        return False


def _emails_of(user_ids: Iterable[str]) -> list[str]:
    with reading() as session:
        return sorted(session.exec(select(User.email).where(col(User.id).in_(list(user_ids)))))
