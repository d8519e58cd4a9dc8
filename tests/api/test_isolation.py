"""Whatever a second user tries, the first one's video does not exist for him, or is forbidden by its user id."""

from collections.abc import Callable

import httpx
import pytest

from tests.api.requests import AT_ONCE, code, delete, gallery, generate, report, store
from tests.support.generator import Generator
from tests.support.people import Person

pytestmark = pytest.mark.usefixtures("moto_s3")
Attempt = Callable[[Person, Person, str], httpx.Response]

BY_VIDEO: dict[str, Attempt] = {
    "get": lambda bob, _ada, video: bob.api.get(f"/api/auth/video/{video}"),
    "download": lambda bob, _ada, video: bob.api.get(f"/api/auth/video/{video}/download"),
    "inline": lambda bob, _ada, video: bob.api.get(f"/api/auth/video/{video}/download?inline=1"),
    "thumbnail": lambda bob, _ada, video: bob.api.get(f"/api/auth/video/{video}/thumbnail"),
    "retry": lambda bob, _ada, video: bob.api.post(f"/api/auth/video/{video}/retry"),
    "cancel": lambda bob, _ada, video: bob.api.post(f"/api/auth/video/{video}/cancel"),
    "secret key": lambda bob, _ada, video: bob.api.get(f"/api/auth/video/{video}/secret-key"),
    "new key": lambda bob, _ada, video: bob.api.post(f"/api/auth/video/{video}/secret-key/rotate"),
    "link": lambda bob, _ada, video: bob.api.get(f"/api/auth/video/{video}/share"),
    "open link": lambda bob, _ada, video: bob.api.post(f"/api/auth/video/{video}/share", json={}),
    "close link": lambda bob, _ada, video: bob.api.delete(f"/api/auth/video/{video}/share"),
    "delete": lambda bob, _ada, video: delete(bob, video),
    "status": lambda bob, _ada, video: report(bob.api, bob, video, "failed"),
    "generate": lambda bob, _ada, video: generate(bob, videoId=video),
}
BY_USER: dict[str, Attempt] = {
    "gallery": lambda bob, ada, _video: bob.api.get(
        "/api/auth/video/gallery", params={"userId": ada.user_id}
    ),
    "delete": lambda bob, ada, video: delete(bob, video, owner=ada),
    "status": lambda bob, ada, video: report(bob.api, ada, video, "failed"),
}


@pytest.fixture
def adas_video(ada: Person, generator: Generator) -> str:
    return str(store(ada, generator.video_url, headers=AT_ONCE).json()["data"]["videoId"])


@pytest.mark.parametrize("attempt", BY_VIDEO.values(), ids=BY_VIDEO)
def test_anothers_video_is_answered_just_as_one_that_does_not_exist(
    ada: Person, bob: Person, adas_video: str, attempt: Attempt
) -> None:
    theirs, absent = attempt(bob, ada, adas_video), attempt(bob, ada, "video_1703123456789_abc123def")
    assert code(theirs) == (404, "VIDEO_NOT_FOUND")
    assert theirs.content == absent.content
    assert gallery(ada)["processingCount"] == 1


@pytest.mark.parametrize("attempt", BY_USER.values(), ids=BY_USER)
def test_anothers_user_id_is_forbidden(ada: Person, bob: Person, adas_video: str, attempt: Attempt) -> None:
    assert code(attempt(bob, ada, adas_video)) == (403, "FORBIDDEN")
    assert gallery(ada)["processingCount"] == 1


def test_anothers_address_stores_nothing_for_anyone(ada: Person, bob: Person, generator: Generator) -> None:
    for email in (ada.email, "nobody@example.com"):
        body = {"videoUrl": generator.video_url, "userEmail": email}
        assert code(bob.api.post("/api/auth/video/download", json=body)) == (404, "USER_NOT_FOUND")
    assert gallery(ada)["totalCount"] == gallery(bob)["totalCount"] == 0
