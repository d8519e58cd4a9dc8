"""Secret keys: check at start that the configured ones open the database, replace lost ones, and reseal rows.

A canary is a known text sealed with a key. Each key that seals rows has one, so that a start without any of these
keys is refused. The current key gets its canary at its first start, and ``reseal`` deletes the others. After a change
of SECRET_KEY, rows are resealed when they are next changed, or all at once.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, select

from videovault import installation, security
from videovault.clock import utcnow
from videovault.config import settings
from videovault.config.validation import is_guessable
from videovault.db import advisory_lock, reading, transaction
from videovault.errors import ConfigurationError
from videovault.models import Event, IdempotencyKey, KeyCanary, Video
from videovault.services.core.access import reseal_key
from videovault.services.core.audit import KEY_REPLACED

CANARY = {"owner_id": "installation", "video_id": "canary"}
BATCH = 500
SHOWN = 8  # digits of a fingerprint in messages
REMEDY = """Nothing was changed. Do one of these, then start again:
  - Restore {file} from a backup, or set SECRET_KEY to the key that was used before.
  - If SECRET_KEY was changed on purpose: put the previous key into SECRET_KEY_OLD{unusable}.
  - If that key is lost: `python -m videovault reconcile --rekey` gives the videos new secret keys. Their share links \
stop working; the videos themselves are kept."""


@dataclass
class Rekeyed:
    """The number of videos with a new secret key, and of those whose key opens."""

    replaced: int = 0
    kept: int = 0


@dataclass
class Resealed:
    """The numbers of resealed rows, of rows sealed with the current key, and of rows that no configured key opens."""

    resealed: int = 0
    current: int = 0
    unopened: int = 0


def verify_keys() -> None:
    """Check that every key that sealed rows is configured, and add a canary for the current one.

    Raises ConfigurationError with instructions when one is missing.
    """
    canaries = _read_canaries()
    _check_old_keys()
    is_noted = any(_is_current(canary) and canary.fingerprint for canary in canaries)
    if is_noted and all(_opens(canary) for canary in canaries):
        return
    with transaction() as session:
        advisory_lock(session, "keys")
        _add_current_canary(session)


def compare_keys(*, is_shared: bool) -> None:
    """Like ``verify_keys``, but changes nothing, so that a process that is refused later leaves no key behind.

    ``is_shared``: other machines use this database, whose first key must not be one that this machine made for itself.
    """
    canaries = _read_canaries()
    if is_shared and not canaries and not settings().secret_key.get_secret_value():
        raise ConfigurationError(
            "The installation has no secret key yet, and SECRET_KEY is not set here: set it as the app has it, or start "
            "the app first."
        )
    if not _is_key_missing():
        _check_old_keys()
        _check_canaries(canaries)


def key_opens() -> bool:
    """Like ``verify_keys``, but changes nothing; False if there is neither a key nor anything sealed with one."""
    canaries = _read_canaries()
    if _is_key_missing():
        return False
    _check_canaries(canaries)
    return True


def rekey() -> Rekeyed:
    """Give a new secret key to each video whose key cannot be opened, which ends its share links.

    Its object in S3 keeps the old tag until ``reconcile --repair`` tags it again.
    """
    done = Rekeyed()
    for page in _pages():
        with transaction() as session:
            for video_id in page:
                video = session.get(Video, video_id, with_for_update=True)
                if video is None or _opens_video(video):
                    done.kept += video is not None
                    continue
                fresh = security.new_secret_key()
                video.sealed_key = security.seal(fresh, owner_id=video.owner_id, video_id=video.id)
                video.share_views, video.updated_at = 0, utcnow()
                session.add(Event(kind=KEY_REPLACED, video_id=video.id, detail={"why": "the key was lost"}))
                done.replaced += 1
    delete_old_canaries()
    return done


def count_unopenable() -> Rekeyed:
    """What ``rekey`` would do."""
    done = Rekeyed()
    for page in _pages():
        with reading() as session:
            for video in session.exec(select(Video).where(col(Video.id).in_(page))):
                opens = _opens_video(video)
                done.kept += opens
                done.replaced += not opens
    return done


def reseal_videos() -> Resealed:
    """Reseal the keys of all videos. Idempotent, and safe while everything runs."""
    done = Resealed()
    for page in _pages():
        with transaction() as session:
            for video_id in page:
                video = session.get(Video, video_id)
                if video is not None:
                    _count(done, _opens_video(video), reseal_key(session, video))
    return done


def reseal_idempotency_keys() -> Resealed:
    """Reseal the responses that are stored for idempotency keys."""
    done = Resealed()
    with transaction() as session:
        kept = select(IdempotencyKey).where(col(IdempotencyKey.sealed_answer).is_not(None))
        for entry in session.exec(kept.with_for_update()):
            owner, video_id, sealed = entry.user_id, str(entry.video_id), str(entry.sealed_answer)
            opens = security.unseal(sealed, owner_id=owner, video_id=video_id) is not None
            fresh = security.reseal(sealed, owner_id=owner, video_id=video_id)
            entry.sealed_answer = fresh or sealed
            _count(done, opens, fresh is not None)
    return done


RESEALERS: dict[str, Callable[[], Resealed]] = {
    "secret keys of videos": reseal_videos,
    "stored responses": reseal_idempotency_keys,
}


def delete_old_canaries() -> None:
    """Delete the canaries of all but the current key, once it seals every row."""
    with transaction() as session:
        advisory_lock(session, "keys")
        for canary in session.exec(select(KeyCanary)):
            if not _is_current(canary):
                session.delete(canary)
        session.flush()
        _add_current_canary(session)


def _read_canaries() -> Sequence[KeyCanary]:
    """Raises ConfigurationError if there are rows, but no key."""
    with reading() as session:
        canaries = session.exec(select(KeyCanary)).all()
        is_used = bool(canaries) or session.exec(select(Video.id).limit(1)).first() is not None
    if is_used and _is_key_missing():
        raise ConfigurationError(
            f"There is no secret key, but this database was used with one: {_key_file()} is missing, and SECRET_KEY is "
            f"not set.\n{_remedy()}"
        )
    return canaries


def _check_old_keys() -> None:
    if any(is_guessable(old) for old in settings().sealing_keys[1:]):
        raise ConfigurationError(
            "SECRET_KEY_OLD holds a key that is easy to guess, and anyone who does so can forge links and reports. "
            "Run `python -m videovault reseal`, then remove that key from SECRET_KEY_OLD."
        )


def _add_current_canary(session: Session) -> None:
    """Add the current key's canary if the others open."""
    canaries = session.exec(select(KeyCanary)).all()
    _check_canaries(canaries)
    current = next((canary for canary in canaries if _is_current(canary)), None)
    current = current or KeyCanary(sealed=security.seal("canary", **CANARY))
    current.fingerprint = security.key_fingerprint(settings().sealing_keys[0])
    session.add(current)


