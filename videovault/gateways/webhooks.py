"""The script webhook and the video webhook of a generator: a brief becomes a script, a script becomes a video."""

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

from videovault.backoff import exponential
from videovault.config import settings
from videovault.config.headers import MASK, mask_secrets
from videovault.errors import WebhookBusy, WebhookError, WebhookUnanswered
from videovault.gateways import socket_stream, studio, webhook_reply
from videovault.gateways.container import SNIFF_BYTES
from videovault.gateways.http_headers import retry_after_seconds
from videovault.gateways.webhook_reply import Script, VideoReply

REPEATS = 3
CONNECT_SECONDS = 10.0
KEPT_HEADERS = ("retry-after", "content-type")
# DNS, TCP, TLS or a proxy failed before a connection was made, so sending again cannot order twice.
NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
BodySink = Callable[[Iterator[bytes], int | None], object]
"""Takes a body that is the video: its chunks, and their total size in bytes if the response states it.

The chunks raise WebhookUnanswered if the body breaks off. Each may take as long as the webhook's timeout.
"""


@dataclass(frozen=True)
class Exchange:
    """One call to a generator; without a response, ``status`` is None and ``fault`` gives the reason."""

    headers: Mapping[str, str]
    body: bytes
    status: int | None = None
    answer: bytes = b""
    fault: str = ""
    content_type: str = ""


ExchangeRecorder = Callable[[Exchange], object]


def discard_exchange(_exchange: Exchange) -> None:
    """For callers that do not record their calls."""


class Webhooks:
    """Calls the configured webhooks with the given client.

    ``record`` receives every call that was made, before its result is returned. ``headers`` are extra headers, by the
    URL that they are for; ``record`` receives only their names.
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
        self, brief: Mapping[str, Any], *, record: ExchangeRecorder = discard_exchange, field: str = ""
    ) -> Script:
        """Ask for a script, to be found at ``field`` or in the usual places.

        Raises WebhookError with a message for people.
        """
        try:
            response = _accepted(self._post(self._script_url, brief, {}, record, retry_if=_is_server_error))
        except WebhookUnanswered as error:
            raise WebhookError(error.public_message, retryable=True) from error
        if response.status_code >= 400:
            reason = mask_secrets(_parse(response).message, self._headers.get(self._script_url, {}).values())
            raise WebhookError(f"The script service refused the brief. {reason}".strip())
        return webhook_reply.read_script(response.content, _content_type(response), field=field)

    def generate(
        self,
        request: Mapping[str, Any],
        *,
        idempotency_key: str,
        record: ExchangeRecorder = discard_exchange,
        field: str = "",
        keep: BodySink | None = None,
    ) -> VideoReply:
        """Order a video, whose URL is to be found at ``field`` or in the usual places.

        A body that is the video itself is passed to ``keep``, whose errors are raised here; without ``keep``, the rest
        of it is not read.

        The order is sent once; it is repeated only if no connection was made. A response that is not understood is
        ``unread``: the render may be in progress and is paid for. Raises WebhookUnanswered if the order may have
        arrived and the response does not give its result; WebhookBusy if nothing was begun and the order has to be
        sent again later; WebhookError if the webhook cannot be reached or redirects.
        """
        response = self._post(
            self._video_url, request, {"Idempotency-Key": idempotency_key}, record, keep=keep
        )
        if _may_have_begun(response):
            raise WebhookUnanswered(f"The service answered HTTP {response.status_code}.")
        return _parse(_accepted(response), field)

    def _post(
        self,
        url: str,
        payload: Mapping[str, Any],
        headers: Mapping[str, str],
        record: ExchangeRecorder,
        *,
        retry_if: Callable[[httpx.Response], bool] = lambda _response: False,
        keep: BodySink | None = None,
    ) -> httpx.Response:
        """The response, with any status. Repeated with backoff if no connection was made or ``retry_if`` says so."""
        body = json.dumps(payload).encode()
        for repeats in range(REPEATS + 1):
            is_last = repeats == REPEATS
            try:
                response = self._send(url, body, headers, record, keep)
            except NOT_SENT as error:
                if is_last:
                    raise WebhookError("The service could not be reached.", retryable=True) from error
            except httpx.TimeoutException as error:
                raise WebhookUnanswered("The service did not answer in time.") from error
            except httpx.HTTPError as error:
                raise WebhookUnanswered("The connection ended before the answer was complete.") from error
            else:
                if is_last or not retry_if(response):
                    return response
            time.sleep(exponential(self._backoff, math.inf, repeats + 1, jitter=0))
        raise AssertionError("unreachable")

    def _send(
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        record: ExchangeRecorder,
        keep: BodySink | None,
    ) -> httpx.Response:
        """One call, recorded whether it succeeds or fails."""
        extra = self._headers.get(url, {})
        signature = signature_headers(f"msg_{uuid4().hex}", body, self._signer) if self._signer else {}
        headers_sent = {"Content-Type": "application/json", **headers, **signature}
        recorded = {**dict.fromkeys(extra, MASK), **headers_sent}
        try:
            response = self._request(url, body, {**extra, **headers_sent}, keep)
        except Exception as error:
            record(Exchange(recorded, body, fault=f"{type(error).__name__}: {error}"))
            raise
        record(
            Exchange(
                recorded, body, response.status_code, response.content, content_type=_content_type(response)
            )
        )
        return response

    def _request(
        self, url: str, body: bytes, headers: Mapping[str, str], keep: BodySink | None
    ) -> httpx.Response:
        """The response up to one byte over the limit, with only the ``KEPT_HEADERS``.

        Of a body that is the video, only the beginning is returned.
        """
        until = time.monotonic() + (self._client.timeout.read or math.inf)
        with self._client.stream("POST", url, content=body, headers=headers) as response:
            chunks = response.iter_bytes()
            content = _read_up_to(SNIFF_BYTES, chunks, until)
            if response.is_success and webhook_reply.is_video(content):
                if keep:
                    keep(chain([content], _video_chunks(chunks)), _length(response))
                content = content[:SNIFF_BYTES]
            else:
                content += _read_up_to(webhook_reply.MAX_BYTES + 1 - len(content), chunks, until)
            kept = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
            return httpx.Response(
                response.status_code, headers=kept, content=content[: webhook_reply.MAX_BYTES + 1]
            )


@lru_cache(maxsize=1)
def connected() -> Webhooks:
    """The webhooks of the settings."""
    config = settings()
    timeout = httpx.Timeout(config.webhook_timeout_seconds, connect=CONNECT_SECONDS)
    # A kept-alive connection may close just as an order is sent on it, which would look like a lost response.
    no_keepalive = httpx.Limits(max_keepalive_connections=0)
    return Webhooks(
        httpx.Client(timeout=timeout, limits=no_keepalive, verify=socket_stream.ssl_context()),
        script_url=config.script_webhook,
        video_url=config.video_webhook,
        secret=config.webhook_secret.get_secret_value(),
        backoff=config.webhook_retry_seconds,
        headers=_extra_headers(),
    )


def _extra_headers() -> dict[str, Mapping[str, str]]:
    """The studio's key for its own webhooks, and WEBHOOK_HEADERS for configured ones."""
    config = settings()
    webhooks = [
        (config.script_webhook_url, config.script_webhook),
        (config.video_webhook_url, config.video_webhook),
    ]
    return {
        url: studio.bearer_header(config.installation.studio_key)
        if given is None
        else config.webhook_extra_headers
        for given, url in webhooks
    }


