"""Every difference between bucket and database is found, reported and repaired."""

import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest
from sqlmodel import select

from tests.services.conftest import Row
from tests.services.maintenance.reconcile.conftest import (
    FILM,
    MP4,
    Snapshot,
    Store,
    age_sidecar,
    begin_upload,
    change_object,
    cut_object,
    forget_row,
    key_of,
    leave_object,
    lose_folder,
    lose_object,
    lose_poster,
    lose_sidecar,
)
from tests.support.generator import Generator
from tests.support.s3_proxy import Behaviour, s3_proxy
from tests.support.stores import Denies
from tests.support.videos import set_columns
from videovault.db import reading
from videovault.errors import Conflict, Forbidden, StorageError
from videovault.gateways import storage
from videovault.gateways.storage import Description, Listed, Storage
from videovault.models import Event, Status, Video
from videovault.security import new_video_id
from videovault.services.core.access import Caller
from videovault.services.core.naming import folder
from videovault.services.maintenance import reconcile
from videovault.services.maintenance.reconcile import Kind, Progress, Report
from videovault.services.maintenance.reconcile.compare import BATCH
from videovault.services.transfer import pipeline
from videovault.services.videos import deletion, gallery, sidecar

pytestmark = pytest.mark.thorough

MANY = 50_000
NO_AGE = timedelta(seconds=-60)  # so that new objects count as old
LOST, KEPT = Status.FAILED, Status.READY
Damage = Callable[[Video], None]


def run(progress: Progress | None = None, *, repair: bool = False) -> Report:
    return reconcile.reconcile(repair=repair, min_age=NO_AGE, progress=progress)


def counts(report: Report) -> dict[Kind, int]:
    return {each.kind: each.count for each in report.found}


DAMAGES: dict[Callable[[Video], None], tuple[Kind, Status]] = {
    lose_object: (Kind.MISSING_OBJECT, LOST),
    lose_folder: (Kind.MISSING_OBJECT, LOST),
    cut_object: (Kind.WRONG_SIZE, LOST),
    change_object: (Kind.WRONG_CRC32, LOST),
    lose_sidecar: (Kind.SIDECAR, KEPT),
    age_sidecar: (Kind.SIDECAR, KEPT),
    leave_object: (Kind.ORPHAN, KEPT),
    begin_upload: (Kind.STRAY_UPLOAD, KEPT),
}


def test_no_differences_no_findings(store: Store, vault: Storage) -> None:
    store("One")
    store("Two")
    report = run()
    assert (report.found, report.left, report.videos) == ([], 0, 2)
    assert report.objects == len(list(vault.keys())) == 6
    assert report.bytes > 2 * len(FILM)


def test_each_difference_is_reported_and_repaired_only_on_request(
    store: Store, row: Row, snapshot: Snapshot
) -> None:
    sound = store("Sound")
    damaged = {damage: store(damage.__name__) for damage in DAMAGES}
    for damage, video in damaged.items():
        damage(video)
    before = snapshot()
    dry = run()
    expected = Counter(kind for kind, _ in DAMAGES.values())
    assert (counts(dry), dry.left) == (expected, len(DAMAGES))
    assert snapshot() == before
    mended = run(repair=True)
    assert (counts(mended), mended.left) == (expected, 0)
    assert all(each.mended for found in mended.found for each in found.examples)
    assert run().found == []
    assert {damage: row(video.id).status for damage, video in damaged.items()} == {
        damage: status for damage, (_, status) in DAMAGES.items()
    }
    assert row(sound.id).model_dump() == sound.model_dump()


def test_bytes_are_reported_per_class_and_example(store: Store) -> None:
    lost, cut = store("Lost"), store("Cut")
    lose_object(lost)
    cut_object(cut)
    gone, short = run().found
    assert (gone.bytes, gone.examples[0].name, gone.examples[0].detail) == (len(FILM), lost.id, "Lost")
    assert short.bytes == 5
    assert short.examples[0].detail == f"Cut: 5 bytes in S3, {len(FILM):,} when it was stored"


