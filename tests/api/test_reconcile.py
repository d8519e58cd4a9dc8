"""Bucket against database over HTTP: for admins only."""

import pytest

from tests.api.requests import code, store, with_sidecar
from tests.support.generator import Generator
from tests.support.people import Person
from videovault.db import transaction
from videovault.gateways.storage import Storage
from videovault.models import Video

pytestmark = pytest.mark.usefixtures("jobs")
RECONCILE = "/api/admin/reconcile"


def lose_sidecars(vault: Storage) -> None:
    vault.delete([key for key in with_sidecar(vault.keys) if key.endswith("video.json")])


def test_an_admin_looks_first_and_mends_then(
    moto_s3: Storage, admin: Person, ada: Person, generator: Generator
) -> None:
    video_id = store(ada, generator.video_url).json()["data"]["videoId"]
    lose_sidecars(moto_s3)
    for _ in range(2):
        answer = admin.api.get(RECONCILE).json()
        assert answer["message"] == "1 differences found, 0 mended"
        assert (answer["data"]["repair"], answer["data"]["left"]) == (False, 1)
        assert answer["data"]["found"][0]["examples"][0]["name"] == video_id
    answer = admin.api.post(RECONCILE).json()
    assert (answer["message"], answer["data"]["left"]) == ("1 differences found, 1 mended", 0)
    assert admin.api.get(RECONCILE).json()["data"]["found"] == []


@pytest.mark.usefixtures("moto_s3")
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_others_may_not(ada: Person, method: str) -> None:
    assert code(ada.api.request(method, RECONCILE)) == (403, "FORBIDDEN")


def test_an_empty_database_is_no_reason_to_empty_the_bucket(
    moto_s3: Storage, admin: Person, ada: Person, generator: Generator
) -> None:
    video_id = store(ada, generator.video_url).json()["data"]["videoId"]
    with_sidecar(moto_s3.keys)
    with transaction() as session:
        session.delete(session.get_one(Video, video_id))
    assert code(admin.api.post(RECONCILE)) == (409, "CONFLICT")
    assert len(list(moto_s3.keys())) == 3
