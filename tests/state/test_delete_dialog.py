"""Deleting from the gallery: confirmed first, reported for each video, and only for the owner."""

from collections.abc import Callable

from tests.state.conftest import Make, Person, Server, Tab
from tests.support.installation import Configure
from tests.support.s3_proxy import s3_proxy
from tests.support.stores import Denies
from videovault.db import reading, transaction
from videovault.gateways import storage
from videovault.models import Status, Video
from videovault.state.delete_dialog import MAX_VIDEOS, DeleteDialogState
from videovault.state.gallery import GalleryState
from videovault.state.session import SessionState


def test_deletion_is_confirmed_and_names_the_video(ada: Tab, make: Make) -> None:
    video_id = make(Status.READY, size=3_700_000, duration=20.0)
    ada.send(DeleteDialogState, "ask", video_ids=[video_id])
    asked = ada.sees(DeleteDialogState)
    assert (asked.question, asked.what) == ("Delete this video?", "Bread, 0:20, 3.7 MB")
    ada.send(DeleteDialogState, "cancel")
    ada.send(DeleteDialogState, "delete")
    assert exists(video_id)


def test_several_are_named_by_number_and_size(ada: Tab, make: Make) -> None:
    video_ids = [
        make(Status.READY, size=200_000_000),
        make(Status.READY, size=212_000_000),
        make(Status.FAILED),
    ]
    ada.send(DeleteDialogState, "ask", video_ids=[*video_ids, video_ids[0], "video_gone"])
    asked = ada.sees(DeleteDialogState)
    assert (asked.question, asked.what) == ("Delete these videos?", "3 videos, 412 MB")


def test_draft_is_called_a_draft(ada: Tab, make: Make) -> None:
    ada.send(DeleteDialogState, "ask", video_ids=[make(Status.DRAFT)])
    assert ada.sees(DeleteDialogState).question == "Delete this draft?"


def test_deleted_video_is_gone(ada: Tab, make: Make, moto_s3: storage.Storage) -> None:
    video_id = make(Status.READY)
    key = f"videos/{owner(video_id)}/{video_id}/1_bread.mp4"
    moto_s3.put(key, b"bread", storage.Description("video/mp4"))
    ada.send(GalleryState, "load")
    delete(ada, video_id)
    assert not exists(video_id)
    assert list(moto_s3.keys("videos/")) == []
    assert ada.sees(GalleryState).cards == []
    assert ada.sees(SessionState).notice == "“Bread” is deleted."
    assert ada.sees(DeleteDialogState).question == ""


def test_versions_kept_by_the_bucket_are_reported(
    ada: Tab, make: Make, moto_s3: storage.Storage, moto_server: str, configure: Configure
) -> None:
    moto_s3._s3.put_bucket_versioning(Bucket=moto_s3.bucket, VersioningConfiguration={"Status": "Enabled"})
    video_id = make(Status.READY)
    moto_s3.put(
        f"videos/{owner(video_id)}/{video_id}/1_bread.mp4", b"bread", storage.Description("video/mp4")
    )
    with s3_proxy(moto_server) as proxy:
        configure(AWS_ENDPOINT_URL_S3=proxy.url)
        proxy.behaviour = Denies(("DeleteVersion",), "no s3:DeleteObjectVersion")
        delete(ada, video_id)
    assert not exists(video_id)
    assert ada.sees(SessionState).notice == (
        "“Bread” is deleted. An earlier version of the deleted files stays in the bucket: S3 does not let VideoVault "
        "delete it."
    )


def test_failed_deletions_show_their_error(
    server: Server, person: Callable[[str], Person], make: Make, moto_s3: storage.Storage
) -> None:
    """A replaced file is left for an admin. Ada, the first user, is one; Bob is not."""
    bob = person("bob")
    owned = {"owner_id": bob.caller.user_id}
    gone = make(Status.FAILED, **owned)
    kept = make(Status.READY, "Rolls", s3_key="videos/rolls.mp4", **owned)
    moto_s3.put(
        "videos/rolls.mp4", b"cake", storage.Description("video/mp4", metadata={"videovault-tag": "guessed"})
    )
    tab = server.tab(bob.token, address="/gallery")
    tab.send(GalleryState, "load")
    delete(tab, gone, kept)
    [card] = tab.sees(GalleryState).cards
    assert (card.video_id, card.result_number) == (kept, 1)
    assert card.result.startswith("The stored file of this video was replaced")
    assert tab.sees(SessionState).notice == "1 of 2 videos could not be deleted. Their cards say why."
    assert not exists(gone)


def test_video_deleted_meanwhile_counts_as_deleted(ada: Tab, make: Make, moto_s3: storage.Storage) -> None:
    del moto_s3
    video_id = make(Status.FAILED)
    ada.send(DeleteDialogState, "ask", video_ids=[video_id])
    with transaction() as session:
        session.delete(session.get_one(Video, video_id))
    ada.send(DeleteDialogState, "delete")
    assert ada.sees(SessionState).notice == "“Bread” is deleted."


def test_another_users_video_cannot_be_selected_for_deletion(
    server: Server, person: Callable[[str], Person], make: Make
) -> None:
    video_id = make(Status.READY)
    bob = server.tab(person("bob").token, address="/gallery")
    bob.send(DeleteDialogState, "ask", video_ids=[video_id])
    assert bob.sees(SessionState).notice == "There is no such video."
    bob.send(DeleteDialogState, "delete")
    assert exists(video_id)


def test_number_of_videos_to_delete_is_limited(ada: Tab) -> None:
    ada.send(DeleteDialogState, "ask", video_ids=[f"video_{number}" for number in range(MAX_VIDEOS + 1)])
    assert ada.sees(SessionState).notice == "At most 1,000 videos can be deleted at once."


def delete(tab: Tab, *video_ids: str) -> None:
    tab.send(DeleteDialogState, "ask", video_ids=list(video_ids))
    tab.send(DeleteDialogState, "delete")


def owner(video_id: str) -> str:
    with reading() as session:
        return session.get_one(Video, video_id).owner_id


def exists(video_id: str) -> bool:
    with reading() as session:
        return session.get(Video, video_id) is not None
