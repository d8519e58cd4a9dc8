"""Callbacks: reports on a video's status by its generator, its owner or an admin; duplicate, late or early.

Each combination has one outcome, and none of them needs the network:

==============  =======================  ==========================  ==========================================
the video is    ``processing``           ``failed``                  ``ready`` with a URL
==============  =======================  ==========================  ==========================================
absent, or in   VideoNotFound            VideoNotFound               VideoNotFound
deletion
any; token       ignored (superseded)     ignored (superseded)        ignored (superseded)
issued for an
earlier script
any; token       ignored (superseded)     ignored (superseded)        as below: the render of the same script is paid
issued for an                                                         for, whichever attempt ordered it
earlier attempt
any; signed      ignored (replayed)       ignored (replayed)          ignored (replayed)
message already
applied
draft           Conflict                 Conflict                    Conflict
generating      deadline extended        fails with this reason      queued, even before our own call to the
                                                                     webhook was made or has returned
queued,         ignored                  ignored: the render is      ignored: the first URL counts, unless its file
storing                                  paid for                    is still missing and a new URL arrives
ready           ignored                  Conflict: it is stored      ignored
failed          ignored                  ignored: the first reason   queued: a late render is still paid for
                                         counts
cancelled       ignored                  ignored                     ignored: no longer wanted
==============  =======================  ==========================  ==========================================

``ready`` without a URL changes nothing for a stored video and is a Conflict for any other, unless a URL was announced
before. ``rejected`` is treated as ``failed``. A report that was not understood leaves a generating video as it is, and
its owner is notified.
"""

import re
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta

from sqlalchemy import Delete
from sqlmodel import Session, col, delete, func, select

from videovault import metrics, security
from videovault.bulkhead import Bulkhead
from videovault.clock import utcnow
from videovault.db import reading, transaction
from videovault.errors import Conflict, InvalidInput, NotFound, NotSignedIn, RateLimited, VideoNotFound
from videovault.gateways import webhook_reply
from videovault.gateways.webhook_reply import VideoReply
from videovault.models import Event, Status, Video, WebhookId
from videovault.security import Order, order_from_callback_token
from videovault.services.core import fields, lifecycle, rate_limits
from videovault.services.core.access import Caller, open_video
from videovault.services.core.lifecycle import Enqueue
from videovault.services.core.views import Metadata, VideoView
from videovault.services.generation import orders
from videovault.services.generation.result_field import video_result_field

# A signature is valid for five minutes before and after its timestamp; one more minute for clock adjustments.
WEBHOOK_ID_TTL = timedelta(minutes=11)
MAX_WEBHOOK_IDS = 10_000
# The longest deadline, and a week for late reports: the row decides whether they still change anything.
CALLBACK_TOKEN_TTL = orders.MAX_RENDER_TIMEOUT + timedelta(days=7)
LONG_REPORT_BYTES = 16 * 1024
# Long reports share one thread's CPU time, however many arrive at once.
long_report_bulkhead = Bulkhead(at_once=1, waiting=16, seconds=20.0)
# Generators have their own ids, which they send under the same names.
_OUR_VIDEO = re.compile(r"video_[0-9]+_[A-Za-z0-9]+")
_OUR_USER = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Report:
    """The body of ``PUT /api/auth/video/status``, not yet validated."""

    user_id: str
    video_id: str
    status: str
    video_url: str = ""
    metadata: Metadata = field(default_factory=Metadata)
    error: str = ""

    @classmethod
    def of(cls, reply: VideoReply, *, user_id: str, video_id: str) -> "Report":
        return cls(
            user_id=user_id,
            video_id=video_id,
            status=reply.state,
            video_url=reply.video_url,
            metadata=Metadata(duration=reply.duration, size=reply.size, format=reply.format),
            error=reply.message,
        )


@dataclass(frozen=True)
class ReportOutcome:
    """The video after a report, its status, and whether the report changed anything.

    ``superseded``: the report is about an earlier attempt or an earlier script. ``replayed``: the same signed message
    was applied before.
    """

    video: VideoView
    status: Status
    changed: bool
    superseded: bool = False
    replayed: bool = False


def parse_report(body: bytes, content_type: str = "", *, sender: str = "") -> VideoReply:
    """Parse the body of a report in the same way as a generator's reply.

    Raises Busy and, for ``sender``, RateLimited, both for long bodies only: parsing one takes up to a second.
    """
    is_long = len(body) > LONG_REPORT_BYTES
    if is_long and sender:
        rate_limits.check(rate_limits.LONG_REPORTS, "long reports", sender)
    with long_report_bulkhead.slot() if is_long else nullcontext():
        reply = webhook_reply.read(body, content_type, field=video_result_field())
    if reply.is_video:
        return VideoReply(
            "unread", message="It is the video itself. Send the video's address instead, as videoUrl."
        )
    return reply


