"""After a lost database, the gallery is rebuilt from the bucket, and nothing that exists is overwritten."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel import select

from tests.services.conftest import Row
from tests.services.maintenance.reconcile.conftest import (
    FILM,
    Snapshot,
    Store,
    cut_object,
    lose_object,
    lose_sidecar,
)
from tests.services.maintenance.reconcile.test_runner import counts, run
from tests.support.installation import Configure
from tests.support.s3_proxy import Behaviour, s3_proxy
from tests.support.stores import CopiesNothing
from videovault import security
from videovault.db import reading
from videovault.errors import NotSignedIn
from videovault.gateways import storage
from videovault.gateways.storage import Description, Storage
from videovault.models import Status, User, Video
from videovault.security import new_video_id
from videovault.services.accounts import accounts
from videovault.services.admin.checks.object_store import PREFIX
from videovault.services.core.access import Caller
from videovault.services.core.naming import folder
from videovault.services.maintenance import reconcile
from videovault.services.maintenance.reconcile import Kind
from videovault.services.videos import deletion
from videovault.services.videos import gallery as videos_gallery
from videovault.services.videos.integrity import TAG

pytestmark = pytest.mark.thorough

LINKS = ("download_url", "thumbnail_url", "updated_at")
Lose = Callable[[], None]


@pytest.fixture
def lose_database(configure: Configure, installation: Path, migrated: Path) -> Lose:
    """Switch to an empty database."""

    def lose() -> None:
        new = shutil.copy(migrated, installation / "new.db")
        configure(DATABASE_URL=f"sqlite:///{new}")

    return lose


def _copy_of(vault: Storage) -> str:
    name = f"{vault.bucket}-copy"
    vault._s3.create_bucket(Bucket=name)
    for key in vault.keys():  # noqa: SIM118 - not a dict
        vault._s3.copy_object(Bucket=name, Key=key, CopySource={"Bucket": vault.bucket, "Key": key})
    return name


def gallery(caller: Caller) -> list[dict[str, Any]]:
    found = videos_gallery.list_videos(caller, caller.user_id).videos
    return [view.model_dump(exclude=set(LINKS)) for view in found]


def user(user_id: str) -> User:
    with reading() as session:
        return session.get_one(User, user_id)


def test_rebuild_restores_the_gallery_with_its_files(
    store: Store, vault: Storage, anna: Caller, bert: Caller, lose_database: Lose, configure: Configure
) -> None:
    """Where S3 keeps metadata, from a copy of the bucket."""
    for title in ("Ünser Film 🎬", "<b>Two</b>", "Three"):
        store(title)
    store("Bert's", bert)
    before = gallery(anna), gallery(bert)
    if vault.keeps_metadata:
        configure(AWS_S3_BUCKET_NAME=_copy_of(vault))
    lose_database()
    rebuilt = reconcile.rebuild()
    assert (rebuilt.rebuilt.count, rebuilt.rebuilt.bytes, rebuilt.not_rebuilt.count) == (4, 4 * len(FILM), 0)
    assert [each.name for each in rebuilt.users.examples] == [anna.email, bert.email]
    assert (gallery(anna), gallery(bert)) == before
    for view in videos_gallery.list_videos(anna, anna.user_id).videos:
        assert httpx.get(str(view.download_url)).content == FILM
        assert httpx.get(str(view.thumbnail_url)).content == b"a picture"


def test_rebuild_restores_the_script_and_replaces_secrets(
    store: Store, lose_database: Lose, row: Row
) -> None:
    video = store()
    lose_database()
    reconcile.rebuild()
    again = row(video.id)
    assert (again.hook, again.body, again.conclusion, again.avatar) == (
        video.hook,
        video.body,
        video.conclusion,
        video.avatar,
    )
    assert again.created_at == video.created_at
    assert again.source_url is None
    keys = [
        security.unseal(each.sealed_key, owner_id=each.owner_id, video_id=each.id) for each in (video, again)
    ]
    assert all(keys)
    assert keys[0] != keys[1]


def test_rebuilt_videos_match_the_bucket_and_can_be_deleted(
    store: Store, anna: Caller, lose_database: Lose
) -> None:
    video = store()
    lose_database()
    reconcile.rebuild()
    assert run().found == []
    deletion.delete(anna, video.id)
    assert not list(storage.connected().keys())


def test_second_rebuild_changes_nothing(store: Store, lose_database: Lose, snapshot: Snapshot) -> None:
    store("One")
    store("Two")
    lose_database()
    reconcile.rebuild()
    before = snapshot()
    again = reconcile.rebuild()
    assert (again.kept, again.rebuilt.count, again.users.count) == (2, 0, 0)
    assert snapshot() == before


def test_existing_rows_are_not_changed(store: Store, snapshot: Snapshot) -> None:
    store("One")
    lose_sidecar(store("Two"))
    before = snapshot()
    assert reconcile.rebuild().kept == 2
    assert snapshot() == before


def test_rebuilt_account_cannot_sign_in_without_a_new_password(
    store: Store, anna: Caller, lose_database: Lose
) -> None:
    store()
    lose_database()
    reconcile.rebuild()
    assert not user(anna.user_id).is_admin
    for password in ("correct horse", "", user(anna.user_id).password_hash):
        with pytest.raises(NotSignedIn):
            accounts.login(anna.email, password)
    accounts.create_admin(anna.email, "another horse")
    assert accounts.login(anna.email, "another horse").user.user_id == anna.user_id


def test_video_without_a_sidecar_is_rebuilt_from_s3(
    store: Store, anna: Caller, lose_database: Lose, row: Row
) -> None:
    video = store("A title that is only in the sidecar")
    lose_sidecar(video)
    lose_database()
    rebuilt = reconcile.rebuild()
    assert [each.name for each in rebuilt.from_s3_alone.examples] == [video.id]
    again = row(video.id)
    assert (again.title, again.size, again.format) == ("launch", len(FILM), "mp4")
    assert again.poster_key == video.poster_key
    assert abs((again.created_at - video.created_at).total_seconds()) < 1
    assert user(anna.user_id).email == f"{anna.user_id}@rebuilt.example"
    assert counts(run(repair=True)) == {Kind.SIDECAR: 1}
    assert run().found == []


def test_one_sidecar_identifies_the_owner_of_all_their_videos(
    store: Store, anna: Caller, lose_database: Lose
) -> None:
    lose_sidecar(store())
    store()
    lose_database()
    rebuilt = reconcile.rebuild()
    assert (rebuilt.rebuilt.count, rebuilt.from_s3_alone.count) == (1, 1)
    assert user(anna.user_id).email == anna.email


def test_new_account_with_the_same_address_does_not_get_the_videos(
    store: Store, anna: Caller, lose_database: Lose
) -> None:
    store()
    lose_database()
    new = accounts.register(anna.email, "correct horse").user
    reconcile.rebuild()
    assert new.user_id != anna.user_id
    assert user(new.user_id).email == anna.email
    assert user(anna.user_id).email == f"{anna.user_id}@rebuilt.example"
    assert anna.email in user(anna.user_id).name


def test_object_that_contradicts_its_sidecar_is_reported_and_kept(store: Store, lose_database: Lose) -> None:
    store("Sound")
    lost, cut = store("Lost"), store("Cut")
    lose_object(lost)
    cut_object(cut)
    lose_database()
    rebuilt = reconcile.rebuild()
    assert rebuilt.rebuilt.count == 1
    assert {each.name: each.detail for each in rebuilt.not_rebuilt.examples} == {
        folder(lost): "the sidecar exists, but not the video",
        folder(cut): "the video has 5 bytes, its sidecar says 1,500",
    }
    left = set(storage.connected().keys())
    assert {folder(lost) + "video.json", folder(cut) + "video.json", cut.s3_key} <= left


def test_unreadable_sidecar_is_ignored(store: Store, lose_database: Lose, vault: Storage) -> None:
    for content in (b"", b"{", b'{"schemaVersion": 2}', b"x" * (1 << 19)):
        vault.put(folder(store()) + "video.json", content, Description("application/json"))
    lose_database()
    assert reconcile.rebuild().from_s3_alone.count == 4


IMPOSSIBLE: list[dict[str, Any]] = [
    {"createdAt": "0001-01-01T00:00:00+14:00"},
    {"createdAt": "9999-12-31T23:59:59-14:00"},
    {"metadata": {"duration": "NaN"}},
    {"metadata": {"duration": "inf"}},
    {"metadata": {"duration": -1}},
    {"metadata": {"frameRate": "NaN"}},
]


def test_sidecars_with_impossible_values_are_ignored(
    store: Store, lose_database: Lose, vault: Storage
) -> None:
    """Others may write to the bucket, and one NaN in a row would break its owner's whole gallery."""
    for change in IMPOSSIBLE:
        key = folder(store()) + "video.json"
        written = json.loads(vault.read(key, 1 << 16) or b"")
        vault.put(key, json.dumps(written | change).encode(), Description("application/json"))
    lose_database()
    rebuilt = reconcile.rebuild()
    assert (rebuilt.from_s3_alone.count, rebuilt.rebuilt.count) == (len(IMPOSSIBLE), 0)


