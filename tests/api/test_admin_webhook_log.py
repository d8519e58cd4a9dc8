"""The webhook log: every call with its outcome, for admins only."""

from typing import Any

import httpx
import pytest

from tests.api.requests import STATUS, code, gallery, generate, report
from tests.support.generator import Generator
from tests.support.installation import Configure
from tests.support.misbehaving_server import MisbehavingServer, ServerBehaviour
from tests.support.people import Person

pytestmark = pytest.mark.usefixtures("moto_s3")
DELIVERIES = "/api/admin/deliveries"


def incoming_calls(admin: Person, **query: Any) -> list[dict[str, Any]]:
    answer = admin.api.get(DELIVERIES, params={"direction": "in", **query})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]["deliveries"]
    return found


def test_each_report_is_logged_with_its_verdict(
    admin: Person, ada: Person, generating: str, callback: httpx.Client, generator: Generator
) -> None:
    report(callback, ada, generating, "ready")
    for _ in range(2):
        report(callback, ada, generating, "ready", videoUrl=generator.video_url)
    logged = [(each["verdict"], each["httpStatus"], each["outcome"]) for each in incoming_calls(admin)]
    assert logged == [("duplicate", 202, "queued"), ("accepted", 202, "queued"), ("refused", 409, "")]
    assert {each["videoId"] for each in incoming_calls(admin)} == {generating}
    assert "needs its videoUrl" in incoming_calls(admin)[2]["why"]
    assert "authorization" not in incoming_calls(admin)[0]["headers"]
    assert generator.video_url not in str(incoming_calls(admin))


def test_a_report_on_a_changed_script_is_superseded(
    admin: Person, ada: Person, generating: str, callback: httpx.Client, generator: Generator
) -> None:
    assert ada.api.post(f"/api/auth/video/{generating}/cancel").status_code == 200
    assert generate(ada, videoId=generating, hook="Look again").status_code == 202
    answer = report(callback, ada, generating, "ready", videoUrl=generator.video_url)
    assert (answer.status_code, answer.json()["data"]["progress"]["stage"]) == (200, "generating")
    kept = incoming_calls(admin)[0]
    assert (kept["verdict"], kept["httpStatus"], kept["outcome"]) == ("superseded", 200, "generating")
    assert "changed since" in kept["why"]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"{broken", 401),
        (b'{"status": "ready"}', 401),
        (b'{"userId": "a", "videoId": "b", "status": "ready"}', 401),
    ],
)
def test_refused_calls_are_logged(admin: Person, client: httpx.Client, content: bytes, status: int) -> None:
    answer = client.put(STATUS, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    kept = incoming_calls(admin)[0]
    assert (kept["verdict"], kept["httpStatus"], kept["body"]) == ("refused", status, content.decode())
    assert kept["why"]


def test_outgoing_calls_are_logged_with_their_replies(admin: Person, generating: str) -> None:
    answer = admin.api.get(DELIVERIES, params={"direction": "out", "videoId": generating, "limit": 1})
    (kept,) = answer.json()["data"]["deliveries"]
    assert (kept["kind"], kept["httpStatus"]) == ("video", 200)
    assert "estimatedTime" in kept["answer"]


def test_the_webhook_log_is_paged(admin: Person, client: httpx.Client) -> None:
    for _ in range(3):
        client.put(STATUS, json={})
    first = admin.api.get(DELIVERIES, params={"limit": 2}).json()["data"]
    second = admin.api.get(DELIVERIES, params={"limit": 2, "cursor": first["nextCursor"]}).json()["data"]
    assert (len(first["deliveries"]), len(second["deliveries"])) == (2, 1)
    assert "nextCursor" not in second
    assert code(admin.api.get(DELIVERIES, params={"cursor": "x"})) == (400, "INVALID_INPUT")
    assert code(admin.api.get(DELIVERIES, params={"limit": 0})) == (400, "INVALID_INPUT")


def test_a_refused_report_can_be_applied_by_an_admin(
    admin: Person, ada: Person, generating: str, client: httpx.Client, generator: Generator
) -> None:
    assert report(client, ada, generating, "ready", videoUrl=generator.video_url).status_code == 401
    delivery_id = incoming_calls(admin)[0]["id"]
    answer = admin.api.post(f"{DELIVERIES}/{delivery_id}/replay")
    assert answer.json()["data"]["progress"]["stage"] == "queued"
    assert code(admin.api.post(f"{DELIVERIES}/99999/replay")) == (404, "NOT_FOUND")


def test_an_admin_gives_a_stuck_video_its_address(
    admin: Person, ada: Person, generating: str, generator: Generator
) -> None:
    rescue = f"/api/admin/videos/{generating}/rescue"
    unsafe = admin.api.post(rescue, json={"videoUrl": "http://10.0.0.1/a.mp4"})
    assert code(unsafe) == (400, "UNSAFE_URL")
    answer = admin.api.post(rescue, json={"videoUrl": generator.video_url})
    assert answer.json()["data"]["status"] == "processing"
    assert gallery(ada)["videos"][0]["progress"]["stage"] == "queued"
    assert code(admin.api.post(rescue, json={"videoUrl": generator.video_url})) == (409, "CONFLICT")
    absent = admin.api.post("/api/admin/videos/video_1_gone/rescue", json={"videoUrl": generator.video_url})
    assert code(absent) == (404, "VIDEO_NOT_FOUND")


def test_callbacks_are_answered_while_s3_and_generator_hang(
    ada: Person, generating: str, callback: httpx.Client, generator: Generator, configure: Configure
) -> None:
    """S3 and the generator, which would never answer, are not called."""
    with MisbehavingServer() as hangs:
        hangs.serve("/video", ServerBehaviour(no_answer=True))
        configure(AWS_ENDPOINT_URL_S3=hangs.origin, VIDEO_WEBHOOK_URL=f"{hangs.origin}/video")
        for status in ("processing", "ready", "ready"):
            assert report(callback, ada, generating, status, videoUrl=generator.video_url).is_success
        assert hangs.most_connections == 0
