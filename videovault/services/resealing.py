"""A new SECRET_KEY: what earlier ones sealed is sealed anew, when it is next changed or all at once."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlmodel import col, select

from videovault import security
from videovault.db import reading, transaction
from videovault.models import IdempotencyKey, Video
from videovault.services.access import seal_again

BATCH = 500


@dataclass
class Resealed:
    """How many were sealed anew, were so already, and cannot be opened by any key that is set."""

    anew: int = 0
    current: int = 0
    unopened: int = 0


def reseal_videos() -> Resealed:
    """Seal all videos' keys anew; safe while everything runs, and as often as wanted."""
    done, last = Resealed(), ""
    while page := _page(last):
        with transaction() as session:
            for video_id in page:
                video = session.get(Video, video_id)
                if video is not None:
                    _count(done, _opens(video), seal_again(session, video))
        last = page[-1]
    return done


def reseal_answers() -> Resealed:
    """The same for the answers that are kept for idempotency keys."""
    done = Resealed()
    with transaction() as session:
        kept = select(IdempotencyKey).where(col(IdempotencyKey.sealed_answer).is_not(None))
        for entry in session.exec(kept.with_for_update()):
            owner, video_id, sealed = entry.user_id, str(entry.video_id), str(entry.sealed_answer)
            opens = security.open_sealed(sealed, owner_id=owner, video_id=video_id) is not None
            fresh = security.resealed(sealed, owner_id=owner, video_id=video_id)
            entry.sealed_answer = fresh or sealed
            _count(done, opens, fresh is not None)
    return done


WHAT: dict[str, Callable[[], Resealed]] = {
    "secret keys of videos": reseal_videos,
    "kept answers": reseal_answers,
}


def _page(after: str) -> list[str]:
    page = select(Video.id).where(col(Video.id) > after).order_by(col(Video.id)).limit(BATCH)
    with reading() as session:
        return list(session.exec(page))


def _opens(video: Video) -> bool:
    return security.open_sealed(video.sealed_key, owner_id=video.owner_id, video_id=video.id) is not None


def _count(done: Resealed, opens: bool, anew: bool) -> None:
    if not opens:
        done.unopened += 1
    elif anew:
        done.anew += 1
    else:
        done.current += 1
