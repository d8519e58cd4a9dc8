"""The callback inbox: what admins see of the webhook calls of the last 30 days, and how they help a stuck video on."""

import re
from collections.abc import Collection
from datetime import timedelta
from typing import Literal

from sqlmodel import Session, col, delete, func, select

from videovault.db import reading, transaction
from videovault.errors import Conflict, InvalidInput, NotFound, VideoNotFound
from videovault.gateways import source, webhook_reply
from videovault.models import Event, Status, Video, WebhookCall, utcnow
from videovault.services.core import cursors, fields
from videovault.services.core.access import Caller, check_admin, open_video
from videovault.services.core.lifecycle import Enqueue
from videovault.services.core.views import Timestamp, VideoView, View
from videovault.services.generation import callbacks, orders, webhook_log
from videovault.services.generation.callbacks import Report
from videovault.services.generation.webhook_log import MASK, video_id_in

# The callback inbox as an admin sees it: whole, but for secrets and the addresses of videos.

_ADDRESS = re.compile(r'(https?://[^/\s"?#\\]+)[^\s"\\]*', re.IGNORECASE)


class FieldView(View):
    """An address in an answer that was not understood; ``path`` is what VIDEO_RESULT_FIELD takes."""

    path: str
    address: str


class WebhookCallView(View):
    """One webhook call. Of addresses only the host is shown: the rest often is a key to the video.

    ``kind`` is ``script``, ``video`` or ``poll`` for those we made, ``status`` for those that reached us;
    ``answer`` is what our own were answered with, ``outcome`` the video's state after one that reached us. ``title``
    is the video's as it is now, empty for one that is gone. ``address`` is the network that a call without a valid
    token or signature came from; such a call has no ``video_id``, whatever it names.
    ``fields`` are those that an admin can choose from, of an answer that was not understood.
    """

    id: str
    at: Timestamp
    direction: Literal["in", "out"]
    kind: str
    video_id: str | None = None
    address: str = ""
    title: str = ""
    headers: dict[str, str]
    body: str
    answer: str
    verdict: str
    why: str
    http_status: int | None = None
    outcome: str
    can_be_replayed: bool
    fields: list[FieldView] = []

    @classmethod
    def of(cls, row: WebhookCall, title: str = "") -> "WebhookCallView":
        return cls(
            id=str(row.id),
            at=row.at,
            direction="in" if row.direction == "in" else "out",
            kind=row.kind,
            video_id=row.video_id,
            address=row.address,
            title=title,
            headers={name: without_paths(value) for name, value in row.headers.items()},
            body=without_paths(row.body),
            answer=without_paths(row.answer),
            verdict=row.verdict,
            why=row.why,
            http_status=row.http_status,
            outcome=row.outcome,
            can_be_replayed=row.direction == "in"
            and not row.is_cut
            and (row.video_id is not None or _names_video(row)),
            fields=[
                FieldView(path=found.path, address=without_paths(found.url)) for found in url_fields_of(row)
            ],
        )


class WebhookCallsView(View):
    """One page of the inbox, newest first."""

    deliveries: list[WebhookCallView]
    next_cursor: str | None = None


def url_fields_of(row: WebhookCall) -> list[webhook_reply.Field]:
    """The addresses in an answer or a report that was not understood; none in any other."""
    return webhook_reply.fields(*reply_in(row)) if row.verdict == "unread" else []


def reply_in(row: WebhookCall) -> tuple[bytes, str]:
    """The generator's own words in a call, and their content type."""
    said = row.body if row.direction == "in" else row.answer
    return said.encode(), row.headers.get("content-type", "") if row.direction == "in" else ""


def _names_video(row: WebhookCall) -> bool:
    return bool(video_id_in(row.body.encode()))


def without_paths(text: str) -> str:
    """Of addresses, only the host: the rest often is a key to the video."""
    return _ADDRESS.sub(rf"\1/{MASK}", text)


RETENTION = timedelta(days=30)
MAX_READ_AGAIN = 200  # videos whose answers are read again at once
STUCK = (Status.GENERATING, Status.FAILED)


def list_calls(
    caller: Caller,
    *,
    video_id: str = "",
    direction: Literal["in", "out"] | None = None,
    limit: int = 50,
    cursor: str = "",
) -> WebhookCallsView:
    """One page, newest first; ``cursor`` as an earlier page gave it. Raises Forbidden for anyone but admins."""
    check_admin(caller)
    wanted = select(WebhookCall).order_by(col(WebhookCall.id).desc()).limit(limit + 1)
    if video_id:
        wanted = wanted.where(WebhookCall.video_id == video_id)
    if direction:
        wanted = wanted.where(WebhookCall.direction == direction)
    if cursor:
        wanted = wanted.where(col(WebhookCall.id) < cursors.decode_id(cursor))
    with reading() as session:
        found = list(session.exec(wanted))
        page = found[:limit]
        titles = _titles(session, {row.video_id for row in page if row.video_id})
    more = str(page[-1].id) if len(found) > limit else None
    deliveries = [WebhookCallView.of(row, titles.get(row.video_id or "", "")) for row in page]
    return WebhookCallsView(deliveries=deliveries, next_cursor=more)


