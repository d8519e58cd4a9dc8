"""The webhook that VideoVault tells of finished and failed videos; the admin says where it is."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import httpx
from standardwebhooks import Webhook

from videovault.config import settings
from videovault.errors import WebhookError
from videovault.gateways import tls

TIMEOUT = httpx.Timeout(15.0, connect=10.0)
# What a receiver says about itself or the moment; every other 4xx is about the message, and stays so.
RETRYABLE_STATUSES = {408, 409, 425, 429}


class NotifyWebhook:
    """Posts messages to one address with the client that is handed in."""

    def __init__(self, client: httpx.Client, *, url: str, secret: str = "") -> None:
        self._client = client
        self._url = url
        self._signer = Webhook(secret) if secret else None

    def deliver(self, message_id: str, message: Mapping[str, Any]) -> None:
        """Post the message once; ``message_id`` is its webhook-id, by which receivers know it again.

        Raises WebhookError, ``retryable`` unless the receiver refused the message for good.
        """
        body = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
        try:
            status = self._post(body, self._headers(message_id, body))
        except httpx.HTTPError as error:
            raise WebhookError(
                "NOTIFY_WEBHOOK_URL cannot be reached or gives no answer.", retryable=True
            ) from error
        if not 200 <= status < 300:
            final = 400 <= status < 500 and status not in RETRYABLE_STATUSES
            raise WebhookError(f"NOTIFY_WEBHOOK_URL answered {status}.", retryable=not final)

    def _post(self, body: str, headers: Mapping[str, str]) -> int:
        # What it answers beside the status is not read, so that it cannot be long either.
        with self._client.stream("POST", self._url, content=body.encode(), headers=headers) as answer:
            return answer.status_code

    def _headers(self, message_id: str, body: str) -> dict[str, str]:
        """Standard Webhooks headers; the signature only when a secret is set."""
        at = datetime.now(UTC)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(at.timestamp())),
        }
        return headers | (
            {"webhook-signature": self._signer.sign(message_id, at, body)} if self._signer else {}
        )


@lru_cache(maxsize=1)
def connected() -> NotifyWebhook:
    """The webhook that the settings name."""
    chosen = settings()
    return NotifyWebhook(
        httpx.Client(timeout=TIMEOUT, verify=tls.ssl_context()),
        url=chosen.notify_webhook_url,
        secret=chosen.webhook_secret.get_secret_value(),
    )
