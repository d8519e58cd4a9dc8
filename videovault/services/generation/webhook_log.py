"""The log of webhook calls, in and out: recorded without secrets, listed for admins, deleted after 30 days.

Recording never fails the call itself. A call belongs to a video's history only if its caller has proved that it may
report on that video; all others share ``MAX_UNAUTHENTICATED_CALLS`` rows. The log is a table, not memory, so that
admins see it on every replica and after a restart. Each bound holds when a row is written, so no flood of calls grows
the database between two purges.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from sqlalchemy import ColumnElement
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, delete, select

from videovault import logs, metrics
from videovault.clock import utcnow
from videovault.config import settings
from videovault.config.validation import MASK, mask_secrets
from videovault.db import keep_newest, reading, transaction
from videovault.errors import DiskFull, VideoNotFound, WebhookBusy, WebhookError, WebhookUnanswered
from videovault.gateways import webhook_reply
from videovault.gateways.webhooks import Exchange, ExchangeRecorder
from videovault.logs import redaction
from videovault.models import Video, WebhookCall
from videovault.services.core import client_ip, cursors, rate_limits
from videovault.services.core.access import Caller, check_admin, open_video
from videovault.services.core.views import Timestamp, View
from videovault.services.generation.result_field import video_result_field

RETENTION = timedelta(days=30)
MAX_BODY_BYTES = 16 * 1024
MAX_UNREAD_BODY_BYTES = 64 * 1024  # of a generator's report, and of a reply that an admin has to look at
MAX_HEADERS = 40
MAX_HEADER_CHARS = 300  # of a name or a value
MAX_CALLS_PER_VIDEO = 200
MAX_CALLS_WITHOUT_VIDEO = 1000  # our own calls of the script webhook
MAX_UNAUTHENTICATED_CALLS = 300
MAX_CALLS_PER_NETWORK = 20
Direction = Literal["in", "out"]
Verdict = Literal["accepted", "duplicate", "superseded", "unread", "refused"]
SECRET_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie", "webhook-signature", "x-api-key"}
)
VIDEO_BODY_PLACEHOLDER = "(a video, which is not kept here)"
_TOKEN = re.compile(r'("callback_?token"\s*:\s*")(?:[^"\\]|\\.)*', re.IGNORECASE)
_URL = re.compile(r'(https?://[^/\s"?#\\]+)[^\s"\\]*', re.IGNORECASE)

log = logs.get(__name__)


@dataclass(frozen=True)
class IncomingCall:
    """A call to our API and its result: ``why`` it was refused, ``outcome`` in a word.

    ``caller`` is None for a call without valid credentials, or for a replay of one that had them. ``video_id`` is the
    video that it reports on, ``address`` the client's IP address.
    """

    kind: str
    headers: Mapping[str, str]
    body: bytes
    verdict: Verdict
    http_status: int
    why: str = ""
    outcome: str = ""
    caller: Caller | None = None
    video_id: str = ""
    address: str = ""


class FieldView(View):
    """A URL in a reply that was not understood; ``path`` is a value for VIDEO_RESULT_FIELD."""

    path: str
    address: str


class WebhookCallView(View):
    """One webhook call. URLs are cut to their host, because the rest is often a key to the video.

    ``kind`` is ``script``, ``video`` or ``poll`` for outgoing calls, ``status`` for incoming ones. ``answer`` is the
    response to an outgoing call, ``outcome`` the video's state after an incoming one. ``title`` is the video's current
    title, empty for a deleted video. ``address`` is the client network of a call without a valid token or signature;
    such a call has no ``video_id``, even if its body names one. ``fields`` are the URLs to choose from in a reply that
    was not understood.
    """

    id: str
    at: Timestamp
    direction: Direction
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
        is_whole_report = row.direction == "in" and not row.is_cut
        return cls(
            id=str(row.id),
            at=row.at,
            direction="in" if row.direction == "in" else "out",
            kind=row.kind,
            video_id=row.video_id,
            address=row.address,
            title=title,
            headers={name: strip_url_paths(value) for name, value in row.headers.items()},
            body=strip_url_paths(row.body),
            answer=strip_url_paths(row.answer),
            verdict=row.verdict,
            why=row.why,
            http_status=row.http_status,
            outcome=row.outcome,
            can_be_replayed=is_whole_report
            and (row.video_id is not None or bool(video_id_in(row.body.encode()))),
            fields=[
                FieldView(path=field.path, address=strip_url_paths(field.url)) for field in url_fields_of(row)
            ],
        )


class WebhookCallsView(View):
    """One page of the log, newest first."""

    deliveries: list[WebhookCallView]
    next_cursor: str | None = None


def outgoing_recorder(
    kind: Literal["script", "video", "poll"], video_id: str | None = None
) -> ExchangeRecorder:
    """Records the calls that a gateway makes. Do not call it inside a transaction.

    No error of the database reaches the call, whose response may have been paid for.
    """

    def record(exchange: Exchange) -> None:
        try:
            verdict, why = _verdict(kind, exchange)
        except SQLAlchemyError as error:
            log.warning("a webhook call could not be recorded", kind=kind, reason=type(error).__name__)
            return
        body, is_cut = _redact_body(exchange.body)
        max_bytes = MAX_UNREAD_BODY_BYTES if verdict == "unread" else MAX_BODY_BYTES
        _insert(
            WebhookCall(
                direction="out",
                kind=kind,
                video_id=video_id,
                headers=_redact_headers(exchange.headers),
                body=body,
                is_cut=is_cut,
                answer=_redact_body(exchange.answer, max_bytes)[0],
                verdict=verdict,
                why=_redact(why),
                http_status=exchange.status,
                outcome="not answered" if exchange.status is None else "answered",
            )
        )

    return record


def count_failure(webhook: str, error: WebhookError) -> None:
    """Count a call without a usable answer, or one that was refused."""
    kind = "busy" if isinstance(error, WebhookBusy) else "refused"
    is_unanswered = kind == "refused" and (error.retryable or isinstance(error, WebhookUnanswered))
    metrics.WEBHOOK_ANSWERS.inc(webhook=webhook, answer="unanswered" if is_unanswered else kind)


def record_incoming(call: IncomingCall) -> None:
    """Record a call that has been answered; without credentials only within the rate limits of its address.

    Do not call it inside a transaction.
    """
    is_authorized = call.caller is not None and _may_report(call.caller, call.video_id)
    if not is_authorized and not rate_limits.count_unauthenticated_callback(call.address):
        return
    is_generator = call.caller is not None and call.caller.is_generator
    max_bytes = MAX_UNREAD_BODY_BYTES if is_generator or call.verdict == "unread" else MAX_BODY_BYTES
    body, is_cut = _redact_body(call.body, max_bytes)
    _insert(
        WebhookCall(
            direction="in",
            kind=call.kind,
            video_id=call.video_id if is_authorized else None,
            address="" if is_authorized else client_ip.rate_limit_networks(call.address)[-1][0],
            headers=_redact_headers(call.headers),
            body=body,
            is_cut=is_cut,
            verdict=call.verdict,
            why=_without_nul(call.why)[:MAX_BODY_BYTES],
            http_status=call.http_status,
            outcome=call.outcome,
        )
    )


def list_calls(
    caller: Caller,
    *,
    video_id: str = "",
    direction: Direction | None = None,
    limit: int = 50,
    cursor: str = "",
) -> WebhookCallsView:
    """One page, newest first; ``cursor`` comes from an earlier page. Raises Forbidden for non-admins, InvalidInput."""
    check_admin(caller)
    query = select(WebhookCall).order_by(col(WebhookCall.id).desc()).limit(limit + 1)
    if video_id:
        query = query.where(WebhookCall.video_id == video_id)
    if direction:
        query = query.where(WebhookCall.direction == direction)
    if cursor:
        query = query.where(col(WebhookCall.id) < cursors.decode_id(cursor))
    with reading() as session:
        rows = list(session.exec(query))
        page = rows[:limit]
        titles = _titles(session, {row.video_id for row in page if row.video_id})
    next_cursor = str(page[-1].id) if len(rows) > limit else None
    calls = [WebhookCallView.of(row, titles.get(row.video_id or "", "")) for row in page]
    return WebhookCallsView(deliveries=calls, next_cursor=next_cursor)


def purge(older_than: timedelta = RETENTION) -> None:
    """Delete old calls; their number is bounded when they are recorded."""
    with transaction() as session:
        session.exec(delete(WebhookCall).where(col(WebhookCall.at) < utcnow() - older_than))


def url_fields_of(row: WebhookCall) -> list[webhook_reply.UrlField]:
    """The URLs in a reply or a report that was not understood; none in any other."""
    return webhook_reply.url_fields(*reply_in(row)) if row.verdict == "unread" else []


def reply_in(row: WebhookCall) -> tuple[bytes, str]:
    """The generator's own message in a call, and its content type."""
    if row.direction == "in":
        return row.body.encode(), row.headers.get("content-type", "")
    return row.answer.encode(), ""


