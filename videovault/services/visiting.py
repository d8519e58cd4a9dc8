"""What somebody with a share link may do, without an account: open its page, play the video and download it."""

from dataclasses import dataclass, field

from sqlalchemy import CursorResult, update
from sqlmodel import Session, col, or_

from videovault import logs, security
from videovault.db import reading, transaction
from videovault.errors import ObjectSwapped, WrongSecretKey
from videovault.models import Event, Video
from videovault.services import limiting, ownership, places, videos
from videovault.services.access import Visitor, open_video
from videovault.services.share_views import SharedView

TICKET_SECONDS = 6 * 3600  # how long an open page may play and download, whatever the limit of views
log = logs.get(__name__)


@dataclass(frozen=True)
class Visit:
    """A key, the address it came from, and the ticket of a page that is open already."""

    secret_key: str = field(repr=False)
    address: str = ""
    ticket: str = field(default="", repr=False)


def open_page(video_id: str, visit: Visit) -> SharedView:
    """What the page of a link shows; it counts as a view, but for a page that has its ticket already.

    Raises WrongSecretKey alike for a wrong, old, closed or used-up link and for an absent video, and RateLimited.
    """
    video = _proven(video_id, visit)
    inside = _is_inside(video_id, visit)
    if not inside:
        _count(video_id, visit, "page")
    return SharedView(
        video_id=video.id,
        title=video.title,
        company_name=video.company_name,
        duration=video.duration,
        size=video.size,
        has_poster=video.poster_key is not None,
        ticket=visit.ticket if inside else security.visit_ticket(video.id),
    )


def download_url(video_id: str, visit: Visit, *, inline: bool = False) -> str:
    """A fresh presigned URL to save the file or (``inline``) to play it; without a ticket it counts as a view.

    Raises as ``open_page`` does.
    """
    video = _proven(video_id, visit)
    if not _is_inside(video_id, visit):
        _count(video_id, visit, "address")
    if not inline:
        with transaction() as session:
            detail = {"network": places.network_of(visit.address)}
            session.add(Event(kind="share_download", video_id=video_id, detail=detail))
    return videos.video_link(video, inline=inline)


def poster_url(video_id: str, visit: Visit) -> str:
    """A fresh presigned URL of the poster; not counted. Raises as ``open_page`` does."""
    with reading() as session:
        link = videos.poster_link(_let_in(session, video_id, visit))
    if link is None:
        raise WrongSecretKey
    return link


def _is_inside(video_id: str, visit: Visit) -> bool:
    return security.is_visit_ticket(visit.ticket, video_id, max_age_seconds=TICKET_SECONDS)


def _proven(video_id: str, visit: Visit) -> Video:
    with reading() as session:
        video = _let_in(session, video_id, visit)
    try:
        ownership.check(video)
    except ObjectSwapped as error:
        raise WrongSecretKey from error
    return video


def _let_in(session: Session, video_id: str, visit: Visit) -> Video:
    address = places.counted_as(visit.address)
    limiting.check_untried(limiting.WRONG_KEYS, "share", address)
    try:
        return open_video(session, Visitor(visit.secret_key), video_id, "watch").row
    except WrongSecretKey:
        limiting.check(limiting.WRONG_KEYS, "share", address)
        log.info("share link refused", video_id=video_id, network=places.network_of(visit.address))
        raise


def _count(video_id: str, visit: Visit, way: str) -> None:
    """One more view, unless there have been enough."""
    room = or_(col(Video.share_most_views).is_(None), col(Video.share_views) < col(Video.share_most_views))
    with transaction() as session:
        video = _let_in(session, video_id, visit)
        more = update(Video).where(col(Video.id) == video_id, room)
        counted = session.execute(
            more.values(share_views=Video.share_views + 1).execution_options(synchronize_session=False)
        )
        if not isinstance(counted, CursorResult) or counted.rowcount == 0:
            raise WrongSecretKey
        session.refresh(video, ["share_views"])
        detail = {"network": places.network_of(visit.address), "views": video.share_views, "by": way}
        session.add(Event(kind="share_opened", video_id=video_id, detail=detail))
