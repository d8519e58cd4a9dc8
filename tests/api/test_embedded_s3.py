"""End to end with the embedded S3, whose objects are served through the application's port."""

from functools import partial

import httpx
import pytest

from tests.api.requests import code, delete, gallery, generate, store, with_sidecar
from tests.support.generator import Generator
from tests.support.people import MakeClient, Person
from tests.support.waiting import eventually
from videovault.gateways.storage import Storage

pytestmark = pytest.mark.usefixtures("own_embedded_s3", "jobs", "probed_once")


@pytest.mark.usefixtures("generator")
def test_a_video_is_generated_listed_played_saved_and_deleted(
    ada: Person, bob: Person, client: httpx.Client, mp4: bytes, own_embedded_s3: Storage
) -> None:
    video_id = generate(ada).json()["data"]["videoId"]
    eventually(lambda: gallery(ada)["readyCount"] == 1)
    (video,) = gallery(ada)["videos"]
    assert (video["videoId"], video["metadata"]["size"]) == (video_id, len(mp4))
    assert client.get(video["downloadUrl"]).content == mp4
    assert client.get(video["thumbnailUrl"]).headers["content-type"] == "image/webp"

    assert gallery(bob)["totalCount"] == 0
    folder = f"videos/{ada.user_id}/{video_id}/"
    assert len(with_sidecar(partial(own_embedded_s3.keys, folder))) == 3
    assert delete(ada, video_id).status_code == 200
    assert list(own_embedded_s3.keys(folder)) == []
    assert client.get(video["downloadUrl"]).status_code == 404


def test_download_links_work_under_any_host_name(
    ada: Person, generator: Generator, make_client: MakeClient, mp4: bytes
) -> None:
    video_id = store(ada, generator.video_url).json()["data"]["videoId"]
    for name in ("http://localhost:3000", "http://127.0.0.1:8080", "https://videos.local"):
        browser = make_client(headers={"Authorization": f"Bearer {ada.token}"})
        browser.base_url = name
        answer = browser.get(f"/api/auth/video/{video_id}/download")
        assert answer.headers["location"].startswith("/videovault/videos/"), name
        file = browser.get(answer.headers["location"])
        assert file.content == mp4, name
        assert file.headers["content-disposition"].startswith("attachment; ")
        part = browser.get(answer.headers["location"], headers={"Range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, mp4[10:20]), name


def test_a_failed_import_leaves_no_objects(
    ada: Person, generator: Generator, own_embedded_s3: Storage
) -> None:
    assert code(store(ada, generator.file("page.mp4"))) == (422, "SOURCE_FAILED")
    assert list(own_embedded_s3.keys(f"videos/{ada.user_id}/")) == []
