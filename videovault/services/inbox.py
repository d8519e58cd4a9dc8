"""The callback inbox: what admins see of the webhook calls of the last 30 days, and how they help a stuck video on."""

from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Literal

from sqlmodel import Session, col, delete, func, select

from videovault.db import reading, transaction
from videovault.errors import Conflict, InvalidInput, NotFound, VideoNotFound
from videovault.gateways import reader, source
from videovault.models import Delivery, Event, Status, Video, now
from videovault.services import callbacks, fields, generation, recording, result_fields
from videovault.services.access import Caller, check_admin, open_video
from videovault.services.callbacks import Report
from videovault.services.delivery_views import DeliveriesView, DeliveryView, choices_of, said_in
from videovault.services.views import VideoView

KEPT = timedelta(days=30)
MOST_READ_AGAIN = 200  # videos whose answers are read again at once
STUCK = (Status.GENERATING, Status.FAILED)
Enqueue = Callable[[str], object]


def list_deliveries(
    caller: Caller,
    *,
    video_id: str = "",
    direction: Literal["in", "out"] | None = None,
    limit: int = 50,
    cursor: str = "",
) -> DeliveriesView:
    """One page, newest first; ``cursor`` as an earlier page gave it. Raises Forbidden for anyone but admins."""
    check_admin(caller)
    wanted = select(Delivery).order_by(col(Delivery.id).desc()).limit(limit + 1)
    if video_id:
        wanted = wanted.where(Delivery.video_id == video_id)
    if direction:
        wanted = wanted.where(Delivery.direction == direction)
    if cursor:
        wanted = wanted.where(col(Delivery.id) < _number(cursor))
    with reading() as session:
        found = list(session.exec(wanted))
        page = found[:limit]
        titles = _titles(session, {row.video_id for row in page if row.video_id})
    more = str(page[-1].id) if len(found) > limit else None
    deliveries = [DeliveryView.of(row, titles.get(row.video_id or "", "")) for row in page]
    return DeliveriesView(deliveries=deliveries, next_cursor=more)


def replay(caller: Caller, delivery_id: str, *, enqueue: Enqueue) -> VideoView:
    """Apply a report that once reached us again, in the admin's name.

    Raises Forbidden, NotFound, Conflict for what is no whole report, and as ``callbacks.take`` does.
    """
    check_admin(caller)
    said = _report(caller, _delivery(delivery_id))
    taken = callbacks.take(caller, said, enqueue=enqueue)
    with transaction() as session:
        detail = {"delivery": delivery_id, "changed": taken.changed}
        session.add(Event(kind="replayed", actor_id=caller.user_id, video_id=said.video_id, detail=detail))
    return taken.video


def rescue(caller: Caller, video_id: str, url: str, *, enqueue: Enqueue) -> VideoView:
    """Give a video whose generator did not deliver, or that failed, the address of the finished file.

    Raises Forbidden, VideoNotFound, InvalidInput, UnsafeUrl, SourceError when its host cannot be found, and
    Conflict for a video that is not stuck.
    """
    check_admin(caller)
    url = fields.checked_address(url)
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
        generation.receive_url(session, video, url, why="an admin gave the address", actor_id=caller.user_id)
        session.add(Event(kind="rescued", actor_id=caller.user_id, video_id=video_id))
        view = VideoView.of(video)
    enqueue(video_id)
    return view


def choose_field(caller: Caller, delivery_id: str, path: str, *, enqueue: Enqueue) -> int:
    """Read the video's address from ``path`` from now on, and what was not understood once more.

    Returns how many videos go on by it. Raises Forbidden, NotFound, InvalidInput for a path at which the answer names no
    address, and Conflict where the environment sets VIDEO_RESULT_FIELD.
    """
    check_admin(caller)
    row = _delivery(delivery_id)
    if path not in {field.path for field in choices_of(row)}:
        raise InvalidInput(
            "There is no address at this place of the answer.", {"field": "Choose one of the list."}
        )
    with transaction() as session:
        result_fields.choose_video(session, caller, path)
        session.add(Event(kind="field_chosen", actor_id=caller.user_id, detail={"field": path}))
    return sum([_read_again(caller, row, path, enqueue) for row in _unread()])


def forget_field(caller: Caller) -> None:
    """Take back what ``choose_field`` chose, for all answers from now on. Raises Forbidden."""
    with transaction() as session:
        if result_fields.forget_video(session, caller):
            session.add(Event(kind="field_forgotten", actor_id=caller.user_id))


def _unread() -> list[Delivery]:
    """The last call that was not understood of each video that waits for its generator."""
    newest = (
        select(func.max(Delivery.id))
        .join(Video, col(Video.id) == col(Delivery.video_id))
        .where(col(Video.status) == Status.GENERATING, col(Video.unread_at).is_not(None))
        .where(col(Delivery.verdict) == "unread", col(Delivery.at) >= col(Video.requested_at))
        .group_by(col(Delivery.video_id))
        .limit(MOST_READ_AGAIN)
    )
    with reading() as session:
        return list(session.exec(select(Delivery).where(col(Delivery.id).in_(newest))))


def _read_again(caller: Caller, row: Delivery, path: str, enqueue: Enqueue) -> bool:
    said = reader.read(*said_in(row), field=path)
    if said.state == "unread" or not said.video_url or recording.MASK in said.video_url:
        return False  # what was masked when the answer was kept cannot be fetched
    try:
        with reading() as session:
            video = open_video(session, caller, row.video_id or "", "read").row
    except VideoNotFound:  # deleted meanwhile
        return False
    generation.take_answer(video, said, why="the answer was read again")
    if said.state == "ready":
        enqueue(video.id)
    return True


def purge(older_than: timedelta = KEPT) -> None:
    """Forget old calls; how many there may be until then is bounded where they are written."""
    with transaction() as session:
        session.exec(delete(Delivery).where(col(Delivery.at) < now() - older_than))


def _titles(session: Session, video_ids: Collection[str]) -> dict[str, str]:
    wanted = select(Video.id, Video.title).where(col(Video.id).in_(video_ids))
    return dict(session.exec(wanted).all())


def _delivery(delivery_id: str) -> Delivery:
    missing = NotFound("There is no such delivery: they are kept for 30 days.")
    if not delivery_id.isdecimal() or len(delivery_id) > 9:
        raise missing
    with reading() as session:
        row = session.get(Delivery, int(delivery_id))
    if row is None:
        raise missing
    return row


def _report(caller: Caller, row: Delivery) -> Report:
    if row.direction != "in" or row.is_cut:
        raise Conflict("Only a report that reached us whole can be applied again.")
    said = callbacks.understood(*said_in(row))
    video_id = row.video_id or said.video_id
    if said.state == "unread" or not video_id:
        raise Conflict("This call was no report that could be applied.")
    with reading() as session:
        owner_id = open_video(session, caller, video_id, "read").row.owner_id
    return Report.of(said, user_id=owner_id, video_id=video_id)


def _number(cursor: str) -> int:
    if not cursor.isdecimal() or len(cursor) > 9:
        message = "This cursor was not given out by an earlier page."
        raise InvalidInput(message, {"cursor": message})
    return int(cursor)
