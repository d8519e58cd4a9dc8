"""Reports on a video's status, by its generator, its owner or an admin; twice, late or early alike.

Each combination has one outcome, and none of them needs the network:

==============  =======================  ==========================  ==========================================
the video is    ``processing``           ``failed``                  ``ready`` with an address
==============  =======================  ==========================  ==========================================
absent, or in   VideoNotFound            VideoNotFound               VideoNotFound
deletion
any, but the     nothing changes:         nothing changes:            nothing changes: superseded
token is of an   superseded               superseded
earlier script
any, but the     nothing changes:         nothing changes:            as below: the render of the same script is paid
token is of an   superseded               superseded                  for, whichever attempt ordered it
earlier attempt
any, but the     nothing changes          nothing changes             nothing changes
signed message
was applied
draft           Conflict                 Conflict                    Conflict
generating      the deadline is pushed   it fails with this reason   it is queued; also before our own call to
                out                                                  the webhook was made or has returned
queued,         nothing changes          nothing changes: it is      nothing changes: the first address counts,
storing                                  paid for and on its way     unless it gives no video and is waited for
ready           nothing changes          Conflict: it is stored      nothing changes
failed          nothing changes          nothing changes: the first  it is queued: late, after its deadline or a
                                         reason counts               broken link, it is welcome, as it is paid for
cancelled       nothing changes          nothing changes             nothing changes: nobody wants it any more
==============  =======================  ==========================  ==========================================

``ready`` without an address changes nothing for a stored video and is a Conflict for any other, unless an address was
named beforehand. ``rejected`` is as ``failed``. One that was not understood leaves a video that is generating as it is,
and its owner is told.
"""

import re
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta

from sqlalchemy import Delete
from sqlmodel import Session, col, delete, func, select

from videovault import security
from videovault.bulkhead import Bulkhead
from videovault.db import reading, transaction
from videovault.errors import Conflict, InvalidInput, NotFound, NotSignedIn, RateLimited, VideoNotFound
from videovault.gateways import webhook_reply
from videovault.gateways.webhook_reply import Generation
from videovault.models import Event, Status, Video, WebhookId, utcnow
from videovault.security import Order, order_from_callback_token
from videovault.services.core import fields, lifecycle, rate_limits
from videovault.services.core.access import Caller, open_video
from videovault.services.core.lifecycle import Enqueue
from videovault.services.core.views import Metadata, VideoView
from videovault.services.generation import orders, webhook_log

# The ids of signed messages (Standard Webhooks), remembered as long as a copy of one would still be accepted.

# A signature is valid for five minutes before and after its timestamp; a minute more for clocks that are set.
WEBHOOK_ID_TTL = timedelta(minutes=11)
MAX_WEBHOOK_IDS = 10_000


def remember(session: Session, webhook_id: str) -> bool:
    """Note a message in the transaction that applies it; False when it was applied before.

    Raises RateLimited when ``MOST`` are remembered: to forget one of them would let its copy through.
    """
    id_hash = security.token_hash(webhook_id)  # senders choose the length
    if session.get(WebhookId, id_hash):
        return False
    session.exec(_expired())
    if session.exec(select(func.count()).select_from(WebhookId)).one() >= MAX_WEBHOOK_IDS:
        raise RateLimited("Too many signed reports arrived. Send this one again in a minute.", 60)
    session.add(WebhookId(id_hash=id_hash))
    return True


def purge() -> None:
    """Forget the messages whose signatures have expired."""
    with transaction() as session:
        session.exec(_expired())


def _expired() -> Delete:
    return delete(WebhookId).where(col(WebhookId.received_at) < utcnow() - WEBHOOK_ID_TTL)


# The longest deadline, and a week for whoever is late: the row says whether a report still changes anything.
# Generators have ids of their own, which they send under the same names.
_OUR_VIDEO = re.compile(r"video_[0-9]+_[A-Za-z0-9]+")
_OUR_USER = re.compile(r"[0-9a-f]{32}")
IS_THE_VIDEO = "It is the video itself. Send the video's address instead, as videoUrl."
LONG_REPORT_BYTES = 16 * 1024
# The others wait for one thread's share of the processor, however many reports come at once.
reading_long = Bulkhead(at_once=1, waiting=16, seconds=20.0)
CALLBACK_TOKEN_TTL = orders.MAX_RENDER_TIMEOUT + timedelta(days=7)