def _check_canaries(canaries: Sequence[KeyCanary]) -> None:
    """Raises ConfigurationError if the configured keys do not open all of them."""
    if not all(_opens(canary) for canary in canaries):
        raise ConfigurationError(
            f"The secret key is not the one that this database was used with. {_describe_keys(canaries)}\n{_remedy()}"
        )
    if not canaries:  # a database of a version without canaries: check its videos
        found = count_unopenable()
        if found.replaced:
            total = found.replaced + found.kept
            raise ConfigurationError(
                f"The secret key does not open the secret keys of {found.replaced:,} of {total:,} videos: they were "
                f"sealed with another one.\n{_remedy()}"
            )


def _describe_keys(canaries: Sequence[KeyCanary]) -> str:
    """Name the keys by the beginning of their fingerprints; canaries of earlier versions have none."""
    lost = [canary.fingerprint[:SHOWN] for canary in canaries if canary.fingerprint and not _opens(canary)]
    used = f"the key {' and '.join(lost)}" if lost else "another key"
    own = security.key_fingerprint(settings().sealing_keys[0])[:SHOWN]
    return f"SECRET_KEY: the installation uses {used}, this process {own} (fingerprints)."


def _is_key_missing() -> bool:
    chosen = settings()
    file = chosen.data_dir / installation.FILE_NAME
    return not chosen.secret_key.get_secret_value() and not file.exists()


def _opens(canary: KeyCanary) -> bool:
    return security.unseal(canary.sealed, **CANARY) is not None


def _is_current(canary: KeyCanary) -> bool:
    return _opens(canary) and security.reseal(canary.sealed, **CANARY) is None


def _opens_video(video: Video) -> bool:
    return security.unseal(video.sealed_key, owner_id=video.owner_id, video_id=video.id) is not None


def _pages() -> Iterator[list[str]]:
    last = ""
    while True:
        page = select(Video.id).where(col(Video.id) > last).order_by(col(Video.id)).limit(BATCH)
        with reading() as session:
            found = list(session.exec(page))
        if not found:
            return
        yield found
        last = found[-1]


def _count(done: Resealed, opens: bool, resealed: bool) -> None:
    if not opens:
        done.unopened += 1
    elif resealed:
        done.resealed += 1
    else:
        done.current += 1


def _key_file() -> str:
    return str(settings().data_dir / installation.FILE_NAME)


def _remedy() -> str:
    unusable = " (the present value does not open it)" if settings().secret_key_old.get_secret_value() else ""
    return REMEDY.format(file=_key_file(), unusable=unusable)
