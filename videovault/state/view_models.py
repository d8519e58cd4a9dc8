"""What pages show of a video: the services' views with every figure put into words."""

import math
from datetime import timedelta

from pydantic import BaseModel, ConfigDict

from videovault.models import CopyState, utcnow
from videovault.services.core.views import NoticeView, Progress, VideoView, iso_utc
from videovault.services.generation.avatars import AvatarView
from videovault.services.sharing.share_links import SharedView, ShareView
from videovault.state import wording

REQUESTED, GENERATING, STORING, READY = range(4)


class ViewModel(BaseModel):
    model_config = ConfigDict(frozen=True)


class Avatar(ViewModel):
    """One to choose from; ``initials`` stand where it has no picture, ``avatar_id`` is empty for a built-in one."""

    avatar_id: str = ""
    name: str = ""
    generator_id: str = ""
    picture_url: str = ""
    initials: str = ""

    @classmethod
    def of(cls, view: AvatarView) -> "Avatar":
        words = view.name.split()
        ends = (words[0], words[-1]) if len(words) > 1 else words
        return cls(
            avatar_id=view.avatar_id or "",
            name=view.name,
            generator_id=view.generator_id,
            picture_url=view.picture_url or "",
            initials="".join(word[0] for word in ends).upper(),
        )


class Card(ViewModel):
    """A video in the gallery, in the modal or in the admin's table.

    ``plays`` says that browsers may not play it, ``is_copied`` that they play a copy, ``awaits_copy`` that one is being
    made. ``reason`` is why it failed, ``again`` what trying again means. ``answers`` counts what was asked of it on its card
    and has been answered, ``remark`` is what the last answer had to say.
    """

    video_id: str = ""
    title: str = ""
    status: str = ""
    created_at: str = ""
    duration: str = ""
    size: str = ""
    details: str = ""
    bytes: int = 0
    has_poster: bool = False
    has_topic: bool = False
    plays: str = ""
    is_copied: bool = False
    awaits_copy: bool = False
    reason: str = ""
    again: str = ""
    can_fetch: bool = False
    can_generate: bool = False
    can_copy: bool = False
    is_cancelled: bool = False
    answers: int = 0
    remark: str = ""

    @classmethod
    def of(cls, video: VideoView) -> "Card":
        found = video.metadata if video.status == "ready" else None  # before, it is hearsay
        duration = wording.clock(found.duration) if found and found.duration else ""
        size = wording.size(found.size) if found and found.size else ""
        copy = video.playable_copy
        return cls(
            video_id=video.video_id,
            title=video.title,
            status=video.status,
            created_at=iso_utc(video.created_at),
            duration=duration,
            size=size,
            details=", ".join(filter(None, (duration, size))),
            bytes=(found.size or 0) if found else 0,
            has_poster=video.has_poster,
            has_topic=video.has_topic,
            plays=wording.playback(found, found.format if found else None, copy),
            is_copied=copy is not None and copy.state == CopyState.READY,
            awaits_copy=copy is not None and copy.state in (CopyState.DUE, CopyState.MAKING),
            reason=video.error.message if video.error else "",
            again=wording.AGAIN[video.retry] if video.retry else "",
            can_fetch="transfer" in (video.retries or ()),
            can_generate="generation" in (video.retries or ()),
            can_copy="copy" in (video.retries or ()),
            is_cancelled=video.error is not None and video.error.code == "CANCELLED",
        )


class VideoProgress(ViewModel):
    """How far a video in work is; ``percent`` is -1 while it is not known, ``note`` and ``problem`` are for its owner."""

    step: int = REQUESTED
    doing: str = wording.HANDING_OVER
    so_far: str = ""
    pace: str = ""
    percent: int = -1
    note: str = ""
    problem: str = ""

    @classmethod
    def of(cls, progress: Progress) -> "VideoProgress":
        if progress.stage == "generating":
            return _generating(progress)
        if progress.stage == "queued":
            waits = (
                wording.WAITING_FOR_FILE if progress.waits_for_file else "Waiting for its turn to be stored"
            )
            return cls(step=STORING, doing=waits)
        return _storing(progress)