@dataclass(frozen=True)
class Report:
    """The body of ``PUT /api/auth/video/status``, its texts not yet checked."""

    user_id: str
    video_id: str
    status: str
    video_url: str = ""
    metadata: Metadata = field(default_factory=Metadata)
    error: str = ""

    @classmethod
    def of(cls, said: Generation, *, user_id: str, video_id: str) -> "Report":
        """What the reader made of a report, on the video that its sender may report on."""
        return cls(
            user_id=user_id,
            video_id=video_id,
            status=said.state,
            video_url=said.video_url,
            metadata=Metadata(duration=said.duration, size=said.size, format=said.format),
            error=said.message,
        )


@dataclass(frozen=True)
class ReportOutcome:
    """The video after a report, where its row stands now, and whether the report changed anything.

    ``superseded``: it spoke of an earlier attempt, or of a script that has been changed since it was ordered.
    ``replayed``: the same signed message was applied before.
    """

    video: VideoView
    status: Status
    changed: bool
    superseded: bool = False
    replayed: bool = False


def parse_report(body: bytes, content_type: str = "", *, sender: str = "") -> Generation:
    """What the body of a report says, read like an answer of the generator.

    Raises Busy and, for ``sender``, RateLimited, both for long bodies only: reading one takes up to a second.
    """
    is_long = len(body) > LONG_REPORT_BYTES
    if is_long and sender:
        rate_limits.check(rate_limits.LONG_REPORTS, "long reports", sender)
    with reading_long.slot() if is_long else nullcontext():
        said = webhook_reply.read(body, content_type, field=webhook_log.video_result_field())
    return Generation("unread", message=IS_THE_VIDEO) if said.is_video else said


def video_id_of(said: Generation, token: str) -> str:
    """The video that a report is about: its token's, unless it names another one of ours; empty where nothing tells."""
    of_token = video_id_of_token(token)
    return of_token if of_token and not _OUR_VIDEO.fullmatch(said.video_id) else said.video_id


def owner_id_of(said: Generation, caller: Caller) -> str:
    """Whose video it is by the report; empty where a person does not say so."""
    if caller.is_generator and not _OUR_USER.fullmatch(said.user_id):
        return caller.user_id
    return said.user_id


def generator_caller(token: str, video_id: str) -> Caller:
    """The caller that a callback token stands for: the generator of this video, and of no other.

    Raises NotSignedIn when the token is forged, too old or for another video, VideoNotFound when that is gone.
    """
    order = _order(token)
    if order is None or order.video_id != video_id:
        raise NotSignedIn("This callback token is not good for this video.")
    return replace(signed_generator_caller(video_id), script=order.script, attempt=order.attempt)


def video_id_of_token(token: str) -> str:
    """The video that a callback token is good for; empty when it is forged or too old."""
    order = _order(token)
    return order.video_id if order else ""


def video_id_of_report_url(token: str) -> str:
    """The video that a ``reportUrl`` with this token was made for. Raises NotFound when it is wrong or has expired."""
    video_id = video_id_of_token(token)
    if not video_id:
        raise NotFound("This report address is wrong or has expired.")
    return video_id


def apply_leniently(
    caller: Caller, video_id: str, said: Generation, *, enqueue: Enqueue
) -> tuple[ReportOutcome, str]:
    """As ``take``, for services that cannot act on a refusal; the text is why it was not understood, else empty.

    What contradicts the video's state changes nothing. Finished without saying where is not understood.
    """
    heard = Report.of(said, user_id=caller.user_id, video_id=video_id)
    why = said.message if said.state == "unread" else ""
    try:
        return apply(caller, heard, enqueue=enqueue), why
    except Conflict as error:
        if heard.status == "ready":
            return apply(caller, replace(heard, status="unread"), enqueue=enqueue), error.public_message
        with reading() as session:
            video = open_video(session, caller, video_id, "change").row
            return ReportOutcome(VideoView.of(video), video.status, changed=False), ""


def signed_generator_caller(video_id: str) -> Caller:
    """The generator of this video, whose call has proved by its signature to come from one.

    Raises VideoNotFound.
    """
    with reading() as session:
        video = session.get(Video, video_id)
    if video is None:
        raise VideoNotFound
    return Caller(user_id=video.owner_id, email="", is_generator=True)


def report(caller: Caller, said: Report, *, enqueue: Enqueue) -> VideoView:
    """``take``, for callers that want to see the video only."""
    return apply(caller, said, enqueue=enqueue).video


