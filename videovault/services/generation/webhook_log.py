"""Keeps webhook calls, in and out, for the callback inbox: without secrets, and never in the way of the call.

A call belongs to a video's history only if its caller has proved that it may report on that video. All others share
a ring of ``MOST_UNPROVEN`` rows. It is a table, not memory, so that admins see it on every replica and after a restart.
Every bound holds at the moment of writing, so no flood grows the database between two purges.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col

from videovault import logs
from videovault.config import settings
from videovault.config.headers import mask_secrets
from videovault.db import keep_newest, reading, transaction
from videovault.errors import Conflict, DiskFull, VideoNotFound
from videovault.gateways import webhook_reply
from videovault.gateways.webhooks import Exchange, ExchangeRecorder
from videovault.logs import redaction
from videovault.models import ChosenSetting, Video, WebhookCall, utcnow
from videovault.services.core import client_ip, rate_limits
from videovault.services.core.access import Caller, check_admin, open_video

# Where in a generator's answer the result stands: as the environment says, else as an admin has chosen on a page.

VIDEO_RESULT_FIELD = "VIDEO_RESULT_FIELD"
SCRIPT_RESULT_FIELD = "SCRIPT_RESULT_FIELD"
LONGEST = 200


def video_result_field() -> str:
    """The dotted path to a video's address; empty where it is found by itself."""
    return settings().video_result_field or _chosen(VIDEO_RESULT_FIELD)


def script_result_field() -> str:
    """The dotted path to a script; empty where it is found by itself."""
    return settings().script_result_field


def choose_result_field(session: Session, caller: Caller, path: str) -> None:
    """Keep the path for all answers from now on. Raises Forbidden, and Conflict where the environment sets another."""
    check_admin(caller)
    if settings().video_result_field:
        raise Conflict(
            f"{VIDEO_RESULT_FIELD} is set in the environment, which counts. Change it there, then start again."
        )
    row = session.get(ChosenSetting, VIDEO_RESULT_FIELD) or ChosenSetting(
        name=VIDEO_RESULT_FIELD, value="", chosen_by=""
    )
    row.value, row.chosen_by, row.chosen_at = path, caller.user_id, utcnow()
    session.add(row)


def chosen_result_field(caller: Caller) -> str:
    """The path that an admin has chosen, if it counts; empty without one. Raises Forbidden for anyone but admins."""
    check_admin(caller)
    return "" if settings().video_result_field else _chosen(VIDEO_RESULT_FIELD)


def reset_result_field(session: Session, caller: Caller) -> bool:
    """Find addresses by themselves again; whether a path had been chosen. Raises Forbidden."""
    check_admin(caller)
    row = session.get(ChosenSetting, VIDEO_RESULT_FIELD)
    if row is not None:
        session.delete(row)
    return row is not None


def _chosen(name: str) -> str:
    with reading() as session:
        row = session.get(ChosenSetting, name)
        return row.value if row else ""


MAX_BODY_BYTES = 16 * 1024
MAX_UNREAD_BODY_BYTES = 64 * 1024  # of a generator's report, and of an answer that a person is to look at
MAX_HEADERS = 40
MAX_HEADER_CHARS = 300  # characters, of a name or a value
MAX_CALLS_PER_VIDEO = 200
MAX_CALLS_WITHOUT_VIDEO = 1000  # our own calls of the script webhook
MAX_UNAUTHENTICATED_CALLS = 300
MAX_CALLS_PER_NETWORK = 20
Verdict = Literal["accepted", "duplicate", "superseded", "unread", "refused"]
SECRET_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie", "webhook-signature", "x-api-key"}
)
MASK = "…"
VIDEO_BODY_PLACEHOLDER = "(a video, which is not kept here)"
_TOKEN = re.compile(r'("callback_?token"\s*:\s*")(?:[^"\\]|\\.)*', re.IGNORECASE)

log = logs.get(__name__)


