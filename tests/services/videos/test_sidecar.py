"""The sidecar beside each stored video is up to date and has no secrets, and its failure does not fail the video."""

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.services.conftest import SCRIPT, Row
from tests.support.generator import Generator
from tests.support.installation import Configure
from tests.support.media import MEASURED
from tests.support.s3_proxy import S3Proxy, s3_proxy
from videovault import security
from videovault.clock import utcnow
from videovault.db import transaction
from videovault.errors import InvalidInput, VideoNotFound
from videovault.gateways import storage
from videovault.models import Status, Video
from videovault.services.core.access import Caller
from videovault.services.core.naming import folder
from videovault.services.generation import orders
from videovault.services.transfer import pipeline
from videovault.services.videos import deletion, gallery, sidecar
from videovault.services.videos.integrity import TAG

pytestmark = pytest.mark.usefixtures("moto_s3", "fixed_probe")


@pytest.fixture
def made(generator: Generator, anna: Caller, row: Row) -> Video:
    """A generated and stored video."""
    del generator
    view = orders.request(anna, SCRIPT, enqueue=lambda _: None)
    pipeline.produce(view.video_id, stopping=lambda: False)
    return row(view.video_id)


def raw(video: Video) -> str:
    content = storage.connected().read(folder(video) + "video.json", sidecar.MAX_BYTES)
    assert content
    return content.decode()


def content(video: Video) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(raw(video))
    return found


def test_it_has_everything_to_rebuild_the_row(made: Video, anna: Caller, mp4: bytes) -> None:
    assert content(made) == {
        "schemaVersion": 1,
        "videoId": made.id,
        "owner": {"userId": anna.user_id, "email": anna.email, "name": ""},
        "title": made.title,
        "script": {**SCRIPT, "topic": "", "company_name": "", "social_handles": "", "license": ""},
        "metadata": {
            "duration": 2.0,
            "size": len(mp4),
            "format": "mp4",
            "width": 160,
            "height": 90,
            "crc32": made.crc32,
            "etag": made.etag,
            **MEASURED,
        },
        "s3Key": made.s3_key,
        "posterKey": made.poster_key,
        "createdAt": made.created_at.isoformat().replace("+00:00", "Z"),
    }
    stored = ("topic", "hook", "body", "conclusion", "company_name", "social_handles", "license", "avatar")
    assert tuple(content(made)["script"])[: len(stored)] == stored  # or no older sidecar has the same bytes
    vault = storage.connected()
    head = vault._s3.head_object(Bucket=vault.bucket, Key=folder(made) + "video.json")
    assert head["ContentType"] == "application/json"


def test_no_secret_is_in_it(made: Video) -> None:
    content = raw(made)
    key = security.unseal(made.sealed_key, owner_id=made.owner_id, video_id=made.id)
    info = storage.connected().info(str(made.s3_key))
    assert key
    assert info
    for secret in (key, made.sealed_key, str(made.source_url), info.metadata[TAG], "password", "signature"):
        assert secret not in content


def test_renaming_rewrites_the_sidecar(made: Video, anna: Caller) -> None:
    view = gallery.rename(anna, made.id, "  Another title  ")
    assert view.title == "Another title"
    assert content(made)["title"] == "Another title"
    assert gallery.get(anna, made.id).title == "Another title"


def test_a_video_in_progress_can_be_renamed(generator: Generator, anna: Caller, row: Row) -> None:
    view = gallery.store_link(anna, generator.video_url, anna.email, enqueue=lambda _: None)
    assert gallery.rename(anna, view.video_id, "Early").status == "processing"
    assert not list(storage.connected().keys())
    pipeline.produce(view.video_id, stopping=lambda: False)
    assert content(row(view.video_id))["title"] == "Early"


def test_renaming_refuses_other_users_videos_and_invalid_titles(
    made: Video, bert: Caller, anna: Caller
) -> None:
    with pytest.raises(VideoNotFound):
        gallery.rename(bert, made.id, "Mine now")
    for title in ("", "   ", "x" * 121, "a\nb"):
        with pytest.raises(InvalidInput):
            gallery.rename(anna, made.id, title)
    assert content(made)["title"] == made.title