@pytest.mark.parametrize(
    ("damage", "code"), [(lose_object, "OBJECT_MISSING"), (change_object, "OBJECT_CHANGED")]
)
def test_video_without_its_object_fails_and_can_be_stored_again(
    store: Store, generator: Generator, row: Row, anna: Caller, damage: Damage, code: str
) -> None:
    video = store()
    set_columns(video.id, source_url=generator.video_url)
    damage(video)
    run(repair=True)
    view = gallery.get(anna, video.id)
    assert view.error
    assert view.error.code == code
    pipeline.retry(anna, video.id, enqueue=lambda one: pipeline.produce(one, stopping=lambda: False))
    assert row(video.id).status == Status.READY
    assert run().found == []


def test_missing_poster_is_only_reported(store: Store, row: Row) -> None:
    video = store()
    lose_poster(video)
    assert (counts(run()), run().left) == ({Kind.MISSING_POSTER: 1}, 1)
    assert run(repair=True).left == 0
    assert counts(run()) == {Kind.MISSING_POSTER: 1}
    assert row(video.id).status == Status.READY


def test_young_objects_are_reported_and_kept(store: Store, vault: Storage) -> None:
    video = store()
    leave_object(video)
    report = reconcile.reconcile(repair=True)
    assert (counts(report), report.left) == ({Kind.ORPHAN: 1}, 1)
    assert report.found[0].examples[0].detail == "too young to be judged"
    assert folder(video) + "1_older.mp4" in set(vault.keys())


@pytest.mark.parametrize("vault", ["embedded"], indirect=True)  # moto's uploads are all of the year 2010
def test_young_uploads_are_not_reported(store: Store, vault: Storage) -> None:
    begin_upload(store())
    assert reconcile.reconcile(repair=True).found == []
    assert len(list(vault.uploads())) == 1


def test_orphans_are_deleted_and_foreign_objects_ignored(store: Store, vault: Storage, anna: Caller) -> None:
    store()
    lost = f"videos/{anna.user_id}/{new_video_id()}/1_lost.mp4"
    others = ["transfers/one.mp4", "videos/holiday.mp4", "videos/holiday/2024/beach.mp4"]
    for key in (lost, *others):
        vault.put(key, b"moving", MP4)
    report = run(repair=True)
    assert [(each.name, each.bytes) for each in report.found[0].examples] == [(lost, 6)]
    assert set(others) <= set(vault.keys())
    assert lost not in set(vault.keys())
    vault.delete(others)


@pytest.mark.parametrize("status", [Status.GENERATING, Status.QUEUED, Status.STORING, Status.DELETING])
def test_video_in_processing_or_deletion_owns_its_whole_folder(
    store: Store, snapshot: Snapshot, status: Status
) -> None:
    video = store()
    leave_object(video)
    set_columns(video.id, status=status)
    before = snapshot()
    assert run(repair=True).found == []
    assert snapshot()[1:] == before[1:]


def test_failed_video_keeps_its_objects(store: Store, vault: Storage) -> None:
    video = store()
    set_columns(video.id, status=Status.FAILED)
    assert run(repair=True).found == []
    assert len(list(vault.keys(folder(video)))) == 3


def test_running_transfer_is_not_disturbed(
    generator: Generator, store: Store, anna: Caller, row: Row
) -> None:
    store()
    view = gallery.store_link(anna, generator.file("slow.mp4"), anna.email, enqueue=lambda _: None)
    work = Thread(target=pipeline.produce, args=(view.video_id,), kwargs={"stopping": lambda: False})
    work.start()
    while row(view.video_id).status != Status.STORING:
        work.join(0.05)
    assert run(repair=True).found == []
    generator.release.set()
    work.join(20)
    assert row(view.video_id).status == Status.READY
    assert run().found == []