def video_id_of(reply: VideoReply, token: str) -> str:
    """The video that a report is about: its token's, unless it names another of ours; empty if unknown."""
    of_token = video_id_of_token(token)
    return of_token if of_token and not _OUR_VIDEO.fullmatch(reply.video_id) else reply.video_id


def owner_id_of(reply: VideoReply, caller: Caller) -> str:
    """The video's owner as the report names it; empty if a person's report does not name one."""
    if caller.is_generator and not _OUR_USER.fullmatch(reply.user_id):
        return caller.user_id
    return reply.user_id


def generator_caller(token: str, video_id: str) -> Caller:
    """The generator of this video, authenticated by its callback token.

    Raises NotSignedIn if the token is forged, expired or for another video, VideoNotFound if that is deleted.
    """
    order = _order(token)
    if order is None or order.video_id != video_id:
        raise NotSignedIn("This callback token is not valid for this video.")
    return replace(signed_generator_caller(video_id), script=order.script, attempt=order.attempt)


def video_id_of_token(token: str) -> str:
    """The video that a callback token was issued for; empty if it is forged or expired."""
    order = _order(token)
    return order.video_id if order else ""


def video_id_of_report_url(token: str) -> str:
    """The video that a ``reportUrl`` with this token was made for. Raises NotFound if it is wrong or has expired."""
    video_id = video_id_of_token(token)
    if not video_id:
        raise NotFound("This report address is wrong or has expired.")
    return video_id


def apply_leniently(
    caller: Caller, video_id: str, reply: VideoReply, *, enqueue: Enqueue
) -> tuple[ReportOutcome, str]:
    """As ``apply``, for services that cannot act on a refusal; the text is why it was not understood, else empty.

    A report that contradicts the video's state changes nothing. ``ready`` without a URL counts as not understood.
    """
    report = Report.of(reply, user_id=caller.user_id, video_id=video_id)
    why = reply.message if reply.state == "unread" else ""
    try:
        return apply(caller, report, enqueue=enqueue), why
    except Conflict as error:
        if report.status == "ready":
            return apply(caller, replace(report, status="unread"), enqueue=enqueue), error.public_message
        with reading() as session:
            video = open_video(session, caller, video_id, "change").row
            return ReportOutcome(VideoView.of(video), video.status, changed=False), ""


def signed_generator_caller(video_id: str) -> Caller:
    """The generator of this video, authenticated by the signature of its call. Raises VideoNotFound."""
    with reading() as session:
        video = session.get(Video, video_id)
    if video is None:
        raise VideoNotFound
    return Caller(user_id=video.owner_id, email="", is_generator=True)


def apply(caller: Caller, report: Report, *, enqueue: Enqueue) -> ReportOutcome:
    """Change the video as the table above says; the worker stores it.

    Raises VideoNotFound, InvalidInput, Forbidden for a ``user_id`` that is not the caller's, Conflict, and RateLimited
    when too many signed messages arrive within the tolerance of their signatures.
    """
    url = fields.validate_url(report.video_url) if report.video_url else ""
    with transaction(essential=True) as session:  # the report may be about a render that was paid for
        video = open_video(session, caller, report.video_id, "change", owner_id=report.user_id).row
        session.refresh(
            video, with_for_update=True
        )  # so that the second of two concurrent reports sees the first
        if _is_superseded(caller, report, video):
            return ReportOutcome(VideoView.of(video), video.status, changed=False, superseded=True)
        if caller.webhook_id and not remember(session, caller.webhook_id):
            return ReportOutcome(VideoView.of(video), video.status, changed=False, replayed=True)
        if video.status == Status.DRAFT:
            raise Conflict("This video is a draft: nothing has been generated yet.")
        if report.status not in _APPLY:
            message = "The status is processing, ready or failed."
            raise InvalidInput(message, {"status": message})
        changed = _APPLY[report.status](session, video, report, url, caller)
        changed = _fill_metadata(session, video, report.metadata) or changed
        outcome = ReportOutcome(VideoView.of(video), video.status, changed)
    metrics.WEBHOOK_ANSWERS.inc(webhook="report", answer=report.status)
    if outcome.status == Status.QUEUED:
        enqueue(outcome.video.video_id)
    return outcome


