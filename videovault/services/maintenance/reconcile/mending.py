"""Mending what was found, one thing at a time; each step looks again, so that several machines may do it at once."""

from collections.abc import Callable

from videovault import logs
from videovault.db import reading, transaction
from videovault.errors import StorageError
from videovault.gateways import storage
from videovault.models import Status, Video
from videovault.services.core import lifecycle
from videovault.services.maintenance.reconcile.folders import OURS, claims
from videovault.services.maintenance.reconcile.report import UNTOUCHED, Finding, Kind, Result
from videovault.services.transfer import cleanup, playable_copy
from videovault.services.videos import integrity, sidecar

REASONS = {
    Kind.MISSING_OBJECT: ("OBJECT_MISSING", "The stored file of this video is gone from S3."),
    Kind.WRONG_SIZE: ("OBJECT_CHANGED", "S3 holds another file than the one that was stored for this video."),
    Kind.WRONG_CRC32: (
        "OBJECT_CHANGED",
        "S3 holds another file than the one that was stored for this video.",
    ),
}
MEANWHILE = "It has changed meanwhile, so it was left alone."
log = logs.get(__name__)


def mend(found: Finding) -> Result:
    """What became of it; untouched are what is young and what only a person can judge."""
    if found.kind == Kind.WRONG_TAG:
        _note_swapped(found)
    if found.young or found.kind not in (*_WAYS, Kind.OLD_VERSION):
        return UNTOUCHED
    try:
        if found.kind == Kind.OLD_VERSION:
            return _delete_versions(found)
        is_mended = _WAYS[found.kind](found)
    except StorageError as error:
        log.warning("not mended", kind=found.kind, name=found.name, reason=error.public_message)
        return Result(is_mended=False, why=error.public_message)
    return Result(is_mended, "" if is_mended else MEANWHILE)


def _delete_orphan(found: Finding) -> bool:
    match = OURS.fullmatch(found.name)
    with reading() as session:
        row = session.get(Video, match[2]) if match else None
    if claims(row, found.name):
        return False
    log.warning("object without a video deleted", key=found.name, size=found.bytes)
    storage.connected().delete([found.name])
    return True


def _delete_versions(found: Finding) -> Result:
    match = OURS.fullmatch(found.name)
    with reading() as session:
        row = session.get(Video, match[2]) if match else None
    vault = storage.connected()
    if claims(row, found.name) or vault.info(found.name) is not None:
        return Result(is_mended=False, why=MEANWHILE)
    kept = vault.delete_versions(found.name)
    return Result(is_mended=kept is None, why=f"{kept} {kept.why}" if kept else "")


def _fail(found: Finding) -> bool:
    code, message = REASONS[found.kind]
    with transaction() as session:
        return found.video is not None and lifecycle.move(
            session, found.video, Status.FAILED, why=message, error_code=code, error_message=message
        )


def _make_copy_again(found: Finding) -> bool:
    return found.video is not None and playable_copy.make_again(found.video)


def _write_sidecar(found: Finding) -> bool:
    return sidecar.write_now(found.name)


def _tag(found: Finding) -> bool:
    return found.video is not None and integrity.tag(found.video)


def _note_swapped(found: Finding) -> None:
    """Nothing mends this by itself, but it is not forgotten."""
    if found.video is not None:
        with transaction() as session:
            integrity.note_swapped(session, found.video)


def _abort(found: Finding) -> bool:
    if found.upload is None or cleanup.is_known(found.upload):
        return False
    storage.connected().abort_upload(found.upload.key, found.upload.upload_id)
    return True


_WAYS: dict[Kind, Callable[[Finding], bool]] = {
    Kind.MISSING_OBJECT: _fail,
    Kind.WRONG_SIZE: _fail,
    Kind.WRONG_CRC32: _fail,
    Kind.UNKNOWN_TAG: _tag,
    Kind.SIDECAR: _write_sidecar,
    Kind.MISSING_COPY: _make_copy_again,
    Kind.ORPHAN: _delete_orphan,
    Kind.STRAY_UPLOAD: _abort,
}
