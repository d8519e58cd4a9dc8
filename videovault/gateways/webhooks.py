"""The two webhooks that VideoVault calls: a brief becomes a script, a script becomes a video."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal
from uuid import uuid4

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from standardwebhooks import Webhook

from videovault.config import settings
from videovault.errors import WebhookError, WebhookUnanswered

MAX_ANSWER_BYTES = 1024 * 1024
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


class _VideoAnswer(BaseModel):
    """The fields of a video webhook's answer under any of the names people give them."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, coerce_numbers_to_str=True)

    video_url: str | None = None
    url: str | None = None
    status: str = ""
    estimated_time: float | None = Field(default=None, gt=0, le=7 * 24 * 60)
    message: str | None = None
    error: Any = None


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

        Raises WebhookUnanswered when the request went out and no answer came, so that a render may be
        under way; WebhookError when the webhook could not be reached or kept failing.
        """
        answer = self._post(self._video_url, request, {"Idempotency-Key": idempotency_key})
        if answer.status_code >= 400:
            return Generation("failed", message=_said(answer) or "The generator refused the script.")
        try:
            said = _VideoAnswer.model_validate(_unwrapped(answer) if answer.content else {})
        except ValidationError as error:
            raise WebhookError("The video webhook answered something that makes no sense.") from error
        if said.status.lower() in ("failed", "rejected", "error"):
            return Generation("failed", message=_text(said.error) or said.message or "The generator failed.")
        url = said.video_url or said.url or ""
        if url and said.status.lower() != "processing":
            return Generation("ready", video_url=url)
        return Generation("processing", estimated_minutes=said.estimated_time)

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
                    return answer
                if attempt == TRIES:
                    raise WebhookError(f"The webhook failed ({answer.status_code}).", retryable=True)
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
    """A message in whatever form it came, short enough to show."""
    if isinstance(value, dict):
        value = value.get("message") or ""
    return str(value or "")[:500]