def remember(session: Session, webhook_id: str) -> bool:
    """Store the id of a signed message in the transaction that applies it; False if it was applied before.

    Raises RateLimited when ``MAX_WEBHOOK_IDS`` are stored: dropping one would let its message be replayed.
    """
    id_hash = security.token_hash(webhook_id)  # the sender chooses the length
    if session.get(WebhookId, id_hash):
        return False
    session.exec(_expired())
    if session.exec(select(func.count()).select_from(WebhookId)).one() >= MAX_WEBHOOK_IDS:
        raise RateLimited("Too many signed reports arrived. Send this one again in a minute.", 60)
    session.add(WebhookId(id_hash=id_hash))
    return True


def purge() -> None:
    """Delete the ids of messages whose signatures have expired."""
    with transaction() as session:
        session.exec(_expired())


def _expired() -> Delete:
    return delete(WebhookId).where(col(WebhookId.received_at) < utcnow() - WEBHOOK_ID_TTL)


def _order(token: str) -> Order | None:
    return order_from_callback_token(token, max_age_seconds=int(CALLBACK_TOKEN_TTL.total_seconds()))


def _is_superseded(caller: Caller, report: Report, video: Video) -> bool:
    """A worker's claim raises the attempt too, so attempts are compared only while the video is generating."""
    if caller.script and video.order_digest is not None and caller.script != video.order_digest:
        return True
    is_earlier = caller.attempt and video.status == Status.GENERATING and caller.attempt != video.attempt
    return bool(is_earlier) and report.status != "ready"


def _processing(session: Session, video: Video, _report: Report, url: str, _caller: Caller) -> bool:
    if video.status != Status.GENERATING:
        return False
    wait = orders.render_timeout(video.estimated_minutes or orders.DEFAULT_MINUTES)
    expected = url or video.expected_url
    return lifecycle.update_if_unchanged(
        session,
        video,
        deadline_at=utcnow() + wait,
        generator_note=None,
        expected_url=expected,
        unread_at=None,
        unanswered_attempt=None,
    )


def _ready(session: Session, video: Video, _report: Report, url: str, caller: Caller) -> bool:
    url = url or video.expected_url or ""
    if not url and video.status != Status.READY:
        raise Conflict("This video is not stored yet: a report of ready needs its videoUrl.")
    if url and video.status == Status.QUEUED and video.refused_since and url != video.source_url:
        return orders.replace_url(session, video, url)
    if not url or not (video.status == Status.GENERATING or _failed_uncancelled(video)):
        return False
    return orders.accept_url(session, video, url, why="reported as ready", **_by(caller))


def _failed(session: Session, video: Video, report: Report, _url: str, caller: Caller) -> bool:
    if video.status == Status.READY:
        raise Conflict("This video is stored; it cannot fail any more.")
    if video.status != Status.GENERATING:
        return False
    shown = "".join(char if char.isprintable() else " " for char in report.error)
    reason = " ".join(shown.split())[:500]
    is_rejected = report.status == "rejected"
    return lifecycle.transition(
        session,
        video,
        Status.FAILED,
        why="reported as failed",
        next_ask_at=None,
        error_code="GENERATION_REJECTED" if is_rejected else "GENERATION_FAILED",
        error_message=orders.rejection_message(reason)
        if is_rejected
        else reason or "The generator reported a failure.",
        **_by(caller),
    )


def _unread(session: Session, video: Video, report: Report, _url: str, caller: Caller) -> bool:
    """Only a generator's report: people can correct their own."""
    if not caller.is_generator or video.status != Status.GENERATING:
        return False
    return orders.mark_unread(session, video, VideoReply("unread", message=report.error))


_APPLY: dict[str, Callable[[Session, Video, Report, str, Caller], bool]] = {
    "processing": _processing,
    "ready": _ready,
    "failed": _failed,
    "rejected": _failed,
    "unread": _unread,
}


def _failed_uncancelled(video: Video) -> bool:
    return video.status == Status.FAILED and video.error_code != "CANCELLED"


def _by(caller: Caller) -> lifecycle.Actor:
    return {"by": "generator"} if caller.is_generator else {"actor_id": caller.user_id, "by": "person"}


def _fill_metadata(session: Session, video: Video, metadata: Metadata) -> bool:
    """Set only the values that were not measured."""
    reported = metadata.model_dump(exclude_none=True)
    missing = {name: value for name, value in reported.items() if getattr(video, name) is None}
    if not missing or not lifecycle.update_if_unchanged(session, video, **missing):
        return False
    session.add(Event(kind="metadata", video_id=video.id, detail=missing))
    return True
