"""What somebody with a share link may do, without an account: open its page, play the video and download it."""

from dataclasses import dataclass, field
from functools import partial

from sqlalchemy import CursorResult, update
from sqlmodel import Session, col, or_

from videovault import logs, security
from videovault.db import AUDIT_LOCK_SECONDS, reading, transaction, try_write
from videovault.errors import ObjectSwapped, RateLimited, WrongSecretKey
from videovault.models import Video
from videovault.security import ViewPass
from videovault.services.core import audit, client_ip, rate_limits
from videovault.services.core.access import Visitor, open_video
from videovault.services.core.views import CopyView, Measured
from videovault.services.sharing import share_links
from videovault.services.sharing.share_links import SharedView
from videovault.services.videos import gallery, integrity

VIEW_PASS_SECONDS = 6 * 3600  # how long an open page may play and download, whatever the limit of views then


@dataclass(frozen=True)
class ShareCredentials:
    """A key, the address it came from, and the ticket of a page that is open already."""

    secret_key: str = field(repr=False)
    address: str = ""
    ticket: str = field(default="", repr=False)


def open_page(video_id: str, visit: ShareCredentials) -> SharedView:
    """What the page of a link shows; it counts as a view, but for a page that has its ticket already.

    Raises WrongSecretKey alike for a wrong, old, closed or used-up link and for an absent video, and RateLimited.
    """
    ticket = _ticket(video_id)
    video = _proven(video_id, visit)
    inside = _is_inside(ticket, visit)
    if not inside:
        _count(video, visit, "page")
    return SharedView(
        video_id=video.id,
        title=video.title,
        company_name=video.company_name,
        duration=video.duration,
        size=video.size,
        has_poster=video.poster_key is not None,
        format=video.format,
        measured=Measured.model_validate(video, from_attributes=True),
        playable_copy=_copy_for_visitors(video),
        ticket=visit.ticket if inside else security.issue_view_pass(ticket),
    )


def download_url(video_id: str, visit: ShareCredentials, *, inline: bool = False) -> str:
    """A fresh presigned URL to save the file or (``inline``) to play it; without a ticket it counts as a view.

    Raises as ``open_page`` does.
    """
    ticket = _ticket(video_id)
    video = _proven(video_id, visit)
    if not _is_inside(ticket, visit):
        _count(video, visit, "address")
    if not inline:
        detail = {"network": client_ip.anonymize(visit.address)}
        audit.try_record_hourly("share_download", video_id=video_id, client_ip=visit.address, detail=detail)
    return gallery.video_link(video, inline=inline, copied=inline and integrity.is_copy_intact(video))


def poster_url(video_id: str, visit: ShareCredentials) -> str:
    """A fresh presigned URL of the poster; not counted, but gone with the last view. Raises as ``open_page`` does."""
    ticket = _ticket(video_id)
    with reading() as session:
        video = _let_in(session, video_id, visit)
    link = gallery.poster_link(video)
    if link is None or (_is_used_up(video) and not _is_inside(ticket, visit)):
        raise WrongSecretKey
    return link


def _copy_for_visitors(video: Video) -> CopyView | None:
    """Why there is no copy is the owner's business: it may tell of the account."""
    copy = CopyView.of(video)
    return copy and copy.model_copy(update={"error": None})


def _ticket(video_id: str) -> ViewPass:
    """To be asked for first: a link that changes meanwhile leaves it behind."""
    return ViewPass(video_id, share_links.link_version(video_id))


def _is_inside(ticket: ViewPass, visit: ShareCredentials) -> bool:
    return security.is_valid_view_pass(visit.ticket, ticket, max_age_seconds=VIEW_PASS_SECONDS)


def _is_used_up(video: Video) -> bool:
    return video.share_most_views is not None and video.share_views >= video.share_most_views


def _proven(video_id: str, visit: ShareCredentials) -> Video:
    with reading() as session:
        video = _let_in(session, video_id, visit)
    try:
        integrity.check(video)
    except ObjectSwapped as error:
        raise WrongSecretKey from error
    return video


def _let_in(session: Session, video_id: str, visit: ShareCredentials) -> Video:
    address = client_ip.rate_limit_key(visit.address)
    try:
        rate_limits.check_address_without_counting(rate_limits.WRONG_KEYS, "share", address)
        return open_video(session, Visitor(visit.secret_key), video_id, "watch").row
    except RateLimited:
        logs.refused("share link", video_id=video_id, reason="limited")
        raise
    except WrongSecretKey:
        logs.refused("share link", video_id=video_id, reason="wrong")
        rate_limits.check_address(rate_limits.WRONG_KEYS, "share", address)
        raise


def _count(video: Video, visit: ShareCredentials, way: str) -> None:
    """One more view, unless there have been enough. Where there is no limit, a view need not be counted."""
    count = partial(_counted, video_id=video.id, visit=visit, way=way)
    if video.share_most_views is None:
        try_write("share_opened", count, lock_timeout=AUDIT_LOCK_SECONDS)
        return
    with transaction(essential=True) as session:
        count(session)


def _counted(session: Session, *, video_id: str, visit: ShareCredentials, way: str) -> None:
    room = or_(col(Video.share_most_views).is_(None), col(Video.share_views) < col(Video.share_most_views))
    video = _let_in(session, video_id, visit)
    more = update(Video).where(col(Video.id) == video_id, room)
    counted = session.execute(
        more.values(share_views=Video.share_views + 1).execution_options(synchronize_session=False)
    )
    if not isinstance(counted, CursorResult) or counted.rowcount == 0:
        raise WrongSecretKey
    session.refresh(video, ["share_views"])
    detail = {"network": client_ip.anonymize(visit.address), "views": video.share_views, "by": way}
    audit.record_hourly(session, "share_opened", video_id=video_id, client_ip=visit.address, detail=detail)
