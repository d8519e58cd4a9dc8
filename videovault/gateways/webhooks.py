"""The two webhooks that VideoVault calls: a brief becomes a script, a script becomes a video."""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
from pydantic import BaseModel, ValidationError
from standardwebhooks import Webhook

from videovault.config import settings
from videovault.errors import WebhookError, WebhookUnanswered

MAX_ANSWER_BYTES = 1024 * 1024
LONGEST_TEXT = 2000
LONGEST_MINUTES = 7 * 24 * 60
TRIES = 3
CONNECT_SECONDS = 10.0
# Nothing reached the other side, so asking again cannot render twice.
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class Script(BaseModel):
    """The three parts of a script, each possibly empty."""

    hook: str = ""
    body: str = ""
    conclusion: str = ""


@dataclass(frozen=True)
class Generation:
    """What the video webhook said; ``estimated_minutes`` only where it named a time."""

    state: Literal["ready", "processing", "failed"]
    video_url: str = ""
    estimated_minutes: float | None = None
    message: str = ""


class Webhooks:
    """Calls the configured webhooks with the client that is handed in."""

    def __init__(
        self, client: httpx.Client, *, script_url: str, video_url: str, secret: str = "", backoff: float = 1.0
    ) -> None:
        self._client = client
        self._script_url = script_url
        self._video_url = video_url
        self._signer = Webhook(secret) if secret else None
        self._backoff = backoff

    def write_script(self, brief: Mapping[str, str]) -> Script:
        """Ask for a script. Raises WebhookError with a sentence for a person."""
        try:
            answer = self._post(self._script_url, brief, {})
        except WebhookUnanswered as error:
            raise WebhookError("The script webhook took too long to answer.", retryable=True) from error
        if answer.status_code >= 400:
            raise WebhookError(f"The script webhook refused the brief. {_said(answer)}".strip())
        try:
            script = Script.model_validate(_unwrapped(answer))
        except ValidationError as error:
            raise WebhookError("The script webhook answered something that is not a script.") from error
        if not (script.hook or script.body or script.conclusion):
            raise WebhookError("The script webhook answered without hook, body or conclusion.")
        return script

    def generate(self, request: Mapping[str, str], *, idempotency_key: str) -> Generation:
        """Ask for a video.

        Whatever a 2xx says without an address means that the render is under way: people wire webhooks up in
        many ways, and a render that was begun is paid for. Raises WebhookUnanswered when the request went out
        and no answer came; WebhookError when the webhook could not be reached, kept failing or misleads.
        """
        answer = self._post(self._video_url, request, {"Idempotency-Key": idempotency_key})
        if answer.status_code >= 400:
            return Generation("failed", message=_said(answer) or "The generator refused the script.")
        said = _unwrapped(answer)
        return _understood(said) if isinstance(said, dict) else Generation("processing")

    def _post(self, url: str, payload: Mapping[str, str], headers: Mapping[str, str]) -> httpx.Response:
        """One answer below 500; refused connections and 5xx are tried again, backing off."""
        body = json.dumps(payload).encode()
        for attempt in range(1, TRIES + 1):
            try:
                answer = self._send(url, body, headers)
            except NOT_SENT as error:
                if attempt == TRIES:
                    raise WebhookError("The webhook could not be reached.", retryable=True) from error
            except httpx.HTTPError as error:
                raise WebhookUnanswered("The webhook did not answer.") from error
            else:
                if answer.status_code < 500:
                    return _not_elsewhere(answer)
                if attempt == TRIES:
                    raise WebhookError(
                        f"The webhook failed ({answer.status_code}). Look at its own log, then try again.",
                        retryable=True,
                    )
            time.sleep(self._backoff * 2 ** (attempt - 1))
        raise AssertionError("unreachable")

    def _send(self, url: str, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
        everything = {"Content-Type": "application/json", **headers, **self._signature(body)}
        with self._client.stream("POST", url, content=body, headers=everything) as answer:
            content = bytearray()
            for chunk in answer.iter_bytes():
                content += chunk
                if len(content) > MAX_ANSWER_BYTES:
                    raise WebhookError("The webhook's answer is too long.")
            return httpx.Response(answer.status_code, content=bytes(content))

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
        httpx.Client(timeout=timeout),
        script_url=chosen.script_webhook,
        video_url=chosen.video_webhook,
        secret=chosen.webhook_secret.get_secret_value(),
    )


def _not_elsewhere(answer: httpx.Response) -> httpx.Response:
    """Raises WebhookError for a redirect: a client that follows one turns the POST into a GET."""
    if answer.is_redirect:
        raise WebhookError("The webhook's address leads to another one: set that one instead.")
    return answer


def _understood(said: Mapping[str, Any]) -> Generation:
    """The fields of a video webhook's answer under any of the names that people give them."""
    status = _text(said.get("status")).lower()
    if status in ("failed", "rejected", "error"):
        reason = _text(said.get("error")) or _text(said.get("message"))
        return Generation("failed", message=reason or "The generator failed.")
    url = next((_text(said[name]) for name in ("videoUrl", "video_url", "url") if said.get(name)), "")
    if url and status != "processing":
        if not _is_address(url):
            raise WebhookError("The generator's answer names an address that is none.")
        return Generation("ready", video_url=url)
    return Generation("processing", estimated_minutes=_minutes(said))


def _minutes(said: Mapping[str, Any]) -> float | None:
    """The estimated time, where it is a number that makes sense, such as 15 or "15 minutes"."""
    for name in ("estimatedTime", "estimated_time"):
        number = re.match(r"\s*(\d+(?:\.\d+)?)", _text(said.get(name)))
        if number and 0 < float(number[1]) <= LONGEST_MINUTES:
            return float(number[1])
    return None


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _unwrapped(answer: httpx.Response) -> Any:
    """The object itself, the object in ``data``, or the only one of a list."""
    try:
        said = answer.json()
    except ValueError:
        return None
    if isinstance(said, list) and len(said) == 1:
        said = said[0]
    if isinstance(said, dict) and isinstance(said.get("data"), dict):
        said = {**said, **said["data"]}
    return said


def _said(answer: httpx.Response) -> str:
    said = _unwrapped(answer)
    return _text(said.get("message") or said.get("error")) if isinstance(said, dict) else ""


def _text(value: Any) -> str:
    """A text in whatever form it came, with nothing in it that cannot be shown or stored."""
    if isinstance(value, dict):
        value = value.get("message")
    text = "" if value is None else str(value)
    return "".join(char if char.isprintable() else " " for char in text).strip()[:LONGEST_TEXT]
