"""Keeps every webhook call, in and out, for the callback inbox: without secrets, and never in the way of the call."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sqlalchemy.exc import SQLAlchemyError

from videovault import logs, untrusted_json
from videovault.db import transaction
from videovault.errors import DiskFull
from videovault.gateways.replies import Exchange, Note
from videovault.models import Delivery, Video

MOST_BYTES = 16 * 1024
Verdict = Literal["accepted", "duplicate", "superseded", "refused"]
SECRET_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie", "webhook-signature", "x-api-key"}
)
MASK = "…"
_TOKEN = re.compile(r'("callback_?token"\s*:\s*")(?:[^"\\]|\\.)*', re.IGNORECASE)
_VIDEO_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

log = logs.get(__name__)


@dataclass(frozen=True)
class Incoming:
    """A call that reached us, and what became of it; ``why`` for a refusal, ``outcome`` in a word."""

    kind: str
    headers: Mapping[str, str]
    body: bytes
    verdict: Verdict
    http_status: int
    why: str = ""
    outcome: str = ""


def outgoing(kind: Literal["script", "video", "poll"], video_id: str | None = None) -> Note:
    """What a gateway is to tell of each of its calls. Not to be called inside a transaction."""

    def note(exchange: Exchange) -> None:
        fine = exchange.status is not None and exchange.status < 300
        body, is_cut = _kept_body(exchange.body)
        _keep(
            Delivery(
                direction="out",
                kind=kind,
                video_id=video_id,
                headers=_harmless(exchange.headers),
                body=body,
                is_cut=is_cut,
                answer=_text(exchange.answer)[:MOST_BYTES],
                verdict="accepted" if fine else "refused",
                why="" if fine else exchange.fault or f"HTTP {exchange.status}",
                http_status=exchange.status,
                outcome="not answered" if exchange.status is None else "answered",
            )
        )

    return note


def incoming(call: Incoming) -> None:
    """Keep a call that has been answered. Not to be called inside a transaction."""
    body, is_cut = _kept_body(call.body)
    _keep(
        Delivery(
            direction="in",
            kind=call.kind,
            video_id=_named_video(call.body),
            headers=_harmless(call.headers),
            body=body,
            is_cut=is_cut,
            verdict=call.verdict,
            why=_text(call.why.encode())[:MOST_BYTES],
            http_status=call.http_status,
            outcome=call.outcome,
        )
    )


def _keep(delivery: Delivery) -> None:
    """In a transaction of its own, whatever became of the call's; a record that is lost costs the call nothing."""
    try:
        with transaction() as session:
            if delivery.video_id and session.get(Video, delivery.video_id) is None:
                delivery.video_id = None
            session.add(delivery)
    except (SQLAlchemyError, DiskFull) as error:
        log.warning("a webhook call could not be kept", kind=delivery.kind, reason=type(error).__name__)


def _named_video(body: bytes) -> str | None:
    try:
        said = untrusted_json.loads(body)
    except ValueError:
        return None
    named = said.get("videoId") if isinstance(said, dict) else None
    return named if isinstance(named, str) and _VIDEO_ID.fullmatch(named) else None


def _harmless(headers: Mapping[str, str]) -> dict[str, str]:
    return {
        name.lower(): _text(value.encode())
        for name, value in headers.items()
        if name.lower() not in SECRET_HEADERS
    }


def _kept_body(body: bytes) -> tuple[str, bool]:
    """The text that is kept, and whether it is not all of it."""
    text = _text(_TOKEN.sub(rf"\g<1>{MASK}", body.decode(errors="replace")).encode())
    kept = text.encode()[:MOST_BYTES].decode(errors="ignore")
    return kept, kept != text


def _text(raw: bytes) -> str:
    """PostgreSQL takes no NUL."""
    return raw.decode(errors="replace").replace("\x00", "\ufffd")
