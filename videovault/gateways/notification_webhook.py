"""The webhook that receives notifications of finished and failed videos (NOTIFY_WEBHOOK_URL)."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import httpx
from standardwebhooks import Webhook

from videovault.config import settings
from videovault.errors import WebhookError
from videovault.gateways import tls
from videovault.gateways.webhooks import signature_headers

TIMEOUT = httpx.Timeout(15.0, connect=10.0)
# About the receiver or the moment; every other 4xx is about the message, and permanent.
RETRYABLE_STATUSES = {408, 409, 425, 429}


class NotifyWebhook:
    """Posts messages to one URL with the given client."""

    def __init__(self, client: httpx.Client, *, url: str, secret: str = "") -> None:
        self._client = client
        self._url = url
        self._signer = Webhook(secret) if secret else None

    def deliver(self, message_id: str, message: Mapping[str, Any]) -> None:
        """Post the message once; ``message_id`` is its webhook-id, by which receivers detect duplicates.

        Raises WebhookError, ``retryable`` unless the receiver refused the message permanently.
        """
        body = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json", **signature_headers(message_id, body, self._signer)}
        try:
            # The body of the response is not read, so it cannot be too long either.
            with self._client.stream("POST", self._url, content=body, headers=headers) as response:
                status = response.status_code
        except httpx.HTTPError as error:
            raise WebhookError(
                "NOTIFY_WEBHOOK_URL cannot be reached or gives no answer.", retryable=True
            ) from error
        if not 200 <= status < 300:
            final = 400 <= status < 500 and status not in RETRYABLE_STATUSES
            raise WebhookError(f"NOTIFY_WEBHOOK_URL answered {status}.", retryable=not final)


@lru_cache(maxsize=1)
def connected() -> NotifyWebhook:
    """The webhook of the settings."""
    config = settings()
    return NotifyWebhook(
        httpx.Client(timeout=TIMEOUT, verify=tls.ssl_context()),
        url=config.notify_webhook_url,
        secret=config.webhook_secret.get_secret_value(),
    )
