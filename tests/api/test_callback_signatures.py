"""Calls back that are signed as Standard Webhooks say: a good signature is enough, a bad one too much."""

import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from standardwebhooks import Webhook

from tests.api.requests import STATUS, code, gallery
from tests.support.generator import Generator
from tests.support.installation import Configure
from tests.support.people import Person

pytestmark = pytest.mark.usefixtures("moto_s3")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


@pytest.fixture(autouse=True)
def _signing(configure: Configure) -> None:
    configure(WEBHOOK_SECRET=SECRET)


def signed(body: bytes, secret: str = SECRET, age: timedelta = timedelta()) -> dict[str, str]:
    at = datetime.now(UTC) - age
    return {
        "Content-Type": "application/json",
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", at, body.decode()),
    }


@pytest.fixture
def body(ada: Person, generating: str) -> bytes:
    return json.dumps({"userId": ada.user_id, "videoId": generating, "status": "failed"}).encode()


def bearer(generator: Generator) -> dict[str, str]:
    return {"Authorization": f"Bearer {generator.requests[0]['callbackToken']}"}


def test_a_good_signature_is_enough(client: httpx.Client, ada: Person, body: bytes) -> None:
    assert client.put(STATUS, content=body, headers=signed(body)).status_code == 200
    assert gallery(ada)["failedCount"] == 1


def test_it_opens_no_other_users_name(client: httpx.Client, bob: Person, body: bytes) -> None:
    other = json.dumps(json.loads(body) | {"userId": bob.user_id}).encode()
    assert code(client.put(STATUS, content=other, headers=signed(other))) == (403, "FORBIDDEN")


def test_a_video_that_is_gone_is_not_found(client: httpx.Client, body: bytes) -> None:
    gone = json.dumps(json.loads(body) | {"videoId": "video_1_gone"}).encode()
    assert code(client.put(STATUS, content=gone, headers=signed(gone))) == (404, "VIDEO_NOT_FOUND")


@pytest.mark.parametrize(
    "fault",
    [
        {"secret": OTHER},
        {"age": timedelta(minutes=6)},
        {"age": timedelta(minutes=-6)},
    ],
    ids=["forged", "old", "from the future"],
)
@pytest.mark.parametrize("with_token", [False, True])
def test_a_bad_signature_is_401_even_with_a_good_token(
    client: httpx.Client,
    ada: Person,
    generator: Generator,
    body: bytes,
    fault: dict[str, object],
    with_token: bool,
) -> None:
    headers = signed(body, **fault) | (bearer(generator) if with_token else {})  # type: ignore[arg-type] # by name
    assert code(client.put(STATUS, content=body, headers=headers)) == (401, "NOT_SIGNED_IN")
    assert gallery(ada)["processingCount"] == 1


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-signature": ""},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,***"},
        {"webhook-timestamp": "yesterday"},
        {"webhook-id": "msg_2"},
    ],
    ids=str,
)
def test_headers_that_are_not_whole_are_401(
    client: httpx.Client, body: bytes, generator: Generator, change: dict[str, str]
) -> None:
    headers = signed(body) | bearer(generator) | change
    assert code(client.put(STATUS, content=body, headers=headers)) == (401, "NOT_SIGNED_IN")


def test_a_changed_body_is_401(client: httpx.Client, body: bytes) -> None:
    changed = body.replace(b"failed", b"ready ")
    assert code(client.put(STATUS, content=changed, headers=signed(body))) == (401, "NOT_SIGNED_IN")


def test_without_those_headers_the_token_is_enough(
    client: httpx.Client, body: bytes, generator: Generator
) -> None:
    headers = bearer(generator) | {"Content-Type": "application/json"}
    assert client.put(STATUS, content=body, headers=headers).status_code == 200


def test_without_a_secret_a_signature_proves_nothing(
    client: httpx.Client, body: bytes, generator: Generator, configure: Configure
) -> None:
    configure(WEBHOOK_SECRET="")
    headers = signed(body)
    assert code(client.put(STATUS, content=body, headers=headers)) == (401, "NOT_SIGNED_IN")
    assert client.put(STATUS, content=body, headers=headers | bearer(generator)).status_code == 200