def redacted_body(body: bytes) -> str:
    """The text of a body as it may be shown: cut to size, and without callback tokens."""
    return _redact_body(body)[0]


def strip_url_paths(text: str) -> str:
    """Cuts URLs to their host, because the rest is often a key to the video."""
    return _URL.sub(rf"\1/{MASK}", text)


def video_id_in(body: bytes) -> str:
    """The video that the body of a report names; empty if it names none."""
    return webhook_reply.read(body).video_id


def _verdict(kind: str, exchange: Exchange) -> tuple[Verdict, str]:
    """The verdict on an outgoing call, and the reason for it."""
    if exchange.status is None or exchange.status >= 300:
        return "refused", exchange.fault or f"HTTP {exchange.status}"
    if kind != "script":
        reply = webhook_reply.read(exchange.answer, exchange.content_type, field=video_result_field())
        if reply.problem:
            return "unread", reply.problem
    return "accepted", ""


def _insert(row: WebhookCall) -> None:
    """In its own transaction, independent of the call's. A failure is logged and does not reach the call."""
    try:
        with transaction() as session:
            if row.video_id and session.get(Video, row.video_id) is None:
                row.video_id = None
            session.add(row)
            session.flush()
            for max_rows, conditions in _bounds(row):
                keep_newest(session, WebhookCall.id, max_rows, *conditions)
    except (SQLAlchemyError, DiskFull) as error:
        log.warning("a webhook call could not be recorded", kind=row.kind, reason=type(error).__name__)


