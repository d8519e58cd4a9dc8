"""Polls a generator's status URL. The URL comes from outside, so it is guarded against SSRF like a source."""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

import httpx

from videovault.config import settings
from videovault.errors import SourceError, WebhookBusy
from videovault.gateways import studio, webhook_reply
from videovault.gateways.http_headers import retry_after_seconds
from videovault.gateways.ssrf import AddressGuard
from videovault.gateways.transport import GuardedTransport
from videovault.gateways.webhook_reply import VideoReply
from videovault.gateways.webhooks import Exchange, ExchangeRecorder, discard_exchange

TOTAL_SECONDS = 20.0
KEPT_HEADERS = ("retry-after", "content-type")
# From a response URL these mean that the render failed, not that the URL cannot be polled.
OUTCOME_FAILURES = (400, 410, 422)
TIMEOUT = httpx.Timeout(10.0, connect=5.0)
HEADERS = {"User-Agent": "VideoVault", "Accept": "application/json", "Accept-Encoding": "identity"}


@dataclass(frozen=True)
class StatusReply:
    """A generator's reply, and its Retry-After in seconds, if any."""

    reply: VideoReply
    retry_after: float | None


class StatusClient:
    """Polls through the given transport; thread-safe.

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
            raise _busy(type(error).__name__) from error
        retry_after = retry_after_seconds(response.headers.get("retry-after", ""))
        if not response.is_success and response.status_code not in failures:
            raise _busy(f"HTTP {response.status_code}", retry_after)
        content_type = response.headers.get("content-type", "")
        record(Exchange(HEADERS, b"", response.status_code, response.content, content_type=content_type))
        reply = webhook_reply.read(response.content, content_type, field=field, status=response.status_code)
        if reply.is_video:
            reply = VideoReply("ready", video_url=url)
        return StatusReply(reply, retry_after)

    def _get(self, url: str) -> httpx.Response:
        address = self._guard.vet(url)
        extensions = {"timeout": TIMEOUT.as_dict(), "stop": _stop_after(TOTAL_SECONDS)}
        headers = httpx.Headers(HEADERS)
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


def client_for(url: str) -> StatusClient:
    """The client for this URL: only status URLs of the embedded studio get its key."""
    return studio_client() if studio.is_status_url(url) else connected()


@lru_cache(maxsize=1)
def connected() -> StatusClient:
    """For public addresses, SOURCE_ALLOW_HOSTS, and the host of the configured video webhook."""
    config = settings()
    url = config.video_webhook_url or ""
    guard = AddressGuard(config.allowed_sources | {_host(url)} - {""})
    return StatusClient(guard, headers=config.webhook_extra_headers, origin=url)


@lru_cache(maxsize=1)
def studio_client() -> StatusClient:
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


def _busy(reason: str, retry_after: float | None = None) -> WebhookBusy:
    return WebhookBusy(f"The generator did not say how far it is ({reason}).", retry_after)