def test_it_is_deleted_with_the_video(made: Video, anna: Caller) -> None:
    deletion.delete(anna, made.id)
    assert not list(storage.connected().keys())


def refuse_third_put(proxy: S3Proxy) -> None:
    """Video and poster are written before the sidecar."""

    def refuse(operation: str) -> None:
        if operation == "PutObject" and proxy.calls["PutObject"] >= 3:
            proxy.refuse["PutObject"] = [(403, "AccessDenied")]

    proxy.before = refuse


def test_a_sidecar_that_cannot_be_written_does_not_fail_the_video(
    generator: Generator, anna: Caller, row: Row, moto_server: str, configure: Configure
) -> None:
    view = gallery.store_link(anna, generator.video_url, anna.email, enqueue=lambda _: None)
    with s3_proxy(moto_server) as proxy:
        refuse_third_put(proxy)
        configure(AWS_ENDPOINT_URL_S3=proxy.url)
        pipeline.produce(view.video_id, stopping=lambda: False)
        assert proxy.calls["PutObject"] == 3
        assert row(view.video_id).status == Status.READY
        assert len(list(storage.connected().keys())) == 2
        assert not sidecar.write(view.video_id)
        assert gallery.rename(anna, view.video_id, "Renamed all the same").title == "Renamed all the same"


def test_a_video_deleted_while_it_is_written_leaves_nothing(
    made: Video, anna: Caller, moto_server: str, configure: Configure
) -> None:
    with s3_proxy(moto_server) as proxy:
        configure(AWS_ENDPOINT_URL_S3=proxy.url)

        def delete_first(operation: str) -> None:
            if operation == "PutObject":
                deletion.delete(anna, made.id)

        proxy.before = delete_first
        assert not sidecar.write(made.id)
        assert not list(storage.connected().keys())


def test_a_video_renamed_while_it_is_written_is_written_again(
    made: Video, anna: Caller, moto_server: str, configure: Configure
) -> None:
    with s3_proxy(moto_server) as proxy:
        configure(AWS_ENDPOINT_URL_S3=proxy.url)

        def rename_once(operation: str) -> None:
            if operation == "PutObject" and proxy.calls["PutObject"] == 1:
                gallery.rename(anna, made.id, "Faster")

        proxy.before = rename_once
        assert sidecar.write(made.id)
        assert content(made)["title"] == "Faster"


def test_a_failed_attempt_leaves_no_sidecar_of_an_earlier_one(
    made: Video, anna: Caller, generator: Generator
) -> None:
    with transaction() as session:
        row = session.get_one(Video, made.id)
        row.status, row.source_url = Status.FAILED, generator.file("page.mp4")
    pipeline.retry(anna, made.id, enqueue=lambda one: pipeline.produce(one, stopping=lambda: False))
    assert not list(storage.connected().keys())


def test_sidecars_left_unwritten_are_written_later(made: Video, row: Row) -> None:
    storage.connected().delete([folder(made) + "video.json"])
    with transaction() as session:
        late = utcnow() - sidecar.LEFT_AFTER - timedelta(seconds=1)
        session.get_one(Video, made.id).sidecar_due_at = late
    sidecar.write_due()
    assert content(made)["title"] == made.title
    assert row(made.id).sidecar_due_at is None


def test_a_written_sidecar_is_no_longer_due_and_a_failed_one_stays_due(
    made: Video, anna: Caller, row: Row, moto_server: str, configure: Configure
) -> None:
    assert row(made.id).sidecar_due_at is None
    with s3_proxy(moto_server) as proxy:
        proxy.refuse["PutObject"] = [(403, "AccessDenied")]
        configure(AWS_ENDPOINT_URL_S3=proxy.url)
        gallery.rename(anna, made.id, "Another title")
        assert row(made.id).sidecar_due_at
    sidecar.write_due()  # too early: the process that renamed it may still write it
    assert row(made.id).sidecar_due_at