class Counts(ViewModel):
    everything: int = 0
    ready: int = 0
    processing: int = 0
    failed: int = 0
    drafts: int = 0


class VideoNotice(ViewModel):
    """That a video is ready or failed, and where the person goes from there."""

    number: int = 0
    text: str = ""
    is_bad: bool = False
    link: str = "/gallery"
    link_name: str = "Show the gallery"

    @classmethod
    def of(cls, notice: NoticeView) -> "VideoNotice":
        title = f"“{wording.shortened(notice.title)}”"
        return cls(
            number=notice.number,
            text=f"{title} failed: {notice.reason}" if notice.reason else f"{title} is ready.",
            is_bad=bool(notice.reason),
            link=f"/gallery?video={notice.video_id}",
            link_name=f"Show {title}",
        )


class ShareLink(ViewModel):
    """A share link in its owner's dialog; ``expires_at`` is an ISO time, the limits are what the form shows of them."""

    video_id: str = ""
    title: str = ""
    url: str = ""
    is_open: bool = False
    expires_at: str = ""
    days: str = ""
    most_views: str = ""
    opened: str = ""

    @classmethod
    def of(cls, share: ShareView) -> "ShareLink":
        left = (share.expires_at - utcnow()) / timedelta(days=1) if share.expires_at else None
        return cls(
            video_id=share.video_id,
            title=share.title,
            url=share.url,
            is_open=share.is_open,
            expires_at=iso_utc(share.expires_at) if share.expires_at else "",
            days="" if left is None else str(max(1, math.ceil(left))),
            most_views=str(share.most_views or ""),
            opened=wording.opened_of(share.views, share.most_views)
            if share.most_views
            else wording.opened(share.views),
        )


class SharedVideo(ViewModel):
    """A video as a visitor sees it; the addresses carry the key that the visitor has shown."""

    title: str = ""
    about: str = ""
    film: str = ""
    plays: str = ""
    is_copied: bool = False
    poster: str = ""
    download: str = ""

    @classmethod
    def of(cls, video: SharedView, proof: str) -> "SharedVideo":
        """``proof`` is the query by which the visitor is let in."""
        place = f"/api/share/{video.video_id}"
        length = wording.clock(video.duration) if video.duration else ""
        size = wording.size(video.size) if video.size else ""
        return cls(
            title=video.title,
            about=", ".join(filter(None, (video.company_name, length, size))),
            film=f"{place}/download?{proof}&inline=1",
            plays=wording.playback(video.measured, video.format, video.playable_copy),
            is_copied=video.playable_copy is not None and video.playable_copy.state == CopyState.READY,
            poster=f"{place}/thumbnail?{proof}" if video.has_poster else "",
            download=f"{place}/download?{proof}",
        )


def _generating(progress: Progress) -> VideoProgress:
    elapsed, expected = progress.elapsed_seconds, progress.expected_seconds
    so_far = f"{wording.clock(elapsed)} so far"
    told = {"note": progress.note or "", "problem": progress.problem or ""}
    doing = wording.AWAITING if progress.note else wording.MAKING
    if expected is None:
        return VideoProgress(step=GENERATING, doing=doing, so_far=so_far, **told)
    late = elapsed > expected
    return VideoProgress(
        step=GENERATING,
        doing=doing,
        so_far=so_far,
        pace="Longer than expected, still waiting" if late else wording.left(expected - elapsed),
        percent=min(99, elapsed * 100 // expected) if expected else -1,
        **told,
    )


def _storing(progress: Progress) -> VideoProgress:
    done, total = progress.bytes_done, progress.bytes_total
    if total and done >= total:
        return VideoProgress(
            step=STORING, doing="Checking the stored video", so_far=wording.size(total), percent=100
        )
    speed, left = progress.bytes_per_second, progress.seconds_left
    pace = [f"{wording.size(speed)}/s" if speed else "", wording.left(left) if left else ""]
    return VideoProgress(
        step=STORING,
        doing="Storing the video",
        so_far=f"{wording.size(done)} of {wording.size(total)}" if total else wording.size(done),
        pace=", ".join(filter(None, pace)),
        percent=-1 if progress.percent is None else progress.percent,
    )