def signature_headers(message_id: str, body: bytes, signer: Webhook | None) -> dict[str, str]:
    """Standard Webhooks headers; without a ``signer``, no signature."""
    at = datetime.now(UTC)
    headers = {"webhook-id": message_id, "webhook-timestamp": str(int(at.timestamp()))}
    if signer:
        headers["webhook-signature"] = signer.sign(message_id, at, body.decode())
    return headers


def _parse(response: httpx.Response, field: str = "") -> VideoReply:
    return webhook_reply.read(
        response.content, _content_type(response), field=field, status=response.status_code
    )


def _read_up_to(count: int, chunks: Iterator[bytes], until: float) -> bytes:
    """At least ``count`` bytes, fewer only at the end. Raises ReadTimeout after ``until``."""
    content = bytearray()
    while len(content) < count and (chunk := next(chunks, None)) is not None:
        content += chunk
        if time.monotonic() > until:  # a slowly dripping response would block its caller for ever
            raise httpx.ReadTimeout("the answer did not end in time")
    return bytes(content)


def _video_chunks(chunks: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from chunks
    except httpx.TimeoutException as error:
        raise WebhookUnanswered("The service stopped sending in the middle of the video.") from error
    except httpx.HTTPError as error:
        raise WebhookUnanswered("The connection ended before the video was complete.") from error


def _length(response: httpx.Response) -> int | None:
    """The Content-Length, unless the body is compressed."""
    text = response.headers.get("content-length", "")
    is_compressed = response.headers.get("content-encoding", "identity").lower() != "identity"
    return None if is_compressed or not (text.isascii() and text.isdigit()) else int(text)


def _content_type(response: httpx.Response) -> str:
    return str(response.headers.get("content-type", ""))


def _accepted(response: httpx.Response) -> httpx.Response:
    """The response of a webhook that accepted the call. Raises WebhookBusy for "not now", else WebhookError.

    Redirects are refused: a client that follows one turns the POST into a GET.
    """
    if response.status_code == 429 or (response.status_code >= 500 and _has_retry_after(response)):
        raise WebhookBusy(
            f"The service is too busy right now ({response.status_code}). Try again in a few minutes.",
            retry_after_seconds(response.headers.get("retry-after", "")),
        )
    if response.status_code >= 500:
        raise WebhookError(
            f"The service failed ({response.status_code}). Look at its own log, then try again.",
            retryable=True,
        )
    if response.is_redirect:
        raise WebhookError("The service's address leads to another one: set that one instead.")
    return response


def _may_have_begun(response: httpx.Response) -> bool:
    """Whether a render may be in progress although the response is an error.

    A proxy in front of a slow generator answers 502, 504 or 520 to 524; workflow tools answer 500 when their last step
    returns nothing; 408 is a timeout, too. Only 503 with Retry-After means that nothing was begun.
    """
    status = response.status_code
    return status == 408 or (status >= 500 and not (status == 503 and _has_retry_after(response)))


def _is_server_error(response: httpx.Response) -> bool:
    return response.status_code >= 500 and not _has_retry_after(response)


def _has_retry_after(response: httpx.Response) -> bool:
    return "retry-after" in response.headers
