"""Renaming and deleting over HTTP."""

import pytest

from tests.api.requests import code, delete, gallery, with_sidecar
from tests.support.installation import Configure
from tests.support.people import Person
from videovault.gateways.storage import Storage

pytestmark = pytest.mark.usefixtures("moto_s3")


def test_a_video_is_renamed(ada: Person, bob: Person, stored: str) -> None:
    one = f"/api/auth/video/{stored}"
    answer = ada.api.patch(one, json={"title": " Another title "})
    assert (answer.status_code, answer.json()["data"]["title"]) == (200, "Another title")
    assert gallery(ada)["videos"][0]["title"] == "Another title"
    assert code(ada.api.patch(one, json={"title": " "})) == (400, "INVALID_INPUT")
    assert code(ada.api.patch(one, json={})) == (400, "INVALID_INPUT")
    assert code(bob.api.patch(one, json={"title": "Mine"})) == (404, "VIDEO_NOT_FOUND")


def test_deleting_takes_the_objects_and_the_row(ada: Person, stored: str, moto_s3: Storage) -> None:
    assert len(with_sidecar(moto_s3.keys)) == 3  # with poster and sidecar
    answer = delete(ada, stored)
    assert (answer.status_code, answer.json()["data"]) == (200, {"videoId": stored})
    assert list(moto_s3.keys()) == []
    assert gallery(ada)["totalCount"] == 0
    assert code(delete(ada, stored)) == (404, "VIDEO_NOT_FOUND")


def test_a_deletion_that_s3_refuses_is_502_and_out_of_every_list(
    ada: Person, stored: str, configure: Configure
) -> None:
    configure(AWS_S3_BUCKET_NAME="there-is-no-such-bucket")
    assert code(delete(ada, stored)) == (502, "STORAGE_FAILED")
    assert gallery(ada)["totalCount"] == 0
    assert code(ada.api.get(f"/api/auth/video/{stored}")) == (404, "VIDEO_NOT_FOUND")
