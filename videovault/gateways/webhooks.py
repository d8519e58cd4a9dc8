"""The two webhooks that VideoVault calls: a brief becomes a script, a script becomes a video."""

import json
import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import uuid4

import httpx
from standardwebhooks import Webhook

from videovault.config import settings
from videovault.config.headers import masked
from videovault.errors import WebhookBusy, WebhookError, WebhookUnanswered
from videovault.gateways import reader, studio, tls
from videovault.gateways.exchange import Exchange, Note, unheard
from videovault.gateways.faults import seconds_of
from videovault.gateways.reader import Generation, Script

__all__ = ["Exchange", "Generation", "Script", "Webhooks", "connected"]

HIDDEN = "…"  # in the place of a header's secret value
TRIES = 3
CONNECT_SECONDS = 10.0
KEPT_HEADERS = ("retry-after", "content-type")
# Nothing reached the other side, so asking again cannot render twice.
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


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
        backoff: float = 1.0,
        headers: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self._client = client
        self._script_url = script_url
        self._video_url = video_url
        self._signer = Webhook(secret) if secret else None
        self._backoff = backoff
        self._headers = headers or {}

    def write_script(self, brief: Mapping[str, Any], *, note: Note = unheard, field: str = "") -> Script:
        """Ask for a script, which stands at ``field`` if not where it usually does.

        Raises WebhookError with a sentence for a person.
        """
        try:
            answer = self._post(self._script_url, brief, {}, note)
        except WebhookUnanswered as error:
            raise WebhookError("The script service took too long to answer.", retryable=True) from error
        if answer.status_code >= 400:
            reason = masked(_read(answer).message, self._headers.get(self._script_url, {}).values())
            raise WebhookError(f"The script service refused the brief. {reason}".strip())
        return reader.read_script(answer.content, _content_type(answer), field=field)

    def generate(
        self, request: Mapping[str, Any], *, idempotency_key: str, note: Note = unheard, field: str = ""
    ) -> Generation:
        """Ask for a video, whose address stands at ``field`` if not where it usually does.

        An answer that is not understood is ``unread``: the render may be under way and is paid for. Raises WebhookUnanswered when the request went out
        and no answer came; WebhookBusy when nothing was begun and the webhook is to be asked later; WebhookError
        when it could not be reached, kept failing or misleads.
        """
        return _read(self._post(self._video_url, request, {"Idempotency-Key": idempotency_key}, note), field)

    def _post(
        self, url: str, payload: Mapping[str, Any], headers: Mapping[str, str], note: Note
    ) -> httpx.Response:
        """One answer below 500; refused connections and 5xx are tried again, backing off."""
        body = json.dumps(payload).encode()
        for attempt in range(1, TRIES + 1):
            try:
                answer = self._send(url, body, headers, note)
            except NOT_SENT as error:
                if attempt == TRIES:
                    raise WebhookError("The service could not be reached.", retryable=True) from error
            except httpx.HTTPError as error:
                raise WebhookUnanswered("The service did not answer.") from error
            else:
                if answer.status_code < 500:
                    return _final(answer)
                if attempt == TRIES or "retry-after" in answer.headers:
                    raise _failing(answer)
            time.sleep(self._backoff * 2 ** (attempt - 1))
        raise AssertionError("unreachable")

    def _send(self, url: str, body: bytes, headers: Mapping[str, str], note: Note) -> httpx.Response:
        """One call, noted whatever becomes of it."""
        own = self._headers.get(url, {})
        plain = {"Content-Type": "application/json", **headers, **self._signature(body)}
        noted = {**dict.fromkeys(own, HIDDEN), **plain}
        try:
            answer = self._exchanged(url, body, {**own, **plain})
        except (httpx.HTTPError, WebhookError) as error:
            note(Exchange(noted, body, fault=f"{type(error).__name__}: {error}"))
            raise
        note(Exchange(noted, body, answer.status_code, answer.content, content_type=_content_type(answer)))
        return answer

    def _exchanged(self, url: str, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
        """The answer up to one byte more than is read of it, with none of its headers but the ``KEPT_HEADERS``."""
        until = time.monotonic() + (self._client.timeout.read or math.inf)
        with self._client.stream("POST", url, content=body, headers=headers) as answer:
            content = bytearray()
            for chunk in answer.iter_bytes():
                content += chunk
                if len(content) > reader.MAX_BYTES:
                    break
                if time.monotonic() > until:  # an answer that drips would hold its caller for ever
                    raise httpx.ReadTimeout("the answer did not end in time")
            kept = {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers}
            body_read = bytes(content[: reader.MAX_BYTES + 1])
            return httpx.Response(answer.status_code, headers=kept, content=body_read)

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
    return Webhooks(
        httpx.Client(timeout=timeout, verify=tls.trusted()),
        script_url=chosen.script_webhook,
        video_url=chosen.video_webhook,
        secret=chosen.webhook_secret.get_secret_value(),
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
        url: studio.bearer(chosen.installation.studio_key) if given is None else chosen.webhook_extra_headers
        for given, url in addresses
    }


def _read(answer: httpx.Response, field: str = "") -> Generation:
    return reader.read(answer.content, _content_type(answer), field=field, status=answer.status_code)


def _content_type(answer: httpx.Response) -> str:
    return str(answer.headers.get("content-type", ""))


def _final(answer: httpx.Response) -> httpx.Response:
    """Raises WebhookBusy for "not now", WebhookError for a redirect: a client that follows one makes the POST a GET."""
    if answer.status_code == 429:
        raise _failing(answer)
    if answer.is_redirect:
        raise WebhookError("The service's address leads to another one: set that one instead.")
    return answer


def _failing(answer: httpx.Response) -> WebhookError:
    """429, or a 5xx that says when to come back, will pass; any other 5xx is for a person to look at."""
    if answer.status_code == 429 or "retry-after" in answer.headers:
        return WebhookBusy(
            f"The service is too busy right now ({answer.status_code}). Try again in a few minutes.",
            seconds_of(answer.headers.get("retry-after", "")),
        )
    return WebhookError(
        f"The service failed ({answer.status_code}). Look at its own log, then try again.", retryable=True
    )