def test_a_sidecar_of_another_video_is_not_believed(
    store: Store, lose_database: Lose, vault: Storage, row: Row
) -> None:
    video, other = store("Mine"), store("Other")
    content = vault.read(folder(other) + "video.json", 1 << 16)
    assert content
    vault.put(folder(video) + "video.json", content, Description("application/json"))
    lose_database()
    rebuilt = reconcile.rebuild()
    assert (rebuilt.rebuilt.count, rebuilt.from_s3_alone.count) == (1, 1)
    assert row(video.id).title == "launch"


def test_folder_without_a_video_is_named(vault: Storage, anna: Caller) -> None:
    prefix = f"videos/{anna.user_id}/{new_video_id()}/"
    vault.put(f"{prefix}poster.webp", b"a picture", Description("image/webp"))
    rebuilt = reconcile.rebuild()
    assert [(each.name, each.detail) for each in rebuilt.not_rebuilt.examples] == [
        (prefix, "there is no video in the folder")
    ]


@pytest.mark.parametrize("vault", ["moto_s3"], indirect=True)
def test_rebuilt_videos_are_tagged_with_their_new_keys(store: Store, lose_database: Lose, row: Row) -> None:
    video = store("Grün & gut")
    lose_database()
    assert reconcile.rebuild().untagged.count == 0
    again, vault = row(video.id), storage.connected()
    head = vault._s3.head_object(Bucket=vault.bucket, Key=str(again.s3_key))
    key = security.unseal(again.sealed_key, owner_id=again.owner_id, video_id=again.id)
    assert head["Metadata"] == {TAG: security.integrity_tag(str(key), str(again.s3_key))}
    assert head["ContentType"] == "video/mp4"
    assert "Gr%C3%BCn" in head["ContentDisposition"]