def replay(caller: Caller, delivery_id: str, *, enqueue: Enqueue) -> VideoView:
    """Apply a report that once reached us again, in the admin's name.

    Raises Forbidden, NotFound, Conflict for what is no whole report, and as ``callbacks.take`` does.
    """
    check_admin(caller)
    said = _report(caller, _delivery(delivery_id))
    taken = callbacks.apply(caller, said, enqueue=enqueue)
    with transaction() as session:
        detail = {"delivery": delivery_id, "changed": taken.changed}
        session.add(Event(kind="replayed", actor_id=caller.user_id, video_id=said.video_id, detail=detail))
    return taken.video


def set_video_url(caller: Caller, video_id: str, url: str, *, enqueue: Enqueue) -> VideoView:
    """Give a video whose generator did not deliver, or that failed, the address of the finished file.

    Raises Forbidden, VideoNotFound, InvalidInput, UnsafeUrl, SourceError when its host cannot be found, and
    Conflict for a video that is not stuck.
    """
    check_admin(caller)
    url = fields.validate_url(url)
    with reading() as session:
        attempt = open_video(session, caller, video_id, "change").row.attempt
    source.for_video(video_id, attempt, url).check(url)
    with transaction() as session:
        video = open_video(session, caller, video_id, "change").row
        session.refresh(video, with_for_update=True)
        if video.status not in STUCK:
            raise Conflict(
                "This video is not stuck: only one that is being generated or has failed is given an address."
            )
        orders.accept_url(session, video, url, why="an admin gave the address", actor_id=caller.user_id)
        session.add(Event(kind="rescued", actor_id=caller.user_id, video_id=video_id))
        view = VideoView.of(video)
    enqueue(video_id)
    return view


def choose_result_field(caller: Caller, delivery_id: str, path: str, *, enqueue: Enqueue) -> int:
    """Read the video's address from ``path`` from now on, and what was not understood once more.

    Returns how many videos go on by it. Raises Forbidden, NotFound, InvalidInput for a path at which the answer names no
    address, and Conflict where the environment sets VIDEO_RESULT_FIELD.
    """
    check_admin(caller)
    row = _delivery(delivery_id)
    if path not in {field.path for field in url_fields_of(row)}:
        raise InvalidInput(
            "There is no address at this place of the answer.", {"field": "Choose one of the list."}
        )
    with transaction() as session:
        webhook_log.choose_result_field(session, caller, path)
        session.add(Event(kind="field_chosen", actor_id=caller.user_id, detail={"field": path}))
    return sum([_read_again(caller, row, path, enqueue) for row in _unread()])


def reset_result_field(caller: Caller) -> None:
    """Take back what ``choose_field`` chose, for all answers from now on. Raises Forbidden."""
    with transaction() as session:
        if webhook_log.reset_result_field(session, caller):
            session.add(Event(kind="field_forgotten", actor_id=caller.user_id))


def _unread() -> list[WebhookCall]:
    """The last call that was not understood of each video that waits for its generator."""
    newest = (
        select(func.max(WebhookCall.id))
        .join(Video, col(Video.id) == col(WebhookCall.video_id))
        .where(col(Video.status) == Status.GENERATING, col(Video.unread_at).is_not(None))
        .where(col(WebhookCall.verdict) == "unread", col(WebhookCall.at) >= col(Video.requested_at))
        .group_by(col(WebhookCall.video_id))
        .limit(MAX_READ_AGAIN)
    )
    with reading() as session:
        return list(session.exec(select(WebhookCall).where(col(WebhookCall.id).in_(newest))))


def _read_again(caller: Caller, row: WebhookCall, path: str, enqueue: Enqueue) -> bool:
    said = webhook_reply.read(*reply_in(row), field=path)
    if said.state == "unread" or not said.video_url or webhook_log.MASK in said.video_url:
        return False  # what was masked when the answer was kept cannot be fetched
    try:
        with reading() as session:
            video = open_video(session, caller, row.video_id or "", "read").row
    except VideoNotFound:  # deleted meanwhile
        return False
    orders.apply_reply(video, said, why="the answer was read again")
    if said.state == "ready":
        enqueue(video.id)
    return True


def purge(older_than: timedelta = RETENTION) -> None:
    """Forget old calls; how many there may be until then is bounded where they are written."""
    with transaction() as session:
        session.exec(delete(WebhookCall).where(col(WebhookCall.at) < utcnow() - older_than))


def _titles(session: Session, video_ids: Collection[str]) -> dict[str, str]:
    wanted = select(Video.id, Video.title).where(col(Video.id).in_(video_ids))
    return dict(session.exec(wanted).all())


def _delivery(delivery_id: str) -> WebhookCall:
    missing = NotFound("There is no such delivery: they are kept for 30 days.")
    if not delivery_id.isdecimal() or len(delivery_id) > 9:
        raise missing
    with reading() as session:
        row = session.get(WebhookCall, int(delivery_id))
    if row is None:
        raise missing
    return row


def _report(caller: Caller, row: WebhookCall) -> Report:
    if row.direction != "in" or row.is_cut:
        raise Conflict("Only a report that reached us whole can be applied again.")
    said = callbacks.parse_report(*reply_in(row))
    video_id = row.video_id or said.video_id
    if said.state == "unread" or not video_id:
        raise Conflict("This call was no report that could be applied.")
    with reading() as session:
        owner_id = open_video(session, caller, video_id, "read").row.owner_id
    return Report.of(said, user_id=owner_id, video_id=video_id)
