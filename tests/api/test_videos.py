"""Storing from an address, the gallery, links, deletion and isolation of users, against an S3 in memory."""

import io
import re
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import av
import httpx
import pytest

from tests.api.requests import AT_ONCE, code, delete, draft, gallery, store, with_sidecar
from tests.support.generator import Generator
from tests.support.installation import Configure
from tests.support.media import MEASURED
from tests.support.people import Person
from tests.support.waiting import eventually
from videovault.gateways.storage import Storage

pytestmark = pytest.mark.usefixtures("moto_s3", "probed_once")


@pytest.fixture
def adas_video(ada: Person, generator: Generator) -> str:
    return str(store(ada, generator.video_url, headers=AT_ONCE).json()["data"]["videoId"])


def link(person: Person, video_id: str, what: str = "download", **query: Any) -> httpx.Response:
    return person.api.get(f"/api/auth/video/{video_id}/{what}", params=query)


def cancel(person: Person, video_id: str) -> httpx.Response:
    return person.api.post(f"/api/auth/video/{video_id}/cancel")


@pytest.mark.usefixtures("jobs")
def test_storing_an_address_gives_the_guides_answer(
    ada: Person, generator: Generator, mp4: bytes, moto_s3: Storage
) -> None:
    answer = store(ada, generator.video_url)
    assert answer.status_code == 200
    said = answer.json()
    assert said["message"] == "Video downloaded and uploaded successfully"
    data = said["data"]
    guide = {"videoId", "title", "s3Key", "secretKey", "status", "size", "createdAt"}
    assert set(data) == guide | {"metadata"}
    assert re.fullmatch(r"video_\d{13}_[a-z0-9]{9}", data["videoId"])
    wanted = rf"videos/{ada.user_id}/{data['videoId']}/\d{{13}}_launch\.mp4"
    assert re.fullmatch(wanted, data["s3Key"])
    assert (data["title"], data["status"], data["size"]) == ("launch", "ready", len(mp4))
    assert data["metadata"] == {
        "duration": 2.0,
        "size": len(mp4),
        "format": "mp4",
        "width": 160,
        "height": 90,
        "crc32": f"{zlib.crc32(mp4):08x}",
        "audioCodec": None,
        **MEASURED,
    }
    found = moto_s3.info(data["s3Key"])
    assert found
    assert found.size == len(mp4)


def test_a_given_title_is_kept(ada: Person, generator: Generator) -> None:
    answer = store(ada, generator.video_url, title="Ünser Film 🎬", headers=AT_ONCE)
    assert answer.json()["data"]["title"] == "Ünser Film 🎬"


@pytest.mark.parametrize("prefer", ["respond-async", "wait=0", "respond-async, wait=0"])
def test_without_waiting_the_response_has_the_same_fields(
    ada: Person, generator: Generator, prefer: str
) -> None:
    answer = store(ada, generator.video_url, headers={"Prefer": prefer})
    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == prefer
    data = answer.json()["data"]
    assert (data["status"], data["size"], data["title"]) == ("processing", None, "launch")
    assert data["secretKey"]


def test_a_timed_out_wait_is_202(ada: Person, generator: Generator, configure: Configure) -> None:
    configure(STORE_WAIT_SECONDS=0.3)
    answer = store(ada, generator.video_url)
    assert (answer.status_code, answer.json()["data"]["status"]) == (202, "processing")


def test_an_address_being_stored_is_not_stored_twice(ada: Person, generator: Generator) -> None:
    first = store(ada, generator.video_url, headers=AT_ONCE).json()["data"]
    second = store(ada, generator.video_url, headers=AT_ONCE).json()["data"]
    assert first == second


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize(
    ("path", "says"), [("/videos/page.mp4", "web page"), ("/nothing.mp4", "no longer at this address")]
)
def test_an_address_without_a_video_is_422(ada: Person, generator: Generator, path: str, says: str) -> None:
    answer = store(ada, generator.url + path)
    assert code(answer) == (422, "SOURCE_FAILED")
    assert says in answer.json()["message"]
    failed = gallery(ada)["videos"][0]
    assert failed["status"] == "failed"
    assert failed["error"] == {"code": "SOURCE_FAILED", "message": answer.json()["message"]}


