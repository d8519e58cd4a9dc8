"""What pages show of a video: the services' views with sizes, durations and states as text."""

import math
from datetime import timedelta

from pydantic import BaseModel, ConfigDict

from videovault.clock import utcnow
from videovault.config import settings
from videovault.formatting import format_clock, format_size
from videovault.models import CopyState
from videovault.services.core.views import NoticeView, Progress, Retry, VideoView, iso_utc
from videovault.services.generation.avatars import AvatarView
from videovault.services.sharing import SharedView, ShareView
from videovault.state import wording

REQUESTED, GENERATING, STORING, READY = range(4)


class ViewModel(BaseModel):
    model_config = ConfigDict(frozen=True)


class Avatar(ViewModel):
    """An avatar to choose. ``initials`` replace a missing picture; ``avatar_id`` is empty for a built-in one."""

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

    ``playback_note`` says that browsers may not play it, ``is_copied`` that they play a copy, ``awaits_copy`` that one is
    being made. ``reason`` is why it failed, ``retry_note`` what a retry does. ``result_number`` counts the finished actions
    on this card, ``result`` is the error of the last one.
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
    playback_note: str = ""
    is_copied: bool = False
    awaits_copy: bool = False
    reason: str = ""
    retry_note: str = ""
    can_fetch: bool = False
    can_generate: bool = False
    can_copy: bool = False
    is_cancelled: bool = False
    result_number: int = 0
    result: str = ""

    @classmethod
    def of(cls, video: VideoView) -> "Card":
        found = video.metadata if video.status == "ready" else None  # not measured before
        duration = format_clock(found.duration) if found and found.duration else ""
        size = format_size(found.size) if found and found.size else ""
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
            playback_note=wording.playback_note(found, copy),
            is_copied=copy is not None and copy.state == CopyState.READY,
            awaits_copy=copy is not None and copy.state in (CopyState.DUE, CopyState.MAKING),
            reason=video.error.message if video.error else "",
            retry_note=_retry_note(video.retry) if video.retry else "",
            can_fetch="transfer" in (video.retries or ()),
            can_generate="generation" in (video.retries or ()),
            can_copy="copy" in (video.retries or ()),
            is_cancelled=video.error is not None and video.error.code == "CANCELLED",
        )


class VideoProgress(ViewModel):
    """The progress of a video; ``percent`` is -1 while unknown, ``note`` and ``problem`` are for its owner.

    ``is_unanswered``: the generator's response was lost, so its owner may order again.
    """

    step: int = REQUESTED
    activity: str = wording.HANDING_OVER
    amount_done: str = ""
    remaining: str = ""
    percent: int = -1
    note: str = ""
    problem: str = ""
    is_unanswered: bool = False

    @classmethod
    def of(cls, progress: Progress) -> "VideoProgress":
        if progress.stage == "generating":
            return _generating(progress)
        if progress.stage == "queued":
            activity = (
                wording.WAITING_FOR_FILE if progress.waits_for_file else "Waiting for its turn to be stored"
            )
            return cls(step=STORING, activity=activity)
        return _storing(progress)


class Counts(ViewModel):
    everything: int = 0
    ready: int = 0
    processing: int = 0
    failed: int = 0
    drafts: int = 0


class VideoNotice(ViewModel):
    """A video that became ready or failed, with a link to it."""

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
    """A share link in its owner's dialog; ``expires_at`` is an ISO time, ``days`` and ``most_views`` fill the form."""

    video_id: str = ""
    title: str = ""
    url: str = ""
    is_open: bool = False
    expires_at: str = ""
    days: str = ""
    most_views: str = ""
    views_used: str = ""

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
            views_used=wording.views_used(share.views, share.most_views),
        )


class SharedVideo(ViewModel):
    """A video as a visitor sees it; the URLs carry the visitor's key."""

    title: str = ""
    details: str = ""
    video_url: str = ""
    playback_note: str = ""
    is_copied: bool = False
    poster_url: str = ""
    download_url: str = ""

    @classmethod
    def of(cls, video: SharedView, proof: str) -> "SharedVideo":
        """``proof`` is the query that gives access."""
        path, found = f"/api/share/{video.video_id}", video.metadata
        duration = format_clock(found.duration) if found.duration else ""
        size = format_size(found.size) if found.size else ""
        return cls(
            title=video.title,
            details=", ".join(filter(None, (video.company_name, duration, size))),
            video_url=f"{path}/download?{proof}&inline=1",
            playback_note=wording.playback_note(found, video.playable_copy),
            is_copied=video.playable_copy is not None and video.playable_copy.state == CopyState.READY,
            poster_url=f"{path}/thumbnail?{proof}" if video.has_poster else "",
            download_url=f"{path}/download?{proof}",
        )


def percent_of(done: int, total: int) -> int:
    """At most 100; -1, as bars take it, without a total."""
    return min(100, done * 100 // total) if total else -1


def _retry_note(retry: Retry) -> str:
    is_free = retry == "generation" and settings().video_webhook_url is None
    return wording.RENDERS_AGAIN if is_free else wording.RETRY_NOTES[retry]


def _generating(progress: Progress) -> VideoProgress:
    elapsed, expected = progress.elapsed_seconds, progress.expected_seconds
    remaining, percent = "", -1
    if expected is not None:
        remaining = (
            "Taking longer than expected" if elapsed > expected else wording.time_left(expected - elapsed)
        )
        percent = min(99, percent_of(elapsed, expected))
    return VideoProgress(
        step=GENERATING,
        activity=wording.AWAITING if progress.note else wording.MAKING,
        amount_done=f"{format_clock(elapsed)} elapsed",
        remaining=remaining,
        percent=percent,
        note=progress.note or "",
        problem=progress.problem or "",
        is_unanswered=progress.is_unanswered,
    )


def _storing(progress: Progress) -> VideoProgress:
    done, total = progress.bytes_done, progress.bytes_total
    if total and done >= total:
        size = format_size(total)
        return VideoProgress(
            step=STORING, activity="Checking the stored video", amount_done=size, percent=100
        )
    speed, left = progress.bytes_per_second, progress.seconds_left
    remaining = [f"{format_size(speed)}/s" if speed else "", wording.time_left(left) if left else ""]
    return VideoProgress(
        step=STORING,
        activity="Storing the video",
        amount_done=f"{format_size(done)} of {format_size(total)}" if total else format_size(done),
        remaining=", ".join(filter(None, remaining)),
        percent=-1 if progress.percent is None else progress.percent,
    )
