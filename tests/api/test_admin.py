"""Administration, and the check of S3 against the database: for admins only."""

import pytest

from tests.api.requests import AT_ONCE, code, draft, gallery, store, with_sidecar
from tests.support.generator import Generator
from tests.support.installation import Configure
from tests.support.people import Person
from videovault.db import transaction
from videovault.gateways.storage import Storage
from videovault.models import Video

pytestmark = pytest.mark.usefixtures("moto_s3", "probed_once")
VIDEOS = "/api/admin/videos"


def test_an_admin_lists_the_videos_of_all_users(
    admin: Person, ada: Person, bob: Person, generator: Generator
) -> None:
    for person in (ada, bob):
        store(person, generator.video_url, headers=AT_ONCE)
    data = admin.api.get(VIDEOS).json()["data"]
    assert data["totalCount"] == 2
    assert [row["ownerEmail"] for row in data["videos"]] == [bob.email, ada.email]
    assert data["videos"][0]["video"]["status"] == "processing"


def test_an_admin_reads_videos_and_accounts_page_by_page(
    admin: Person, ada: Person, bob: Person, generator: Generator
) -> None:
    for person in (ada, bob, ada):
        store(person, f"{generator.video_url}?{person.email}", headers=AT_ONCE)
    for path, name, total in ((VIDEOS, "videos", 2), ("/api/admin/users", "users", 3)):
        whole = admin.api.get(path).json()["data"]
        assert (len(whole[name]), whole["totalCount"], "nextCursor" in whole) == (total, total, False)
        first = admin.api.get(path, params={"limit": 1}).json()["data"]
        rest = admin.api.get(path, params={"cursor": first["nextCursor"]}).json()["data"]
        assert [*first[name], *rest[name]] == whole[name]
        assert (first["totalCount"], rest["totalCount"]) == (total, total)
        assert admin.api.get(path, params={"limit": 201}).status_code == 400
        assert admin.api.get(path, params={"cursor": "invalid"}).status_code == 400
    filters = {"userId": ada.user_id, "status": "processing", "q": ada.email.upper()}
    found = admin.api.get(VIDEOS, params=filters).json()["data"]
    assert [row["ownerEmail"] for row in found["videos"]] == [ada.email]


@pytest.mark.usefixtures("jobs")
def test_an_admin_deletes_several_videos_with_a_result_for_each(
    admin: Person, ada: Person, generator: Generator, moto_s3: Storage
) -> None:
    gone = store(ada, generator.video_url).json()["data"]["videoId"]
    ids = [gone, "video_1_absent", gone]
    answer = admin.api.request("DELETE", VIDEOS, json={"videoIds": ids})
    assert answer.json()["message"] == "1 of 2 videos deleted"
    first, second = answer.json()["data"]["results"]
    assert first == {"videoId": gone, "deleted": True}
    assert second["deleted"] is False
    assert second["error"]["code"] == "VIDEO_NOT_FOUND"
    assert list(moto_s3.keys()) == []
    assert gallery(ada)["totalCount"] == 0


def test_an_admin_may_act_for_any_user(admin: Person, ada: Person, configure: Configure) -> None:
    configure(SCRIPT_WEBHOOK_URL="")
    video_id = draft(ada)
    query = {"userId": ada.user_id, "status": "draft"}
    seen = admin.api.get("/api/auth/video/gallery", params=query).json()["data"]["videos"]
    assert [video["videoId"] for video in seen] == [video_id]
    body = {"userId": ada.user_id, "videoId": video_id}
    assert admin.api.request("DELETE", "/api/auth/video/delete", json=body).status_code == 200


def test_an_admin_stores_a_video_for_another_user(admin: Person, ada: Person, generator: Generator) -> None:
    body = {"videoUrl": generator.video_url, "userEmail": ada.email}
    assert admin.api.post("/api/auth/video/download", json=body, headers=AT_ONCE).status_code == 202
    assert gallery(ada)["totalCount"] == 1


def test_an_admin_reads_the_audit_log(admin: Person, ada: Person, configure: Configure) -> None:
    configure(SCRIPT_WEBHOOK_URL="")
    video_id = draft(ada)
    data = admin.api.get("/api/admin/events", params={"group": "creations"}).json()["data"]
    [entry] = data["entries"]
    assert (entry["kind"], entry["actor"], entry["videoId"]) == ("draft", ada.email, video_id)
    signed_in = {"userId": ada.user_id, "group": "sign-ins", "limit": "1"}
    [entry] = admin.api.get("/api/admin/events", params=signed_in).json()["data"]["entries"]
    assert (entry["kind"], entry["actor"]) == ("register", ada.email)
    assert code(admin.api.get("/api/admin/events", params={"group": "x"})) == (400, "INVALID_INPUT")
    assert code(admin.api.get("/api/admin/events", params={"cursor": "x"})) == (400, "INVALID_INPUT")
    for number in ("1700000000", "-22722", "12.5"):
        assert code(admin.api.get("/api/admin/events", params={"since": number})) == (400, "INVALID_INPUT")


@pytest.mark.usefixtures("jobs")
def test_an_admin_reads_the_statistics(admin: Person, ada: Person, generator: Generator) -> None:
    size = store(ada, generator.video_url).json()["data"]["size"]
    data = admin.api.get("/api/admin/stats", params={"timeZone": "Asia/Tokyo"}).json()["data"]
    assert (data["people"], data["bytes"], data["videos"]["ready"]) == (2, size, 1)
    assert len(data["days"]) == 30
    assert data["days"][-1]["bytes"] == size
    assert admin.api.get("/api/admin/stats", params={"timeZone": "Nowhere/At_All"}).status_code == 200


@pytest.mark.parametrize("path", ["/api/admin/events", "/api/admin/stats"])
def test_other_users_may_not_read_admin_reports(ada: Person, path: str) -> None:
    assert code(ada.api.get(path)) == (403, "FORBIDDEN")


RECONCILE = "/api/admin/reconcile"


def lose_sidecars(vault: Storage) -> None:
    vault.delete([key for key in with_sidecar(vault.keys) if key.endswith("video.json")])


@pytest.mark.usefixtures("jobs")
def test_an_admin_checks_and_repairs_mismatches(
    moto_s3: Storage, admin: Person, ada: Person, generator: Generator
) -> None:
    video_id = store(ada, generator.video_url).json()["data"]["videoId"]
    lose_sidecars(moto_s3)
    for _ in range(2):
        answer = admin.api.get(RECONCILE).json()
        assert answer["message"] == "1 mismatches found, 0 repaired"
        assert (answer["data"]["repair"], answer["data"]["left"]) == (False, 1)
        assert answer["data"]["found"][0]["examples"][0]["name"] == video_id
    answer = admin.api.post(RECONCILE).json()
    assert (answer["message"], answer["data"]["left"]) == ("1 mismatches found, 1 repaired", 0)
    assert admin.api.get(RECONCILE).json()["data"]["found"] == []


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_other_users_may_not_reconcile(ada: Person, method: str) -> None:
    assert code(ada.api.request(method, RECONCILE)) == (403, "FORBIDDEN")


@pytest.mark.usefixtures("jobs")
def test_an_empty_database_does_not_empty_the_bucket(
    moto_s3: Storage, admin: Person, ada: Person, generator: Generator
) -> None:
    video_id = store(ada, generator.video_url).json()["data"]["videoId"]
    with_sidecar(moto_s3.keys)
    with transaction() as session:
        session.delete(session.get_one(Video, video_id))
    assert code(admin.api.post(RECONCILE)) == (409, "CONFLICT")
    assert len(list(moto_s3.keys())) == 3
