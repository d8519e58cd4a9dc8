"""Calls to a generator: a brief becomes a script, a script becomes a video, and its status URL says how far it is.

The webhooks are configured. A status URL comes from outside, so it is guarded against SSRF like a source.
"""

import json
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
from standardwebhooks import Webhook

from videovault.backoff import exponential
from videovault.config import settings
from videovault.config.validation import MASK, mask_secrets
from videovault.errors import SourceError, WebhookBusy, WebhookError, WebhookUnanswered
from videovault.gateways import socket_stream, studio, webhook_reply
from videovault.gateways.container import SNIFF_BYTES
from videovault.gateways.http_headers import retry_after_seconds
from videovault.gateways.ssrf import AddressGuard
from videovault.gateways.transport import GuardedTransport
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
STATUS_SECONDS = 20.0
# From a response URL these mean that the render failed, not that the URL cannot be polled.
OUTCOME_FAILURES = (400, 410, 422)
STATUS_TIMEOUT = httpx.Timeout(10.0, connect=5.0)
STATUS_HEADERS = {"User-Agent": "VideoVault", "Accept": "application/json", "Accept-Encoding": "identity"}
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


@dataclass(frozen=True)
class StatusReply:
    """A generator's reply, and its Retry-After in seconds, if any."""

    reply: VideoReply
    retry_after: float | None


class StatusClient:
    """Polls status URLs through the given transport; thread-safe.

    ``headers`` are sent in addition to the usual ones, only to URLs of ``origin`` (scheme, host and port).
    """

    def __init__(
        self,
        guard: AddressGuard,
        transport: httpx.BaseTransport | None = None,
        headers: Mapping[str, str] | None = None,
        origin: str = "",
    ) -> None:
        self._guard = guard
        self._headers = headers or {}
        self._origin = _origin(origin)
        self._transport = transport or GuardedTransport(guard)

    def check(self, url: str) -> None:
        """Raises UnsafeUrl for a URL that must not be polled, without resolving its host."""
        self._guard.vet(url)

    def poll(self, url: str, *, record: ExchangeRecorder = discard_exchange, field: str = "") -> StatusReply:
        """The render's current status, with the video's URL at ``field`` or in the usual places.

        If a finished render names only a response URL of the same origin, that is polled once, too.
        Raises WebhookBusy without a usable response (none at all, or not 2xx), UnsafeUrl if the URL leads into a
        private network.
        """
        status = self._poll(url, record, field)
        response_url = status.reply.response_url
        if response_url and response_url != url and _origin(response_url) == _origin(url):
            return self._poll(response_url, record, field, failures=OUTCOME_FAILURES)
        return status

    def close(self) -> None:
        self._transport.close()

    def _poll(
        self, url: str, record: ExchangeRecorder, field: str, failures: Collection[int] = ()
    ) -> StatusReply:
        """One response. An HTTP status in ``failures`` is about the render; any other except 2xx is an error."""
        try:
            response = self._get(url)
        except (httpx.HTTPError, SourceError) as error:
            raise _unknown_status(type(error).__name__) from error
        retry_after = retry_after_seconds(response.headers.get("retry-after", ""))
        if not response.is_success and response.status_code not in failures:
            raise _unknown_status(f"HTTP {response.status_code}", retry_after)
        content_type = response.headers.get("content-type", "")
        record(
            Exchange(STATUS_HEADERS, b"", response.status_code, response.content, content_type=content_type)
        )
        reply = webhook_reply.read(response.content, content_type, field=field, status=response.status_code)
        if reply.is_video:
            reply = VideoReply("ready", video_url=url)
        return StatusReply(reply, retry_after)

    def _get(self, url: str) -> httpx.Response:
        address = self._guard.vet(url)
        extensions = {"timeout": STATUS_TIMEOUT.as_dict(), "stop": _stop_after(STATUS_SECONDS)}
        headers = httpx.Headers(STATUS_HEADERS)
        if self._origin and _origin(address.url) == self._origin:
            headers.update(self._headers)
        request = httpx.Request("GET", address.url, headers=headers, extensions=extensions)
        response = self._transport.handle_request(request)
        try:
            content = bytearray()
            for chunk in response.iter_raw():
                content += chunk
                if len(content) > webhook_reply.MAX_BYTES:
                    break
        finally:
            response.close()
        kept = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
        body = bytes(content[: webhook_reply.MAX_BYTES + 1])
        return httpx.Response(response.status_code, headers=kept, content=body)


def status_client_for(url: str) -> StatusClient:
    """The client for this URL: only status URLs of the embedded studio get its key."""
    return status_client_for_studio() if studio.is_status_url(url) else status_client_for_generator()


@lru_cache(maxsize=1)
def status_client_for_generator() -> StatusClient:
    """For public addresses, SOURCE_ALLOW_HOSTS, and the host of the configured video webhook."""
    config = settings()
    url = config.video_webhook_url or ""
    guard = AddressGuard(config.allowed_sources | {_host(url)} - {""})
    return StatusClient(guard, headers=config.webhook_extra_headers, origin=url)


@lru_cache(maxsize=1)
def status_client_for_studio() -> StatusClient:
    """For the embedded studio."""
    config = settings()
    guard = AddressGuard(frozenset({_host(config.studio_url)}))
    headers = studio.bearer_header(config.installation.studio_key)
    return StatusClient(guard, headers=headers, origin=config.studio_url)


def _origin(url: str) -> str:
    """Scheme, host and port; empty without a host."""
    return f"{urlsplit(url).scheme}://{_host(url)}" if _host(url) else ""


def _host(url: str) -> str:
    """``host:port``; empty without a host."""
    parts = urlsplit(url)
    if not parts.hostname:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def _stop_after(seconds: float) -> Callable[[], None]:
    until = time.monotonic() + seconds

    def stop() -> None:
        if time.monotonic() > until:
            raise httpx.ReadTimeout("the answer did not end in time")

    return stop


def _unknown_status(reason: str, retry_after: float | None = None) -> WebhookBusy:
    return WebhookBusy(f"The generator did not say how far it is ({reason}).", retry_after)
