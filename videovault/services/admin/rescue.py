"""How admins help videos that are stuck: apply a report again, give the file's URL, choose the result field."""

from sqlmodel import col, func, select

from videovault.config.validation import MASK
from videovault.db import reading, transaction
from videovault.errors import Conflict, InvalidInput, NotFound, VideoNotFound
from videovault.gateways import source, webhook_reply
from videovault.models import Event, Status, Video, WebhookCall
from videovault.services.core import fields
from videovault.services.core.access import Caller, check_admin, open_video
from videovault.services.core.lifecycle import Enqueue
from videovault.services.core.views import VideoView
from videovault.services.generation import callbacks, orders, result_field
from videovault.services.generation.callbacks import Report
from videovault.services.generation.webhook_log import reply_in, url_fields_of

MAX_READ_AGAIN = 200  # videos whose replies are read again at once
STUCK = (Status.GENERATING, Status.FAILED)


def replay(caller: Caller, call_id: str, *, enqueue: Enqueue) -> VideoView:
    """Apply an earlier report again, on behalf of the admin.

    Raises Forbidden, NotFound, Conflict for a call that is not a complete report, and as ``callbacks.apply`` does.
    """
    check_admin(caller)
    report = _report(caller, _get_call(call_id))
    outcome = callbacks.apply(caller, report, enqueue=enqueue)
    with transaction() as session:
        detail = {"delivery": call_id, "changed": outcome.changed}
        session.add(Event(kind="replayed", actor_id=caller.user_id, video_id=report.video_id, detail=detail))
    return outcome.video


def set_video_url(caller: Caller, video_id: str, url: str, *, enqueue: Enqueue) -> VideoView:
    """Set the URL of the finished file for a video that failed, or whose generator did not deliver.

    Raises Forbidden, VideoNotFound, InvalidInput, UnsafeUrl, SourceError if its host cannot be found, and Conflict for
    a video that is not stuck.
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
                "This video is not stuck: a URL can be set only while it is being generated or after it has failed."
            )
        orders.accept_url(session, video, url, why="an admin gave the address", actor_id=caller.user_id)
        session.add(Event(kind="rescued", actor_id=caller.user_id, video_id=video_id))
        view = VideoView.of(video)
    enqueue(video_id)
    return view


def choose_result_field(caller: Caller, call_id: str, path: str, *, enqueue: Enqueue) -> int:
    """Read video URLs from ``path`` from now on, and read the replies again that were not understood.

    Returns how many videos continue. Raises Forbidden, NotFound, InvalidInput if the reply has no URL at ``path``, and
    Conflict if the environment sets VIDEO_RESULT_FIELD.
    """
    check_admin(caller)
    call = _get_call(call_id)
    if path not in {field.path for field in url_fields_of(call)}:
        raise InvalidInput(
            "There is no address at this place of the answer.", {"field": "Choose one of the list."}
        )
    with transaction() as session:
        result_field.choose_result_field(session, caller, path)
        session.add(Event(kind="field_chosen", actor_id=caller.user_id, detail={"field": path}))
    return sum([_read_again(caller, unread, path, enqueue) for unread in _unread_calls()])


def reset_result_field(caller: Caller) -> None:
    """Undo ``choose_result_field`` for all later replies. Raises Forbidden."""
    with transaction() as session:
        if result_field.reset_result_field(session, caller):
            session.add(Event(kind="field_forgotten", actor_id=caller.user_id))


def _unread_calls() -> list[WebhookCall]:
    """The last call that was not understood, for each video that waits for its generator."""
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


def _read_again(caller: Caller, call: WebhookCall, path: str, enqueue: Enqueue) -> bool:
    reply = webhook_reply.read(*reply_in(call), field=path)
    if reply.state == "unread" or not reply.video_url or MASK in reply.video_url:
        return False  # a URL that was masked when the call was recorded cannot be fetched
    try:
        with reading() as session:
            video = open_video(session, caller, call.video_id or "", "read").row
    except VideoNotFound:  # deleted meanwhile
        return False
    orders.apply_reply(video, reply, why="the answer was read again")
    if reply.state == "ready":
        enqueue(video.id)
    return True


def _get_call(call_id: str) -> WebhookCall:
    missing = NotFound("There is no such delivery: they are kept for 30 days.")
    if not call_id.isdecimal() or len(call_id) > 9:
        raise missing
    with reading() as session:
        call = session.get(WebhookCall, int(call_id))
    if call is None:
        raise missing
    return call


def _report(caller: Caller, call: WebhookCall) -> Report:
    if call.direction != "in" or call.is_cut:
        raise Conflict("Only a complete incoming report can be applied again.")
    reply = callbacks.parse_report(*reply_in(call))
    video_id = call.video_id or reply.video_id
    if reply.state == "unread" or not video_id:
        raise Conflict("This call was not a report that could be applied.")
    with reading() as session:
        owner_id = open_video(session, caller, video_id, "read").row.owner_id
    return Report.of(reply, user_id=owner_id, video_id=video_id)