def test_an_unsafe_address_is_400(ada: Person) -> None:
    for url in (
        "http://10.0.0.1/a.mp4",
        "http://localhost/a.mp4",
        "http://169.254.169.254/",
        "ftp://example.com/a.mp4",
    ):
        assert code(store(ada, url)) == (400, "UNSAFE_URL"), url
    assert gallery(ada)["totalCount"] == 0


@pytest.mark.usefixtures("jobs")
def test_a_failing_s3_is_502(ada: Person, generator: Generator, configure: Configure) -> None:
    configure(AWS_S3_BUCKET_NAME="there-is-no-such-bucket")
    answer = store(ada, generator.video_url)
    assert code(answer) == (502, "STORAGE_FAILED")
    assert "AWS_S3_BUCKET_NAME" in answer.json()["message"]


@pytest.mark.usefixtures("jobs")
def test_exceeding_the_quota_is_413(
    ada: Person, generator: Generator, mp4: bytes, configure: Configure
) -> None:
    configure(DEFAULT_QUOTA_BYTES=len(mp4) + 10)
    assert store(ada, generator.video_url).status_code == 200
    assert code(store(ada, generator.file("other.mp4"))) == (413, "QUOTA_EXCEEDED")
    failed = gallery(ada, status="failed")["videos"][0]
    assert failed["error"]["code"] == "QUOTA_EXCEEDED"
    assert failed["retry"] == "transfer"
    configure(DEFAULT_QUOTA_BYTES=len(mp4))
    assert code(store(ada, generator.file("third.mp4"))) == (413, "QUOTA_EXCEEDED")
    assert code(ada.api.post(f"/api/auth/video/{failed['videoId']}/retry")) == (413, "QUOTA_EXCEEDED")
    me = ada.api.get("/api/auth/me").json()["data"]["user"]
    assert (me["storageBytes"], me["quotaBytes"]) == (len(mp4), len(mp4))


@pytest.mark.usefixtures("jobs")
def test_with_one_running_video_per_user_all_are_stored_in_turn(
    ada: Person, generator: Generator, configure: Configure
) -> None:
    configure(RUNNING_PER_USER=1)
    for name in "ab":
        store(ada, generator.file(f"{name}.mp4"), headers=AT_ONCE)
    eventually(lambda: gallery(ada)["readyCount"] == 2)


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize("end", [cancel, delete])
def test_cancelling_or_deleting_ends_a_waiting_call_with_409(
    ada: Person, generator: Generator, end: Callable[[Person, str], httpx.Response]
) -> None:
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(store, ada, generator.file("slow.mp4"))
        eventually(lambda: gallery(ada)["videos"])
        assert end(ada, gallery(ada)["videos"][0]["videoId"]).status_code == 200
        assert code(waiting.result()) == (409, "CONFLICT")


def test_a_ready_video_can_neither_be_cancelled_nor_retried(ada: Person, stored: str) -> None:
    assert code(cancel(ada, stored)) == (409, "CONFLICT")
    assert code(ada.api.post(f"/api/auth/video/{stored}/retry")) == (409, "CONFLICT")


def test_the_gallery_is_the_guides_answer(ada: Person, stored: str, mp4: bytes) -> None:
    answer = ada.api.get("/api/auth/video/gallery", params={"userId": ada.user_id})
    said = answer.json()
    assert said["message"] == "Video gallery retrieved successfully"
    (video,) = said["data"].pop("videos")
    assert said["data"] == {"totalCount": 1, "readyCount": 1, "processingCount": 0, "failedCount": 0}
    guide = {"videoId", "title", "status", "createdAt", "updatedAt", "metadata", "downloadUrl"}
    assert set(video) == guide | {"thumbnailUrl"}
    assert (video["videoId"], video["status"]) == (stored, "ready")
    assert httpx.get(video["downloadUrl"]).content == mp4
    assert httpx.get(video["thumbnailUrl"]).headers["content-type"] == "image/webp"