@dataclass(frozen=True)
class IncomingCall:
    """A call that reached us, and what became of it; ``why`` for a refusal, ``outcome`` in a word.

    ``caller`` is None for a call that proved nothing, or a replay of one that proved something; ``video_id`` is the
    video it reports on, ``address`` the client's.
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


def outgoing_recorder(
    kind: Literal["script", "video", "poll"], video_id: str | None = None
) -> ExchangeRecorder:
    """What a gateway is to tell of each of its calls. Not to be called inside a transaction."""

    def note(exchange: Exchange) -> None:
        verdict, why = _verdict(kind, exchange)
        body, is_cut = _kept_body(exchange.body)
        most = MAX_UNREAD_BODY_BYTES if verdict == "unread" else MAX_BODY_BYTES
        _keep(
            WebhookCall(
                direction="out",
                kind=kind,
                video_id=video_id,
                headers=_harmless(exchange.headers),
                body=body,
                is_cut=is_cut,
                answer=_kept_body(exchange.answer, most)[0],
                verdict=verdict,
                why=_masked(why),
                http_status=exchange.status,
                outcome="not answered" if exchange.status is None else "answered",
            )
        )

    return note


def record_incoming(call: IncomingCall) -> None:
    """Keep a call that has been answered; of those that proved nothing, as many as the limits of the address allow.

    Not to be called inside a transaction.
    """
    is_proven = call.caller is not None and _may_report(call.caller, call.video_id)
    if not is_proven and not rate_limits.count_unauthenticated_callback(call.address):
        return
    is_generator = call.caller is not None and call.caller.is_generator
    is_kept_whole = is_generator or call.verdict == "unread"
    body, is_cut = _kept_body(call.body, MAX_UNREAD_BODY_BYTES if is_kept_whole else MAX_BODY_BYTES)
    _keep(
        WebhookCall(
            direction="in",
            kind=call.kind,
            video_id=call.video_id if is_proven else None,
            address="" if is_proven else client_ip.rate_limit_networks(call.address)[-1][0],
            headers=_harmless(call.headers),
            body=body,
            is_cut=is_cut,
            verdict=call.verdict,
            why=_text(call.why.encode())[:MAX_BODY_BYTES],
            http_status=call.http_status,
            outcome=call.outcome,
        )
    )


def redacted_body(body: bytes) -> str:
    """The text of a body as it may be kept: cut, and without callback tokens."""
    return _kept_body(body)[0]


def video_id_in(body: bytes) -> str:
    """The video that the body of a report names; empty where it names none."""
    return webhook_reply.read(body).video_id


def _verdict(kind: str, exchange: Exchange) -> tuple[Verdict, str]:
    """What became of a call of ours, and why."""
    if exchange.status is None or exchange.status >= 300:
        return "refused", exchange.fault or f"HTTP {exchange.status}"
    if kind != "script":
        said = webhook_reply.read(exchange.answer, exchange.content_type, field=video_result_field())
        if said.problem:
            return "unread", said.problem
    return "accepted", ""


def _keep(delivery: WebhookCall) -> None:
    """In a transaction of its own, whatever became of the call's; a record that is lost costs the call nothing."""
    try:
        with transaction() as session:
            if delivery.video_id and session.get(Video, delivery.video_id) is None:
                delivery.video_id = None
            session.add(delivery)
            session.flush()
            for most, rows in _bounds(delivery):
                keep_newest(session, WebhookCall.id, most, *rows)
    except (SQLAlchemyError, DiskFull) as error:
        log.warning("a webhook call could not be kept", kind=delivery.kind, reason=type(error).__name__)


def _bounds(delivery: WebhookCall) -> list[tuple[int, list[ColumnElement[bool]]]]:
    """How many rows there may be of those that this one belongs to."""
    video_id, direction, address = (
        col(WebhookCall.video_id),
        col(WebhookCall.direction),
        col(WebhookCall.address),
    )
    if delivery.video_id:
        return [(MAX_CALLS_PER_VIDEO, [video_id == delivery.video_id])]
    rows = [video_id.is_(None), direction == delivery.direction]
    if delivery.direction == "out":
        return [(MAX_CALLS_WITHOUT_VIDEO, rows)]
    return [(MAX_CALLS_PER_NETWORK, [*rows, address == delivery.address]), (MAX_UNAUTHENTICATED_CALLS, rows)]


def _may_report(caller: Caller, video_id: str) -> bool:
    """A generator has proved which video it reports on; a person reports on videos that the person may see."""
    if caller.is_generator:
        return True
    try:
        with reading() as session:
            open_video(session, caller, video_id, "read")
    except VideoNotFound:
        return False
    return True


def _harmless(headers: Mapping[str, str]) -> dict[str, str]:
    told = [(name.lower(), value) for name, value in headers.items() if name.lower() not in SECRET_HEADERS]
    return {name[:MAX_HEADER_CHARS]: _cut(value) for name, value in told[:MAX_HEADERS]}


def _masked(text: str) -> str:
    """Without callback tokens, addresses that hold one, and what WEBHOOK_HEADERS add; services may echo them."""
    text = redaction.CALLBACK_PATH.sub(rf"\g<1>{MASK}", _TOKEN.sub(rf"\g<1>{MASK}", text))
    return mask_secrets(redaction.SIGNED_TOKEN.sub(MASK, text), settings().header_secrets)


def _cut(value: str) -> str:
    whole = len(value) <= MAX_HEADER_CHARS
    return _text(_masked(value if whole else value[:MAX_HEADER_CHARS] + MASK).encode())


def _kept_body(body: bytes, most: int = MAX_BODY_BYTES) -> tuple[str, bool]:
    """The text that is kept, and whether it is not all of it."""
    if webhook_reply.is_video(body):
        return VIDEO_BODY_PLACEHOLDER, True
    text = _text(_masked(body[:most].decode(errors="replace")).encode())
    kept = text.encode()[:most].decode(errors="ignore")
    return kept, kept != text or len(body) > most


def _text(raw: bytes) -> str:
    """PostgreSQL takes no NUL."""
    return raw.decode(errors="replace").replace("\x00", "\ufffd")
