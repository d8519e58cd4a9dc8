"""The two webhooks that VideoVault calls: a brief becomes a script, a script becomes a video."""

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from typing import Any
from uuid import uuid4

import httpx
from standardwebhooks import Webhook

from videovault.config import settings
from videovault.config.headers import mask_secrets
from videovault.errors import WebhookBusy, WebhookError, WebhookUnanswered
from videovault.gateways import studio, tls, webhook_reply
from videovault.gateways.container import SNIFF_BYTES
from videovault.gateways.http_headers import retry_after_seconds
from videovault.gateways.webhook_reply import Generation, Script

# A call to a generator, as it is kept for people to look at.


@dataclass(frozen=True)
class Exchange:
    """A call that was made: ``status`` None and a ``fault`` if it was not answered."""

    headers: Mapping[str, str]
    body: bytes
    status: int | None = None
    answer: bytes = b""
    fault: str = ""
    content_type: str = ""


ExchangeRecorder = Callable[[Exchange], object]


def discard_exchange(_exchange: Exchange) -> None:
    """For callers that keep no record of their calls."""


__all__ = ["Exchange", "Generation", "Script", "Webhooks", "connected"]

HIDDEN = "…"  # in the place of a header's secret value
REPEATS = 3
CONNECT_SECONDS = 10.0
KEPT_HEADERS = ("retry-after", "content-type")
# No connection was made, by DNS, TCP, TLS or a proxy, so sending again cannot order twice.
NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
BodySink = Callable[[Iterator[bytes], int | None], object]
"""Takes a body that is the video: its pieces, and how many bytes they are together if the answer says so.

The pieces raise WebhookUnanswered when the body breaks off. Each is awaited as long as the webhook's answer is.
"""


class Webhooks:
    """Calls the configured webhooks with the client that is handed in.

    ``note`` hears of every call that was made, before its outcome is known to the caller. ``headers`` are further ones
    by the address that they are for; ``note`` hears their names only.
    """

    def __init__(
        self,
        client: httpx.Client,
        *,
        script_url: str,
        video_url: str,
        secret: str = "",
        backoff: float,
        headers: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self._client = client
        self._script_url = script_url
        self._video_url = video_url
        self._signer = Webhook(secret) if secret else None
        self._backoff = backoff
        self._headers = headers or {}

    def write_script(
        self, brief: Mapping[str, Any], *, note: ExchangeRecorder = discard_exchange, field: str = ""
    ) -> Script:
        """Ask for a script, which stands at ``field`` if not where it usually does.

        Raises WebhookError with a sentence for a person.
        """
        try:
            answer = _accepted(self._post(self._script_url, brief, {}, note, again=_is_out_of_order))
        except WebhookUnanswered as error:
            raise WebhookError(error.public_message, retryable=True) from error
        if answer.status_code >= 400:
            reason = mask_secrets(_read(answer).message, self._headers.get(self._script_url, {}).values())
            raise WebhookError(f"The script service refused the brief. {reason}".strip())
        return webhook_reply.read_script(answer.content, _content_type(answer), field=field)

    def generate(
        self,
        request: Mapping[str, Any],
        *,
        idempotency_key: str,
        note: ExchangeRecorder = discard_exchange,
        field: str = "",
        keep: BodySink | None = None,
    ) -> Generation:
        """Order a video, whose address stands at ``field`` if not where it usually does.

        A body that is the video itself is given to ``keep``, whose errors come out of here; without ``keep``, the rest
        of it is not read.

        The order is sent once; only a connection that was not made is tried again. An answer that is not understood is
        ``unread``: the render may be under way and is paid for. Raises WebhookUnanswered when the order may have
        arrived and the answer does not tell what became of it; WebhookBusy when nothing was begun and the order is
        to be sent again later; WebhookError when the webhook could not be reached or misleads.
        """
        answer = self._post(self._video_url, request, {"Idempotency-Key": idempotency_key}, note, keep=keep)
        if _may_have_begun(answer):
            raise WebhookUnanswered(f"The service answered HTTP {answer.status_code}.")
        return _read(_accepted(answer), field)

    def _post(
        self,
        url: str,
        payload: Mapping[str, Any],
        headers: Mapping[str, str],
        note: ExchangeRecorder,
        *,
        again: Callable[[httpx.Response], bool] = lambda _answer: False,
        keep: BodySink | None = None,
    ) -> httpx.Response:
        """One answer, whatever its status. Sent again, backing off: what no connection was made for, and ``again``."""
        body = json.dumps(payload).encode()
        for repeats in range(REPEATS + 1):
            is_last = repeats == REPEATS
            try:
                answer = self._send(url, body, headers, note, keep)
            except NOT_SENT as error:
                if is_last:
                    raise WebhookError("The service could not be reached.", retryable=True) from error
            except httpx.TimeoutException as error:
                raise WebhookUnanswered("The service did not answer in time.") from error
            except httpx.HTTPError as error:
                raise WebhookUnanswered("The connection ended before the answer was complete.") from error
            else:
                if is_last or not again(answer):
                    return answer
            time.sleep(self._backoff * 2**repeats)
        raise AssertionError("unreachable")

    def _send(
        self, url: str, body: bytes, headers: Mapping[str, str], note: ExchangeRecorder, keep: BodySink | None
    ) -> httpx.Response:
        """One call, noted whatever becomes of it."""
        own = self._headers.get(url, {})
        plain = {"Content-Type": "application/json", **headers, **self._signature(body)}
        noted = {**dict.fromkeys(own, HIDDEN), **plain}
        try:
            answer = self._exchanged(url, body, {**own, **plain}, keep)
        except Exception as error:
            note(Exchange(noted, body, fault=f"{type(error).__name__}: {error}"))
            raise
        note(Exchange(noted, body, answer.status_code, answer.content, content_type=_content_type(answer)))
        return answer

    def _exchanged(
        self, url: str, body: bytes, headers: Mapping[str, str], keep: BodySink | None
    ) -> httpx.Response:
        """The answer up to one byte more than is read of it, with none of its headers but the ``KEPT_HEADERS``.

        Of a body that is the video there is only its beginning.
        """
        until = time.monotonic() + (self._client.timeout.read or math.inf)
        with self._client.stream("POST", url, content=body, headers=headers) as answer:
            pieces = answer.iter_bytes()
            content = _first(SNIFF_BYTES, pieces, until)
            if answer.is_success and webhook_reply.is_video(content):
                if keep:
                    keep(chain([content], _whole(pieces)), _length(answer))
                content = content[:SNIFF_BYTES]
            else:
                content += _first(webhook_reply.MAX_BYTES + 1 - len(content), pieces, until)
            kept = {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers}
            return httpx.Response(
                answer.status_code, headers=kept, content=content[: webhook_reply.MAX_BYTES + 1]
            )

    def _signature(self, body: bytes) -> dict[str, str]:
        """Standard Webhooks headers, when a secret is set."""
        if self._signer is None:
            return {}
        message_id, at = f"msg_{uuid4().hex}", datetime.now(UTC)
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": self._signer.sign(message_id, at, body.decode()),
        }