def test_the_gallery_reveals_no_secret_key_source_or_s3_key(
    ada: Person, stored: str, generator: Generator
) -> None:
    secret = store(ada, generator.video_url, headers=AT_ONCE).json()["data"]["secretKey"]
    whole = ada.api.get("/api/auth/video/gallery", params={"userId": ada.user_id}).text
    one = ada.api.get(f"/api/auth/video/{stored}").text
    for text in (whole, one):
        assert secret not in text
        assert generator.url not in text
        assert "s3Key" not in text


def test_a_processing_video_has_its_progress(ada: Person, generator: Generator) -> None:
    store(ada, generator.video_url, headers=AT_ONCE)
    (video,) = gallery(ada, status="processing")["videos"]
    assert video["progress"].items() >= {"stage": "queued", "bytesDone": 0}.items()


def test_drafts_are_listed_only_by_their_status(ada: Person, configure: Configure) -> None:
    configure(SCRIPT_WEBHOOK_URL="")
    video_id = draft(ada)
    assert gallery(ada) == {
        "videos": [],
        "totalCount": 0,
        "readyCount": 0,
        "processingCount": 0,
        "failedCount": 0,
    }
    assert [video["videoId"] for video in gallery(ada, status="draft")["videos"]] == [video_id]


def test_the_gallery_is_searched_sorted_and_paged(ada: Person, generator: Generator) -> None:
    for title in ("Beta", "alpha", "100% Gamma"):
        store(ada, generator.file(f"{title[:1]}.mp4"), title=title, headers=AT_ONCE)

    def titles(**query: Any) -> list[str]:
        return [video["title"] for video in gallery(ada, **query)["videos"]]

    assert titles() == ["100% Gamma", "alpha", "Beta"]
    assert titles(sort="oldest") == ["Beta", "alpha", "100% Gamma"]
    assert titles(sort="title") == ["100% Gamma", "alpha", "Beta"]
    assert titles(q="ALPHA") == ["alpha"]
    assert titles(q="%") == ["100% Gamma"]
    assert titles(status="", q="", sort="", limit="", cursor="") == titles()
    first = gallery(ada, limit=2)
    assert len(first["videos"]) == 2
    assert titles(limit=2, cursor=first["nextCursor"]) == ["Beta"]
    assert "nextCursor" not in gallery(ada, limit=3)


def test_one_video_is_as_in_the_gallery(ada: Person, stored: str) -> None:
    one = ada.api.get(f"/api/auth/video/{stored}").json()["data"]
    listed = gallery(ada)["videos"][0]
    links = ("downloadUrl", "thumbnailUrl")
    assert {k: v for k, v in one.items() if k not in links} == {
        k: v for k, v in listed.items() if k not in links
    }


def test_the_download_link_saves_the_file_under_its_title(ada: Person, stored: str, mp4: bytes) -> None:
    ada.api.patch(f"/api/auth/video/{stored}", json={"title": "Grün & gut"})
    answer = link(ada, stored)
    assert answer.status_code == 302
    assert answer.headers["cache-control"] == "no-store"
    file = httpx.get(answer.headers["location"])
    assert file.content == mp4
    saved_as = file.headers["content-disposition"]
    assert saved_as == "attachment; filename=\"Grun _ gut.mp4\"; filename*=UTF-8''Gr%C3%BCn%20%26%20gut.mp4"
    with av.open(io.BytesIO(file.content), "r") as container:
        assert container.duration == 2 * av.time_base


def test_the_inline_link_is_for_playing(ada: Person, stored: str) -> None:
    file = httpx.get(link(ada, stored, inline="1").headers["location"])
    assert file.headers["content-disposition"].startswith("inline; ")


def test_the_redirect_to_a_poster_is_cached(ada: Person, stored: str, configure: Configure) -> None:
    answer = link(ada, stored, "thumbnail")
    assert (answer.status_code, answer.headers["cache-control"]) == (302, "private, max-age=600")
    assert httpx.get(answer.headers["location"]).headers["content-type"] == "image/webp"
    configure(DOWNLOAD_URL_SECONDS=60)
    assert link(ada, stored, "thumbnail").headers["cache-control"] == "private, max-age=60"


