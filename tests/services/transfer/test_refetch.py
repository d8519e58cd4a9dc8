"""URLs that do not return the video: fetched again if a generator reported them, stored, shown and changed."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlmodel import select

from tests.services.conftest import Row
from tests.support.misbehaving_server import MisbehavingServer, ServerBehaviour
from tests.support.s3_proxy import S3Proxy
from tests.support.videos import ignore_job, insert_video, is_storage_empty, never, set_columns
from videovault.clock import read_db_now, utcnow
from videovault.db import reading, transaction
from videovault.errors import Conflict, Forbidden, InvalidInput, UnsafeUrl, VideoNotFound
from videovault.models import Event, Status, Video
from videovault.services.core import fields
from videovault.services.core.access import Caller
from videovault.services.generation import callbacks
from videovault.services.generation.callbacks import Report
from videovault.services.maintenance import repair
from videovault.services.transfer import pipeline, scheduler
from videovault.services.transfer.store import MAX_REFUSED
from videovault.services.videos import gallery

pytestmark = [pytest.mark.thorough, pytest.mark.usefixtures("unprobed")]

PATH = "/video.mp4"
GOOD = ServerBehaviour(size=5000)
PRESIGNED = "https://films.example/a b/cafe\u0301.mp4?X-Amz-Security-Token="


def refusing(status: int) -> ServerBehaviour:
    return ServerBehaviour(status=status, body=b"not now")


def generated(owner: Caller, url: str, status: Status = Status.QUEUED) -> str:
    """A video whose generator has reported its URL."""
    key = f"videos/{owner.user_id}/x/1_video.mp4"
    return insert_video(owner, status, hook="Look", requested_at=utcnow(), source_url=url, s3_key=key)


def due(video_id: str, since: timedelta = timedelta()) -> None:
    """Make the next fetch due, ``since`` after the first one."""
    with transaction() as session:
        video = session.get_one(Video, video_id)
        at = read_db_now(session)
        assert video.refused_since
        assert video.next_fetch_at
        assert at < video.next_fetch_at <= at + MAX_REFUSED
        video.next_fetch_at = at - timedelta(seconds=1)
        video.refused_since = at - since


@pytest.mark.usefixtures("proxy")
@pytest.mark.parametrize("status", [403, 404, 409, 425])
def test_a_finished_video_is_fetched_once_it_appears(
    anna: Caller, server: MisbehavingServer, row: Row, status: int
) -> None:
    video_id = generated(anna, server.serve(PATH, refusing(status)))
    pipeline.produce(video_id, stopping=never)
    found = row(video_id)
    assert (found.status, found.heartbeat_at, found.reserved_bytes) == (Status.QUEUED, None, 0)
    progress = gallery.get(anna, video_id).progress
    assert progress
    assert (progress.waits_for_file, "ten minutes" in (progress.note or "")) == (True, True)
    server.serve(PATH, GOOD)
    pipeline.produce(video_id, stopping=never)  # not before it is due
    assert (row(video_id).status, len(server.seen(PATH))) == (Status.QUEUED, 1)
    due(video_id)
    set_columns(video_id, updated_at=utcnow() - scheduler.STRANDED_AFTER)
    enqueued: list[str] = []
    repair.repair(enqueue=enqueued.append)  # as the worker does periodically
    assert enqueued == [video_id]
    pipeline.produce(video_id, stopping=never)
    found = row(video_id)
    assert (found.status, found.refused_since, found.next_fetch_at) == (Status.READY, None, None)


@pytest.mark.usefixtures("proxy")
def test_other_videos_are_stored_meanwhile(anna: Caller, server: MisbehavingServer, row: Row) -> None:
    waiting = generated(anna, server.serve("/late.mp4", refusing(404)))
    pipeline.produce(waiting, stopping=never)
    other = gallery.store_link(anna, server.serve(PATH, GOOD), anna.email, enqueue=ignore_job).video_id
    pipeline.produce(other, stopping=never)
    assert (row(waiting).status, row(other).status) == (Status.QUEUED, Status.READY)


@pytest.mark.usefixtures("proxy")
def test_after_ten_minutes_it_fails_and_its_url_is_kept(
    anna: Caller, server: MisbehavingServer, row: Row
) -> None:
    url = server.serve(PATH, refusing(403))
    video_id = generated(anna, url)
    pipeline.produce(video_id, stopping=never)
    due(video_id, MAX_REFUSED - timedelta(seconds=30))
    pipeline.produce(video_id, stopping=never)
    assert row(video_id).status == Status.QUEUED
    due(video_id, MAX_REFUSED)
    pipeline.produce(video_id, stopping=never)
    found = row(video_id)
    assert (found.status, found.error_code, found.source_url) == (Status.FAILED, "SOURCE_FAILED", url)
    assert "HTTP 403" in str(found.error_message)
    assert "for 10 minutes" in str(found.error_message)
    view = gallery.get(anna, video_id)
    assert (view.retry, view.retries) == ("transfer", ("transfer", "generation"))
    assert is_storage_empty()
    server.serve(PATH, GOOD)
    pipeline.retry(anna, video_id, enqueue=lambda one: pipeline.produce(one, stopping=never))
    assert row(video_id).status == Status.READY


@pytest.mark.usefixtures("proxy")
@pytest.mark.parametrize("status", [401, 410, 400])
def test_a_permanent_refusal_fails_at_once(
    anna: Caller, server: MisbehavingServer, row: Row, status: int
) -> None:
    url = server.serve(PATH, refusing(status))
    video_id = generated(anna, url)
    pipeline.produce(video_id, stopping=never)
    assert (row(video_id).status, row(video_id).source_url) == (Status.FAILED, url)


@pytest.mark.usefixtures("proxy")
@pytest.mark.parametrize("status", [403, 404, 425])
def test_an_import_fails_at_once(anna: Caller, server: MisbehavingServer, row: Row, status: int) -> None:
    url = server.serve(PATH, refusing(status))
    video_id = gallery.store_link(anna, url, anna.email, enqueue=ignore_job).video_id
    pipeline.produce(video_id, stopping=never)
    assert (row(video_id).status, gallery.get(anna, video_id).retries) == (Status.FAILED, ("transfer",))


@pytest.mark.usefixtures("proxy")
def test_a_report_with_another_url_is_accepted_while_the_first_is_refused(
    anna: Caller, server: MisbehavingServer, row: Row
) -> None:
    video_id = generated(anna, server.serve("/late.mp4", refusing(404)))
    pipeline.produce(video_id, stopping=never)
    generator = callbacks.signed_generator_caller(video_id)
    report = Report(anna.user_id, video_id, "ready", server.serve(PATH, GOOD))
    assert callbacks.apply(generator, report, enqueue=ignore_job).changed
    assert not callbacks.apply(generator, report, enqueue=ignore_job).changed
    pipeline.produce(video_id, stopping=never)
    assert row(video_id).status == Status.READY


@pytest.mark.usefixtures("proxy")
def test_only_the_owner_and_admins_see_the_url(anna: Caller, bert: Caller, server: MisbehavingServer) -> None:
    url = server.serve(PATH, refusing(403)) + "?X-Amz-Signature=secret"
    video_id = gallery.store_link(bert, url, bert.email, enqueue=ignore_job).video_id
    with pytest.raises(Conflict):
        pipeline.reveal_source_url(bert, video_id)
    pipeline.produce(video_id, stopping=never)
    assert anna.is_admin
    for caller in (bert, anna):
        shown = pipeline.reveal_source_url(caller, video_id)
        assert (shown.video_url, "secret" in repr(shown)) == (url, False)
    with reading() as session:
        read = session.exec(select(Event).where(Event.kind == "source_read")).all()
    assert [(event.actor_id, event.video_id) for event in read] == [(anna.user_id, video_id)]
    assert "secret" not in repr(gallery.list_videos(bert, bert.user_id))
    with pytest.raises(Forbidden):
        pipeline.reveal_source_url(replace(bert, may_write=False), video_id)
    with pytest.raises(VideoNotFound):
        pipeline.reveal_source_url(replace(bert, is_generator=True), video_id)
    foreign = insert_video(anna, Status.FAILED, source_url=url)
    for act in (
        lambda: pipeline.reveal_source_url(bert, foreign),
        lambda: pipeline.fetch_from_url(bert, foreign, url, enqueue=ignore_job),
    ):
        with pytest.raises(VideoNotFound):
            act()


@pytest.mark.usefixtures("proxy")
def test_a_changed_url_is_fetched(anna: Caller, server: MisbehavingServer, row: Row) -> None:
    video_id = gallery.store_link(
        anna, server.serve("/typo.mp4", refusing(404)), anna.email, enqueue=ignore_job
    ).video_id
    with pytest.raises(Conflict):
        pipeline.fetch_from_url(anna, video_id, server.origin + PATH, enqueue=ignore_job)
    pipeline.produce(video_id, stopping=never)
    url = server.serve("/the%20right%20one.mp4", GOOD)
    for wrong, refusal in (("", InvalidInput), ("ftp://x", UnsafeUrl), ("http://127.0.0.1:1/", UnsafeUrl)):
        with pytest.raises(refusal):
            pipeline.fetch_from_url(anna, video_id, wrong, enqueue=ignore_job)
    view = pipeline.fetch_from_url(
        anna, video_id, url, enqueue=lambda one: pipeline.produce(one, stopping=never)
    )
    assert (view.status, view.title) == ("processing", "the right one")
    assert (row(video_id).status, row(video_id).source_url) == (Status.READY, url)


def test_the_same_url_resumes_the_transfer(
    anna: Caller, proxy: S3Proxy, server: MisbehavingServer, row: Row
) -> None:
    del proxy
    url = server.serve(PATH, GOOD)
    video_id = insert_video(
        anna, Status.FAILED, source_url=url, s3_key="videos/a/b/1_c.mp4", upload_id="kept"
    )
    pipeline.fetch_from_url(anna, video_id, f" {url} ", enqueue=ignore_job)
    assert (row(video_id).upload_id, row(video_id).s3_key) == ("kept", "videos/a/b/1_c.mp4")


@pytest.mark.usefixtures("generator")
def test_generating_again_must_be_requested(anna: Caller, row: Row) -> None:
    imported = insert_video(anna, Status.FAILED, source_url="https://films.example/a.mp4")
    with pytest.raises(Conflict, match="stored from a link"):
        pipeline.retry(anna, imported, "generation", enqueue=ignore_job)
    unmade = insert_video(anna, Status.FAILED, hook="Look")
    with pytest.raises(Conflict, match="no address"):
        pipeline.retry(anna, unmade, "transfer", enqueue=ignore_job)
    made = generated(anna, "https://films.example/a.mp4", Status.FAILED)
    pipeline.retry(anna, made, "generation", enqueue=ignore_job)
    assert (row(made).status, row(made).source_url) == (Status.GENERATING, None)


def test_without_url_and_script_a_video_needs_a_url(anna: Caller, row: Row) -> None:
    """For example a rebuilt row whose file is lost: the generator would receive an empty script."""
    lost = insert_video(anna, Status.FAILED)
    assert gallery.get(anna, lost).retries is None
    with pytest.raises(Conflict, match="address"):
        pipeline.retry(anna, lost, enqueue=ignore_job)
    assert row(lost).status == Status.FAILED


@pytest.mark.usefixtures("database")
def test_a_url_is_stored_unchanged_on_every_database(anna: Caller, row: Row) -> None:
    """A presigned URL of 2,600 characters was truncated to 2,000, and decomposed letters were changed."""
    for length in (2_600, 16 * 1024):
        url = PRESIGNED.replace("https://films.example", "http://93.184.216.34")
        url += "x" * (length - len(url.encode()))
        video_id = gallery.store_link(anna, url, anna.email, enqueue=ignore_job).video_id
        assert row(video_id).source_url == url
        waiting = insert_video(anna, Status.GENERATING, requested_at=utcnow(), hook="Look")
        report = Report(anna.user_id, waiting, "ready", url)
        assert callbacks.apply(callbacks.signed_generator_caller(waiting), report, enqueue=ignore_job).changed
        with reading() as session:
            video = session.get_one(Video, waiting)
            assert video.source_url == url
    with pytest.raises(InvalidInput) as refusal:
        gallery.store_link(anna, url + "x", anna.email, enqueue=ignore_job)
    assert "16 KiB" in refusal.value.fields["videoUrl"]


def test_a_url_that_no_database_can_store_is_refused() -> None:
    for wrong in ("https://films.example/\0", "https://films.example/\ud800", "https://films.example/\x1b"):
        with pytest.raises(InvalidInput) as refusal:
            fields.validate_url(wrong)
        assert "cannot be shown" in refusal.value.fields["videoUrl"]


NAMED = {"Content-Disposition": "attachment; filename*=UTF-8''Unsere%20B%C3%A4ckerei.final.mp4"}


@pytest.mark.usefixtures("proxy")
@pytest.mark.parametrize(
    ("headers", "given", "renamed", "title"),
    [
        (NAMED, "", "", "Unsere B\u00e4ckerei.final"),
        (NAMED, "My own", "", "My own"),
        (NAMED, "", "Changed meanwhile", "Changed meanwhile"),
        ({}, "", "", "video"),
        ({"Content-Disposition": 'attachment; filename="///.mp4"'}, "", "", "video"),
    ],
)
def test_the_source_names_the_video_unless_a_user_has(
    anna: Caller,
    server: MisbehavingServer,
    row: Row,
    headers: dict[str, str],
    given: str,
    renamed: str,
    title: str,
) -> None:
    url = server.serve(PATH, ServerBehaviour(size=5000, headers=headers))
    video_id = gallery.store_link(anna, url, anna.email, given, enqueue=ignore_job).video_id
    if renamed:
        gallery.rename(anna, video_id, renamed)
    pipeline.produce(video_id, stopping=never)
    assert (row(video_id).status, row(video_id).title) == (Status.READY, title)
