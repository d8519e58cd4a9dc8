"""An object that was replaced in S3 is detected before it is shared or deleted, and never tagged as valid."""

import pytest
from sqlmodel import col, select
from structlog.testing import capture_logs

from tests.services.conftest import Row
from tests.support.generator import Generator
from tests.support.installation import Configure
from tests.support.s3_proxy import s3_proxy
from tests.support.stores import CopiesNothing
from tests.support.videos import store_video, swap_object
from videovault import security
from videovault.db import reading
from videovault.errors import ObjectSwapped, WrongSecretKey
from videovault.gateways.storage import Description, Storage
from videovault.models import Event, Status
from videovault.services import sharing
from videovault.services.admin.checks.object_store import PREFIX
from videovault.services.core import audit
from videovault.services.core.access import Caller
from videovault.services.maintenance import reconcile
from videovault.services.sharing import ShareCredentials
from videovault.services.videos import deletion, gallery, integrity
from videovault.services.videos.integrity import TAG, TagStatus

pytestmark = pytest.mark.usefixtures("fixed_probe")


@pytest.fixture
def video_id(generator: Generator, bert: Caller, moto_s3: Storage) -> str:
    """A stored video of Bert, who is no admin."""
    del moto_s3
    return store_video(bert, generator)


def kinds(video_id: str) -> list[str]:
    integrity_kinds = (audit.KEY_REPLACED, audit.TAGGED, audit.SWAPPED)
    with reading() as session:
        found = select(Event.kind).where(Event.video_id == video_id, col(Event.kind).in_(integrity_kinds))
        return list(session.exec(found.order_by(col(Event.id))))


def standing(row: Row, vault: Storage, video_id: str) -> TagStatus:
    video = row(video_id)
    return integrity.tag_status(video, vault.info(str(video.s3_key)))


def test_a_swapped_object_is_not_shared(video_id: str, bert: Caller, row: Row) -> None:
    key = sharing.get_secret_key(bert, video_id).secret_key
    swap_object(row(video_id))
    with capture_logs() as lines:
        for call in (sharing.open_page, sharing.download_url):
            with pytest.raises(WrongSecretKey):
                call(video_id, ShareCredentials(key))
    assert [line["log_level"] for line in lines if "was replaced" in line["event"]] == ["error"] * 2
    assert kinds(video_id) == [audit.SWAPPED]
    assert row(video_id).share_views == 0


@pytest.mark.parametrize("is_as_long", [True, False])
def test_without_tags_a_swapped_object_is_detected_by_its_bytes(
    generator: Generator, bert: Caller, own_embedded_s3: Storage, row: Row, *, is_as_long: bool
) -> None:
    video_id = store_video(bert, generator)
    key = sharing.get_secret_key(bert, video_id).secret_key
    assert sharing.open_page(video_id, ShareCredentials(key)).title
    s3_key = str(row(video_id).s3_key)
    content = own_embedded_s3.read(s3_key, row(video_id).size or 0)
    assert content
    other = content[:-1] + bytes([content[-1] ^ 1] if is_as_long else [])
    own_embedded_s3.put(s3_key, other, Description("video/mp4"))
    with pytest.raises(WrongSecretKey):
        sharing.open_page(video_id, ShareCredentials(key))
    with pytest.raises(ObjectSwapped):
        deletion.delete(bert, video_id)
    assert kinds(video_id) == [audit.SWAPPED]


def test_a_swapped_object_is_deleted_by_an_admin_only(
    video_id: str, anna: Caller, bert: Caller, row: Row, moto_s3: Storage
) -> None:
    swap_object(row(video_id))
    with pytest.raises(ObjectSwapped, match="admin"):
        deletion.delete(bert, video_id)
    assert row(video_id).status == Status.READY
    assert kinds(video_id) == [audit.SWAPPED]
    deletion.delete(anna, video_id)
    assert list(moto_s3.keys()) == []


def test_a_new_key_tags_the_object_again(video_id: str, bert: Caller, row: Row, moto_s3: Storage) -> None:
    fresh = sharing.rotate_key(bert, video_id).secret_key
    info = moto_s3.info(str(row(video_id).s3_key))
    assert info
    assert info.metadata[TAG] == security.integrity_tag(fresh, str(row(video_id).s3_key))
    assert kinds(video_id) == [audit.KEY_REPLACED, audit.TAGGED]
    assert reconcile.reconcile(repair=False).found == []


def test_a_new_key_does_not_make_a_swapped_object_valid(
    video_id: str, bert: Caller, row: Row, moto_s3: Storage
) -> None:
    swap_object(row(video_id))
    fresh = sharing.rotate_key(bert, video_id).secret_key
    assert gallery.get_stored(bert, video_id).secret_key == fresh
    assert standing(row, moto_s3, video_id) == TagStatus.WRONG
    reconcile.reconcile(repair=True)
    assert standing(row, moto_s3, video_id) == TagStatus.WRONG
    assert kinds(video_id) == [audit.KEY_REPLACED, audit.SWAPPED]


def test_if_tagging_fails_the_new_link_works_and_the_next_repair_tags(
    video_id: str, bert: Caller, row: Row, moto_s3: Storage, moto_server: str, configure: Configure
) -> None:
    with s3_proxy(moto_server) as proxy:
        configure(AWS_ENDPOINT_URL_S3=proxy.url)
        proxy.behaviour = CopiesNothing(but=PREFIX)  # as S3 does beyond 5 GiB
        fresh = sharing.rotate_key(bert, video_id).secret_key
    configure(AWS_ENDPOINT_URL_S3=moto_server)
    assert standing(row, moto_s3, video_id) == TagStatus.UNKNOWN
    assert sharing.open_page(video_id, ShareCredentials(fresh)).title == "Launch"
    assert reconcile.reconcile(repair=True).left == 0
    assert standing(row, moto_s3, video_id) == TagStatus.RIGHT


def test_an_unreachable_s3_does_not_block_revoking_a_link(
    video_id: str, bert: Caller, configure: Configure
) -> None:
    old = sharing.get_secret_key(bert, video_id).secret_key
    configure(AWS_ENDPOINT_URL_S3="http://127.0.0.1:9", S3_RETRY_SECONDS=0)  # nothing listens there
    fresh = sharing.rotate_key(bert, video_id).secret_key
    assert fresh != old
    with pytest.raises(WrongSecretKey):
        sharing.poster_url(video_id, ShareCredentials(old))


def test_after_two_key_changes_the_tag_is_of_the_last_one(
    video_id: str, bert: Caller, row: Row, moto_s3: Storage
) -> None:
    """The first tagging ends last: it finds that its key is outdated, and tags again."""
    stale = row(video_id)
    sharing.rotate_key(bert, video_id)
    assert integrity.tag(stale)
    assert standing(row, moto_s3, video_id) == TagStatus.RIGHT