def test_complete_video_without_a_row_is_never_deleted(store: Store, vault: Storage) -> None:
    store("Kept")
    video = store("Forgotten")
    forget_row(video.id)
    report = run(repair=True)
    assert (counts(report), report.left) == ({Kind.MISSING_ROW: 1}, 1)
    assert len(list(vault.keys(folder(video)))) == 3


def test_repair_refuses_an_empty_database_with_a_full_bucket(store: Store, snapshot: Snapshot) -> None:
    forget_row(store().id)
    before = snapshot()
    with pytest.raises(Conflict, match="--rebuild"):
        run(repair=True)
    assert snapshot() == before


def test_concurrent_repairs_repair_once(store: Store, row: Row) -> None:
    damaged = [store(f"Number {number}") for number in range(4)]
    for video, damage in zip(damaged, (lose_object, lose_sidecar, leave_object, cut_object), strict=True):
        damage(video)
    machines = [Thread(target=run, kwargs={"repair": True}) for _ in range(2)]
    for machine in machines:
        machine.start()
    for machine in machines:
        machine.join(60)
    assert run().found == []
    assert [row(video.id).status for video in damaged] == [LOST, KEPT, KEPT, LOST]
    with reading() as session:
        moves = [event for event in session.exec(select(Event)) if event.detail.get("to") == "failed"]
    assert len(moves) == 2


@pytest.mark.parametrize("vault", ["moto_s3"], indirect=True)
def test_swapped_object_is_reported_and_never_repaired(
    store: Store, vault: Storage, snapshot: Snapshot
) -> None:
    video, other = store("Mine"), store("Other")
    info = vault.info(key_of(other))
    assert info
    vault.put(key_of(video), FILM, Description("video/mp4", metadata=info.metadata))
    before = snapshot()
    report = run(repair=True)
    assert (counts(report), report.left) == ({Kind.WRONG_TAG: 1}, 1)
    assert report.found[0].examples[0].detail == "Mine: possibly swapped in S3"
    assert snapshot()[1] == before[1]
    assert counts(run()) == {Kind.WRONG_TAG: 1}


@pytest.mark.parametrize("vault", ["moto_s3"], indirect=True)
def test_row_whose_key_does_not_open_is_reported(store: Store) -> None:
    video, other = store("Mine"), store("Other")
    set_columns(video.id, sealed_key=other.sealed_key)
    (found,) = run(repair=True).found
    assert (found.kind, found.mended) == (Kind.WRONG_TAG, 0)
    assert "does not open" in found.examples[0].detail


@pytest.mark.parametrize("vault", ["moto_s3"], indirect=True)
def test_repair_that_s3_refuses_is_counted_as_left_and_comes_first_with_its_reason(
    store: Store, moto_server: str, configure: Callable[..., None]
) -> None:
    for title in ("One", "Two"):
        lose_sidecar(store(title))
    with s3_proxy(moto_server) as proxy:
        configure(AWS_ENDPOINT_URL_S3=proxy.url)
        proxy.refuse["PutObject"] = [(403, "AccessDenied")]
        report = run(repair=True)
        refused, mended = report.found[0].examples
        assert (refused.mended, "IAM permissions" in refused.why) == (False, True)
        assert (mended.mended, mended.why, report.left) == (True, "", 1)
        assert run(repair=True).left == 0
        proxy.refuse["HeadObject"] = [(403, "")] * 9
        with pytest.raises(StorageError, match="denied access"):
            run()


@pytest.mark.parametrize("vault", ["moto_s3"], indirect=True)
def test_only_the_first_examples_are_named_but_all_are_counted(
    store: Store, vault: Storage, anna: Caller
) -> None:
    store()
    for _ in range(25):
        vault.put(f"videos/{anna.user_id}/{new_video_id()}/1_lost.mp4", b"12345", MP4)
    (found,) = run().found
    assert (found.count, found.bytes, len(found.examples)) == (25, 125, 20)


