"""The receiver of notices can trust what it gets and know it again; what it answers decides about another try."""

import json
import socket
from collections.abc import Iterator

import httpx
import pytest
from standardwebhooks import Webhook

from tests.support.app import free_port
from tests.support.receiver import SECRET, Receiver, receiver
from videovault.errors import WebhookError
from videovault.gateways.notification_webhook import NotifyWebhook

MESSAGE = {"type": "video.ready", "timestamp": "2026-01-26T10:15:00.000Z", "data": {"title": "Größe"}}


@pytest.fixture
def told() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


def deliver(url: str, *, secret: str = "", timeout: float = 5) -> None:
    with httpx.Client(timeout=timeout) as client:
        NotifyWebhook(client, url=url, secret=secret).deliver("msg_1", MESSAGE)


def refusal(url: str, timeout: float = 5) -> WebhookError:
    with pytest.raises(WebhookError) as caught:
        deliver(url, timeout=timeout)
    return caught.value


def test_a_message_is_signed_as_standard_webhooks_say(told: Receiver) -> None:
    deliver(told.url, secret=SECRET)
    [delivery] = told.deliveries
    assert Webhook(SECRET).verify(delivery.body, delivery.headers) == MESSAGE
    assert delivery.headers["webhook-id"] == "msg_1"
    assert delivery.headers["content-type"] == "application/json"


def test_without_a_secret_a_message_still_has_its_id_and_time(told: Receiver) -> None:
    deliver(told.url)
    [delivery] = told.deliveries
    assert json.loads(delivery.body) == MESSAGE
    assert delivery.headers["webhook-id"] == "msg_1"
    assert delivery.headers["webhook-timestamp"].isdigit()
    assert "webhook-signature" not in delivery.headers


@pytest.mark.parametrize("status", [200, 202, 204])
def test_any_2xx_is_a_receipt(told: Receiver, status: int) -> None:
    told.status = status
    deliver(told.url)


@pytest.mark.parametrize("status", [400, 401, 404, 410, 422])
def test_a_message_that_is_refused_is_not_offered_again(told: Receiver, status: int) -> None:
    told.status = status
    error = refusal(told.url)
    assert not error.retryable
    assert str(status) in error.public_message


@pytest.mark.parametrize("status", [301, 307, 408, 409, 425, 429, 500, 503])
def test_a_receiver_that_cannot_now_is_asked_again(told: Receiver, status: int) -> None:
    told.status = status
    assert refusal(told.url).retryable
    assert len(told.deliveries) == 1  # nor is a redirect followed


def test_a_receiver_that_says_nothing_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert refusal(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.2).retryable


def test_a_receiver_that_is_not_there_may_come_back() -> None:
    assert refusal(f"http://127.0.0.1:{free_port()}").retryable