@pytest.mark.parametrize("vault", ["moto_s3"], indirect=True)
def test_tag_that_could_not_be_set_is_reported_and_set_by_the_next_repair(
    store: Store, lose_database: Lose, moto_server: str, configure: Configure
) -> None:
    store()
    lose_database()
    with s3_proxy(moto_server) as proxy:
        configure(AWS_ENDPOINT_URL_S3=proxy.url)
        proxy.behaviour = CopiesNothing(but=PREFIX)  # as S3 does beyond 5 GiB
        rebuilt = reconcile.rebuild()
        assert (rebuilt.rebuilt.count, rebuilt.untagged.count) == (1, 1)
        assert counts(run()) == {Kind.UNKNOWN_TAG: 1}
        proxy.behaviour = Behaviour()
        proxy.refuse["PutObject"] = [(403, "AccessDenied")]
        assert run(repair=True).left == 1
        assert run(repair=True).left == 0
        assert run().found == []


@pytest.mark.parametrize("vault", ["moto_s3"], indirect=True)
def test_rebuild_and_repair_on_postgresql(
    store: Store, anna: Caller, bert: Caller, migrated_postgres_url: str, configure: Configure
) -> None:
    store("One")
    store("Two", bert)
    lost = store("Three")
    before = gallery(anna)
    configure(DATABASE_URL=migrated_postgres_url)
    assert reconcile.rebuild().rebuilt.count == 3
    assert gallery(anna) == before
    assert run().found == []
    lose_object(lost)
    lose_sidecar(lost)
    assert counts(run(repair=True)) == {Kind.MISSING_OBJECT: 1}
    with reading() as session:
        assert session.get_one(Video, lost.id).status == Status.FAILED
        assert len(session.exec(select(User)).all()) == 2