def test_only_admins_can_reconcile(store: Store, anna: Caller, bert: Caller) -> None:
    lose_sidecar(store())
    with pytest.raises(Forbidden):
        reconcile.for_admin(bert)
    assert reconcile.for_admin(anna) == run()
    assert reconcile.for_admin(anna, repair=True).left == 0
    with reading() as session:
        event = session.exec(select(Event).where(Event.kind == "reconciled")).one()
    assert (event.actor_id, event.detail) == (anna.user_id, {"mended": {"sidecar": 1}, "left": 0})


@pytest.mark.parametrize("vault", ["moto_s3"], indirect=True)
def test_versions_of_deleted_files_are_found_deleted_and_never_rebuilt(
    store: Store, vault: Storage, moto_server: str, configure: Callable[..., None], anna: Caller
) -> None:
    vault._s3.put_bucket_versioning(Bucket=vault.bucket, VersioningConfiguration={"Status": "Enabled"})
    kept, gone = store("One"), store("Two")
    sidecar.write(kept.id)  # a second version, of a video that is there
    vault.put(folder(kept) + "1_older.mp4", b"older", MP4)
    with s3_proxy(moto_server) as proxy:
        configure(AWS_ENDPOINT_URL_S3=proxy.url)
        proxy.behaviour = Denies(("DeleteVersion",), "no s3:DeleteObjectVersion")
        assert deletion.delete(anna, gone.id)
        storage.connected().delete([folder(kept) + "1_older.mp4"])
        assert counts(run()) == {Kind.OLD_VERSION: 4}
        assert run(repair=True).left == 4
        assert reconcile.rebuild().rebuilt.count == 0
        proxy.behaviour = Behaviour()
        assert run(repair=True).left == 0
    assert run().found == []
    assert {each.key.rpartition("/")[0] + "/" for each in vault.versions("videos/")} == {folder(kept)}
    assert {each.key for each in vault.versions("videos/")} == set(vault.keys())


def test_progress_counts_comparisons_findings_and_repairs(store: Store) -> None:
    store("Sound")
    lose_sidecar(store("Damaged"))
    progress = Progress()
    run(progress)
    assert progress == Progress(objects=5, videos=2, total_videos=2, found=1)
    progress = Progress()
    run(progress, repair=True)
    assert (progress.found, progress.mended) == (1, 1)


def test_stopped_run_changes_nothing_further(store: Store, vault: Storage) -> None:
    leave_object(store())
    before = list(vault.keys())
    progress = Progress()
    progress.stop()
    report = run(progress, repair=True)
    assert (report.objects, report.found) == (0, [])
    assert list(vault.keys()) == before
    assert run(Progress()).left == 1


@pytest.mark.parametrize("vault", ["moto_s3"], indirect=True)
def test_large_bucket_takes_bounded_memory_and_reports_progress(
    vault: Storage, anna: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    del vault
    compared: list[int] = []
    progress = Progress()

    def listing(_vault: Storage, prefix: str = "") -> Iterator[Listed]:
        for number in range(MANY):
            compared.append(progress.objects)
            assert number - progress.objects <= 4 * BATCH + 1, "listed far ahead of what is compared"
            key = f"{prefix}{anna.user_id}/video_{1703123456789 + number // 4}_abc123def/{number}.mp4"
            yield Listed(key=key, size=1000, etag="", modified_at=datetime(2026, 1, 1, tzinfo=UTC))

    monkeypatch.setattr(Storage, "objects", listing)  # a real bucket of this size takes minutes to fill
    tracemalloc.start()
    report = run(progress)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (report.objects, report.left) == (MANY, MANY)
    assert len(report.found[0].examples) < 200
    assert peak < 20_000_000
    assert compared == sorted(compared)
    assert len(set(compared)) > 20
