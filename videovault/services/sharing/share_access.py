"""Access to a shared video without an account: open its page, play and download it."""

from dataclasses import dataclass, field
from functools import partial

from sqlalchemy import update
from sqlmodel import Session, col, or_

from videovault import logs, security
from videovault.db import AUDIT_LOCK_SECONDS, changes_row, reading, transaction, try_write
from videovault.errors import ObjectSwapped, RateLimited, WrongSecretKey
from videovault.models import Video
from videovault.security import ViewPass
from videovault.services.core import audit, client_ip, rate_limits
from videovault.services.core.access import Visitor, open_video
from videovault.services.core.views import CopyView, Measured
from videovault.services.sharing import share_links
from videovault.services.sharing.share_links import SharedView
from videovault.services.videos import gallery, integrity

VIEW_PASS_SECONDS = 6 * 3600  # an open page may play and download this long, even beyond the view limit


@dataclass(frozen=True)
class ShareCredentials:
    """The key of the link, the client's address, and the view pass token of a page that is already open."""

    secret_key: str = field(repr=False)
    address: str = ""
    ticket: str = field(default="", repr=False)


def open_page(video_id: str, credentials: ShareCredentials) -> SharedView:
    """What the page of a link shows; it counts as a view unless the page has a valid view pass.

    Raises WrongSecretKey for a wrong, revoked, closed or used-up link and for an absent video alike; RateLimited.
    """
    view_pass = _view_pass(video_id)
    video = _open_verified(video_id, credentials)
    is_counted = _has_view_pass(view_pass, credentials)
    if not is_counted:
        _count(video, credentials, "page")
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
        ticket=credentials.ticket if is_counted else security.issue_view_pass(view_pass),
    )


def download_url(video_id: str, credentials: ShareCredentials, *, inline: bool = False) -> str:
    """A new presigned URL to save the file or (``inline``) to play it; without a view pass it counts as a view.

    Raises as ``open_page`` does.
    """
    view_pass = _view_pass(video_id)
    video = _open_verified(video_id, credentials)
    if not _has_view_pass(view_pass, credentials):
        _count(video, credentials, "address")
    if not inline:
        detail = {"network": client_ip.anonymize(credentials.address)}
        audit.try_record_hourly(
            "share_download", video_id=video_id, client_ip=credentials.address, detail=detail
        )
    return gallery.video_link(video, inline=inline, allow_copy=inline and integrity.is_copy_intact(video))


def poster_url(video_id: str, credentials: ShareCredentials) -> str:
    """A new presigned URL of the poster; not counted, but refused after the last view. Raises as ``open_page`` does."""
    view_pass = _view_pass(video_id)
    with reading() as session:
        video = _open(session, video_id, credentials)
    link = gallery.poster_link(video)
    if link is None or (_is_used_up(video) and not _has_view_pass(view_pass, credentials)):
        raise WrongSecretKey
    return link


def _copy_for_visitors(video: Video) -> CopyView | None:
    """Without the error, which may reveal details of the owner's account."""
    copy = CopyView.of(video)
    return copy and copy.model_copy(update={"error": None})


def _view_pass(video_id: str) -> ViewPass:
    """To be built before the link is checked: if the link changes in between, the pass is already invalid."""
    return ViewPass(video_id, share_links.link_version(video_id))


def _has_view_pass(view_pass: ViewPass, credentials: ShareCredentials) -> bool:
    return security.is_valid_view_pass(credentials.ticket, view_pass, max_age_seconds=VIEW_PASS_SECONDS)


def _is_used_up(video: Video) -> bool:
    return video.share_most_views is not None and video.share_views >= video.share_most_views


def _open_verified(video_id: str, credentials: ShareCredentials) -> Video:
    with reading() as session:
        video = _open(session, video_id, credentials)
    try:
        integrity.check(video)
    except ObjectSwapped as error:
        raise WrongSecretKey from error
    return video


def _open(session: Session, video_id: str, credentials: ShareCredentials) -> Video:
    address = client_ip.rate_limit_key(credentials.address)
    try:
        rate_limits.check_address_without_counting(rate_limits.WRONG_KEYS, "share", address)
        return open_video(session, Visitor(credentials.secret_key), video_id, "watch").row
    except RateLimited:
        logs.refused("share link", video_id=video_id, reason="limited")
        raise
    except WrongSecretKey:
        logs.refused("share link", video_id=video_id, reason="wrong")
        rate_limits.check_address(rate_limits.WRONG_KEYS, "share", address)
        raise


def _count(video: Video, credentials: ShareCredentials, by: str) -> None:
    """Count a view, or raise WrongSecretKey at the limit. Without a limit, counting may fail."""
    count = partial(_count_in, video_id=video.id, credentials=credentials, by=by)
    if video.share_most_views is None:
        try_write("share_opened", count, lock_timeout=AUDIT_LOCK_SECONDS)
        return
    with transaction(essential=True) as session:
        count(session)


def _count_in(session: Session, *, video_id: str, credentials: ShareCredentials, by: str) -> None:
    is_below_limit = or_(
        col(Video.share_most_views).is_(None), col(Video.share_views) < col(Video.share_most_views)
    )
    video = _open(session, video_id, credentials)
    another = (
        update(Video)
        .where(col(Video.id) == video_id, is_below_limit)
        .values(share_views=Video.share_views + 1)
    )
    if not changes_row(session, another):
        raise WrongSecretKey
    session.refresh(video, ["share_views"])
    detail = {"network": client_ip.anonymize(credentials.address), "views": video.share_views, "by": by}
    audit.record_hourly(
        session, "share_opened", video_id=video_id, client_ip=credentials.address, detail=detail
    )