def _bounds(row: WebhookCall) -> list[tuple[int, list[ColumnElement[bool]]]]:
    """The groups that this row counts towards, each with its maximum number of rows."""
    video_id, direction, address = (
        col(WebhookCall.video_id),
        col(WebhookCall.direction),
        col(WebhookCall.address),
    )
    if row.video_id:
        return [(MAX_CALLS_PER_VIDEO, [video_id == row.video_id])]
    conditions = [video_id.is_(None), direction == row.direction]
    if row.direction == "out":
        return [(MAX_CALLS_WITHOUT_VIDEO, conditions)]
    return [
        (MAX_CALLS_PER_NETWORK, [*conditions, address == row.address]),
        (MAX_UNAUTHENTICATED_CALLS, conditions),
    ]


def _may_report(caller: Caller, video_id: str) -> bool:
    """A generator has proved which video it reports on; people may report on the videos that they may see."""
    if caller.is_generator:
        return True
    try:
        with reading() as session:
            open_video(session, caller, video_id, "read")
    except VideoNotFound:
        return False
    return True


def _redact_headers(headers: Mapping[str, str]) -> dict[str, str]:
    shown = [(name.lower(), value) for name, value in headers.items() if name.lower() not in SECRET_HEADERS]
    return {name[:MAX_HEADER_CHARS]: _redact_header(value) for name, value in shown[:MAX_HEADERS]}


def _redact_header(value: str) -> str:
    is_whole = len(value) <= MAX_HEADER_CHARS
    return _without_nul(_redact(value if is_whole else value[:MAX_HEADER_CHARS] + MASK))


def _redact_body(body: bytes, max_bytes: int = MAX_BODY_BYTES) -> tuple[str, bool]:
    """The text to record, and whether it is incomplete."""
    if webhook_reply.is_video(body):
        return VIDEO_BODY_PLACEHOLDER, True
    text = _without_nul(_redact(body[:max_bytes].decode(errors="replace")))
    cut = text.encode()[:max_bytes].decode(errors="ignore")
    return cut, cut != text or len(body) > max_bytes


def _redact(text: str) -> str:
    """Masks callback tokens, URLs that contain one, and the values of WEBHOOK_HEADERS: services may echo them."""
    text = redaction.CALLBACK_PATH.sub(rf"\g<1>{MASK}", _TOKEN.sub(rf"\g<1>{MASK}", text))
    return mask_secrets(redaction.SIGNED_TOKEN.sub(MASK, text), settings().header_secrets)


def _without_nul(text: str) -> str:
    """PostgreSQL stores neither NUL nor lone surrogates."""
    return text.encode(errors="replace").decode().replace("\x00", "\ufffd")


def _titles(session: Session, video_ids: Collection[str]) -> dict[str, str]:
    return dict(session.exec(select(Video.id, Video.title).where(col(Video.id).in_(video_ids))).all())