def test_there_is_no_link_before_a_video_is_ready(ada: Person, adas_video: str) -> None:
    for what in ("download", "thumbnail"):
        assert code(link(ada, adas_video, what)) == (409, "CONFLICT")


@pytest.mark.usefixtures("jobs")
def test_the_address_of_a_failed_import_is_read_and_replaced(
    ada: Person, bob: Person, generator: Generator
) -> None:
    wrong, right = f"{generator.url}/nothing here.mp4?sig=secret", f"{generator.url}/videos/the right one.mp4"
    assert code(store(ada, wrong)) == (422, "SOURCE_FAILED")
    [failed] = gallery(ada)["videos"]
    assert (failed["retry"], failed["retries"]) == ("transfer", ["transfer"])
    assert "secret" not in str(failed)
    path = f"/api/auth/video/{failed['videoId']}/source"
    shown = ada.api.get(path).json()["data"]
    assert shown == {"videoId": failed["videoId"], "videoUrl": wrong}
    assert code(bob.api.get(path)) == (404, "VIDEO_NOT_FOUND")
    assert code(bob.api.put(path, json={"videoUrl": right})) == (404, "VIDEO_NOT_FOUND")
    retry = ada.api.post(f"/api/auth/video/{failed['videoId']}/retry", params={"how": "generation"})
    assert code(retry) == (409, "CONFLICT")
    assert code(ada.api.put(path, json={"videoUrl": "x" * 20_000})) == (400, "INVALID_INPUT")
    assert ada.api.put(path, json={"videoUrl": right}).json()["data"]["status"] == "processing"
    eventually(lambda: gallery(ada)["readyCount"])
    [stored] = gallery(ada)["videos"]
    assert stored["title"] == "the right one"
    assert code(ada.api.get(path)) == (409, "CONFLICT")


def test_a_video_is_renamed(ada: Person, bob: Person, stored: str) -> None:
    one = f"/api/auth/video/{stored}"
    answer = ada.api.patch(one, json={"title": " Another title "})
    assert (answer.status_code, answer.json()["data"]["title"]) == (200, "Another title")
    assert gallery(ada)["videos"][0]["title"] == "Another title"
    assert code(ada.api.patch(one, json={"title": " "})) == (400, "INVALID_INPUT")
    assert code(ada.api.patch(one, json={})) == (400, "INVALID_INPUT")
    assert code(bob.api.patch(one, json={"title": "Mine"})) == (404, "VIDEO_NOT_FOUND")


def test_deleting_removes_the_objects_and_the_row(ada: Person, stored: str, moto_s3: Storage) -> None:
    assert len(with_sidecar(moto_s3.keys)) == 3  # including poster and sidecar
    answer = delete(ada, stored)
    assert (answer.status_code, answer.json()["data"]) == (200, {"videoId": stored})
    assert list(moto_s3.keys()) == []
    assert gallery(ada)["totalCount"] == 0
    assert code(delete(ada, stored)) == (404, "VIDEO_NOT_FOUND")


def test_a_deletion_that_s3_refuses_is_502_and_hides_the_video(
    ada: Person, stored: str, configure: Configure
) -> None:
    configure(AWS_S3_BUCKET_NAME="there-is-no-such-bucket")
    assert code(delete(ada, stored)) == (502, "STORAGE_FAILED")
    assert gallery(ada)["totalCount"] == 0
    assert code(ada.api.get(f"/api/auth/video/{stored}")) == (404, "VIDEO_NOT_FOUND")


def test_another_users_email_address_stores_nothing(ada: Person, bob: Person, generator: Generator) -> None:
    for email in (ada.email, "nobody@example.com"):
        body = {"videoUrl": generator.video_url, "userEmail": email}
        assert code(bob.api.post("/api/auth/video/download", json=body)) == (404, "USER_NOT_FOUND")
    assert gallery(ada)["totalCount"] == gallery(bob)["totalCount"] == 0