@lru_cache(maxsize=1)
def connected() -> Webhooks:
    """The webhooks that the settings name."""
    chosen = settings()
    timeout = httpx.Timeout(chosen.webhook_timeout_seconds, connect=CONNECT_SECONDS)
    # A kept connection may be closed just as an order is sent on it; that would look like a lost answer.
    fresh = httpx.Limits(max_keepalive_connections=0)
    return Webhooks(
        httpx.Client(timeout=timeout, limits=fresh, verify=tls.ssl_context()),
        script_url=chosen.script_webhook,
        video_url=chosen.video_webhook,
        secret=chosen.webhook_secret.get_secret_value(),
        backoff=chosen.webhook_retry_seconds,
        headers=_own_headers(),
    )


def _own_headers() -> dict[str, Mapping[str, str]]:
    """The studio's key for the webhooks that lead to it, and WEBHOOK_HEADERS for those that were set."""
    chosen = settings()
    addresses = [
        (chosen.script_webhook_url, chosen.script_webhook),
        (chosen.video_webhook_url, chosen.video_webhook),
    ]
    return {
        url: studio.bearer_header(chosen.installation.studio_key)
        if given is None
        else chosen.webhook_extra_headers
        for given, url in addresses
    }


def _read(answer: httpx.Response, field: str = "") -> Generation:
    return webhook_reply.read(answer.content, _content_type(answer), field=field, status=answer.status_code)


def _first(count: int, pieces: Iterator[bytes], until: float) -> bytes:
    """At least ``count`` bytes, fewer at the end only. Raises ReadTimeout after ``until``."""
    content = bytearray()
    while len(content) < count and (piece := next(pieces, None)) is not None:
        content += piece
        if time.monotonic() > until:  # an answer that drips would hold its caller for ever
            raise httpx.ReadTimeout("the answer did not end in time")
    return bytes(content)


def _whole(pieces: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from pieces
    except httpx.TimeoutException as error:
        raise WebhookUnanswered("The service stopped sending in the middle of the video.") from error
    except httpx.HTTPError as error:
        raise WebhookUnanswered("The connection ended before the video was complete.") from error


def _length(answer: httpx.Response) -> int | None:
    """The Content-Length, which says nothing of a body that is packed."""
    told = answer.headers.get("content-length", "")
    is_packed = answer.headers.get("content-encoding", "identity").lower() != "identity"
    return None if is_packed or not (told.isascii() and told.isdigit()) else int(told)


def _content_type(answer: httpx.Response) -> str:
    return str(answer.headers.get("content-type", ""))


def _accepted(answer: httpx.Response) -> httpx.Response:
    """The answer of a webhook that took the call. Raises WebhookBusy for "not now", WebhookError for what is no answer.

    A redirect is none: a client that follows one makes the POST a GET.
    """
    if answer.status_code == 429 or (answer.status_code >= 500 and _names_a_time(answer)):
        raise WebhookBusy(
            f"The service is too busy right now ({answer.status_code}). Try again in a few minutes.",
            retry_after_seconds(answer.headers.get("retry-after", "")),
        )
    if answer.status_code >= 500:
        raise WebhookError(
            f"The service failed ({answer.status_code}). Look at its own log, then try again.", retryable=True
        )
    if answer.is_redirect:
        raise WebhookError("The service's address leads to another one: set that one instead.")
    return answer


def _may_have_begun(answer: httpx.Response) -> bool:
    """Whether a render may be under way although the answer is an error.

    A proxy that gives up on a slow generator answers 502, 504 or 520 to 524; workflow tools answer 500 when their
    last step gives nothing back; 408 is a timeout, too. Only 503 with Retry-After says that nothing was begun.
    """
    status = answer.status_code
    return status == 408 or (status >= 500 and not (status == 503 and _names_a_time(answer)))


def _is_out_of_order(answer: httpx.Response) -> bool:
    return answer.status_code >= 500 and not _names_a_time(answer)


def _names_a_time(answer: httpx.Response) -> bool:
    return "retry-after" in answer.headers
