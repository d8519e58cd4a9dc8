"""A generator's status address, asked how far a render is. It comes from outside, so it is guarded like a source."""

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
from videovault.gateways.webhook_reply import Generation
from videovault.gateways.webhooks import Exchange, ExchangeRecorder, discard_exchange

TOTAL_SECONDS = 20.0
KEPT_HEADERS = ("retry-after", "content-type")
# With which an outcome's address says that the render failed, not that it cannot be asked.
OUTCOME_FAILURES = (400, 410, 422)
TIMEOUT = httpx.Timeout(10.0, connect=5.0)
HEADERS = {"User-Agent": "VideoVault", "Accept": "application/json", "Accept-Encoding": "identity"}


@dataclass(frozen=True)
class StatusReply:
    """What a generator said, and in how many seconds it wants to be asked again, if it said so."""

    said: Generation
    retry_after: float | None


class StatusClient:
    """Asks through the given transport, from several threads at once.

    ``headers`` are sent beside the usual ones, to addresses of ``origin`` (scheme, host and port) only.
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
        """Raises UnsafeUrl for an address that must not be asked, as far as its form tells."""
        self._guard.vet(url)

    def ask(self, url: str, *, note: ExchangeRecorder = discard_exchange, field: str = "") -> StatusReply:
        """What the generator says now, with the video's address at ``field`` if not where it usually is.

        One that is finished and names only where its outcome is, at the same origin, is asked there once.
        Raises WebhookBusy when there are no news (no answer, or none of 2xx), UnsafeUrl when the address leads
        into a private network.
        """
        news = self._news(url, note, field)
        where = news.said.response_url
        if where and where != url and _origin(where) == _origin(url):
            return self._news(where, note, field, failures=OUTCOME_FAILURES)
        return news

    def close(self) -> None:
        self._transport.close()

    def _news(
        self, url: str, note: ExchangeRecorder, field: str, failures: Collection[int] = ()
    ) -> StatusReply:
        """One answer. An HTTP status among ``failures`` is the render's own; any other but 2xx is no news."""
        try:
            answer = self._get(url)
        except (httpx.HTTPError, SourceError) as error:
            raise _no_news(type(error).__name__) from error
        retry_after = retry_after_seconds(answer.headers.get("retry-after", ""))
        if not answer.is_success and answer.status_code not in failures:
            raise _no_news(f"HTTP {answer.status_code}", retry_after)
        content_type = answer.headers.get("content-type", "")
        note(Exchange(HEADERS, b"", answer.status_code, answer.content, content_type=content_type))
        said = webhook_reply.read(answer.content, content_type, field=field, status=answer.status_code)
        if said.is_video:
            said = Generation("ready", video_url=url)
        return StatusReply(said, retry_after)

    def _get(self, url: str) -> httpx.Response:
        address = self._guard.vet(url)
        extensions = {"timeout": TIMEOUT.as_dict(), "stop": _stop_after(TOTAL_SECONDS)}
        headers = httpx.Headers(HEADERS)
        if self._origin and _origin(address.url) == self._origin:
            headers.update(self._headers)
        request = httpx.Request("GET", address.url, headers=headers, extensions=extensions)
        answer = self._transport.handle_request(request)
        try:
            content = bytearray()
            for chunk in answer.iter_raw():
                content += chunk
                if len(content) > webhook_reply.MAX_BYTES:
                    break
        finally:
            answer.close()
        kept = {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers}
        body = bytes(content[: webhook_reply.MAX_BYTES + 1])
        return httpx.Response(answer.status_code, headers=kept, content=body)


def client_for(url: str) -> StatusClient:
    """Who may ask at this address: only status addresses of the embedded studio itself get its key."""
    return studio_client() if studio.is_status_url(url) else connected()


@lru_cache(maxsize=1)
def connected() -> StatusClient:
    """For global addresses, what SOURCE_ALLOW_HOSTS names, and wherever the video webhook that was set is."""
    chosen = settings()
    url = chosen.video_webhook_url or ""
    guard = AddressGuard(chosen.allowed_sources | {_host(url)} - {""})
    return StatusClient(guard, headers=chosen.webhook_extra_headers, origin=url)


@lru_cache(maxsize=1)
def studio_client() -> StatusClient:
    """For the embedded studio."""
    chosen = settings()
    guard = AddressGuard(frozenset({_host(chosen.studio_url)}))
    headers = studio.bearer_header(chosen.installation.studio_key)
    return StatusClient(guard, headers=headers, origin=chosen.studio_url)


def _origin(url: str) -> str:
    """Scheme, host and port; empty for no address."""
    return f"{urlsplit(url).scheme}://{_host(url)}" if _host(url) else ""


def _host(url: str) -> str:
    """``host:port``; empty for no address."""
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


def _no_news(reason: str, retry_after: float | None = None) -> WebhookBusy:
    return WebhookBusy(f"The generator did not say how far it is ({reason}).", retry_after)