def apply(caller: Caller, said: Report, *, enqueue: Enqueue) -> ReportOutcome:
    """Note what was said of the video, as the table above says; storing is left to the worker.

    Raises VideoNotFound, InvalidInput, Forbidden for a ``user_id`` that is not the caller's, Conflict, RateLimited
    when more signed messages came within the tolerance of signatures than are remembered.
    """
    url = fields.validate_url(said.video_url) if said.video_url else ""
    with transaction(essential=True) as session:  # a report may be of a render that was paid for
        video = open_video(session, caller, said.video_id, "change", owner_id=said.user_id).row
        session.refresh(video, with_for_update=True)  # so that of two at once the second sees the first
        if _is_superseded(caller, said, video):
            return ReportOutcome(VideoView.of(video), video.status, changed=False, superseded=True)
        if caller.webhook_id and not remember(session, caller.webhook_id):
            return ReportOutcome(VideoView.of(video), video.status, changed=False, replayed=True)
        if video.status == Status.DRAFT:
            raise Conflict("This video is a draft: nothing has been generated yet.")
        changed = _APPLY[_known(said.status)](session, video, said, url, caller)
        changed = _fill_metadata(session, video, said.metadata) or changed
        taken = ReportOutcome(VideoView.of(video), video.status, changed)
    if taken.status == Status.QUEUED:
        enqueue(taken.video.video_id)
    return taken


def _order(token: str) -> Order | None:
    return order_from_callback_token(token, max_age_seconds=int(CALLBACK_TOKEN_TTL.total_seconds()))


def _is_superseded(caller: Caller, said: Report, video: Video) -> bool:
    """A worker's claims raise the attempt too, so it tells orders apart only while a render is awaited."""
    if caller.script and video.order_digest is not None and caller.script != video.order_digest:
        return True
    is_earlier = caller.attempt and video.status == Status.GENERATING and caller.attempt != video.attempt
    return bool(is_earlier) and said.status != "ready"


def _known(status: str) -> str:
    if status not in _APPLY:
        message = "The status is processing, ready or failed."
        raise InvalidInput(message, {"status": message})
    return status


def _processing(session: Session, video: Video, _said: Report, url: str, _caller: Caller) -> bool:
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
    )


def _ready(session: Session, video: Video, _said: Report, url: str, caller: Caller) -> bool:
    url = url or video.expected_url or ""
    if not url and video.status != Status.READY:
        raise Conflict("This video is not stored yet: a report of ready needs its videoUrl.")
    if url and video.status == Status.QUEUED and video.refused_since and url != video.source_url:
        return orders.replace_url(session, video, url)
    if not url or not (video.status == Status.GENERATING or _gave_up(video)):
        return False
    return orders.accept_url(session, video, url, why="reported as ready", **_by(caller))


def _failed(session: Session, video: Video, said: Report, _url: str, caller: Caller) -> bool:
    if video.status == Status.READY:
        raise Conflict("This video is stored; it cannot fail any more.")
    if video.status != Status.GENERATING:
        return False
    shown = "".join(char if char.isprintable() else " " for char in said.error)
    reason = " ".join(shown.split())[:500]
    is_rejected = said.status == "rejected"
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


def _unread(session: Session, video: Video, said: Report, _url: str, caller: Caller) -> bool:
    """What a person sends is for that person to correct."""
    is_news = caller.is_generator and video.status == Status.GENERATING
    return is_news and orders.mark_unread(session, video, Generation("unread", message=said.error))


_APPLY: dict[str, Callable[[Session, Video, Report, str, Caller], bool]] = {
    "processing": _processing,
    "ready": _ready,
    "failed": _failed,
    "rejected": _failed,
    "unread": _unread,
}


def _gave_up(video: Video) -> bool:
    return video.status == Status.FAILED and video.error_code != "CANCELLED"


def _by(caller: Caller) -> lifecycle.Actor:
    return {"by": "generator"} if caller.is_generator else {"actor_id": caller.user_id, "by": "person"}


def _fill_metadata(session: Session, video: Video, said: Metadata) -> bool:
    """Fill only what was not measured."""
    told = said.model_dump(exclude_none=True)
    missing = {name: value for name, value in told.items() if getattr(video, name) is None}
    if not missing or not lifecycle.update_if_unchanged(session, video, **missing):
        return False
    session.add(Event(kind="metadata", video_id=video.id, detail=missing))
    return True
