"""Playable copies: which videos get one, and that no failure affects the original."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from threading import Event as Signal
from threading import Thread
from typing import BinaryIO

import httpx
import pytest
from sqlmodel import select

from tests.services.conftest import Queued, Row
from tests.support.films import KINDS, film, of_a_kind
from tests.support.installation import ROOT, Configure
from tests.support.misbehaving_server import MIB, MisbehavingServer, ServerBehaviour
from tests.support.s3_proxy import Behaviour, Refusal, Request, S3Proxy
from tests.support.videos import is_storage_empty, never
from tests.support.waiting import HANG_SECONDS, eventually
from videovault.db import reading, transaction
from videovault.errors import Conflict, VideoNotFound
from videovault.gateways import media, object_reader, storage
from videovault.gateways.container import SNIFF_BYTES, detect_container
from videovault.gateways.media import Limits, ProbeResult, Recipe, SourceVideo
from videovault.gateways.storage import Description
from videovault.models import CopyState, Event, Playback, Status, User, Video
from videovault.services import sharing
from videovault.services.core import quota
from videovault.services.core.access import Caller
from videovault.services.core.naming import folder, is_copy_key
from videovault.services.core.views import MEASURED_FIELDS
from videovault.services.generation import orders
from videovault.services.maintenance.reconcile.rebuild import rebuild
from videovault.services.maintenance.reconcile.runner import reconcile
from videovault.services.sharing import ShareCredentials
from videovault.services.transfer import cleanup, pipeline, playable_copy, scheduler
from videovault.services.transfer import store as transfer_store
from videovault.services.videos import deletion, gallery, sidecar

pytestmark = pytest.mark.thorough
HEVC = "HEVC in MP4"
CODECS = {
    "H.264": "h264",
    "WebM": "vp8",
    "MPEG-2": "mpeg2video",
    "MPEG-4": "mpeg4",
}  # others have the kind's name
PROBE, CONVERT = media.probe_video, media.convert
_probed: dict[bytes, ProbeResult | None] = {}
_converted: dict[tuple[bytes, Recipe], bytes] = {}
Stored = Callable[[str], str]


@dataclass
class Away(Behaviour):
    """A store that refuses reads and HEAD requests."""

    methods: Collection[str] = ("GET", "HEAD")

    def refuse(self, request: Request) -> Refusal | None:
        return (503, "SlowDown") if request.method in self.methods else None


@pytest.fixture
def stored(queued: Queued, row: Row) -> Stored:
    """The id of a ready video of this kind, without a copy."""

    def store(kind: str) -> str:
        video_id = queued(ServerBehaviour(body=of_a_kind(kind)))
        pipeline.produce(video_id, stopping=never)
        assert row(video_id).status == Status.READY, row(video_id).error_message
        return video_id

    return store


@pytest.fixture
def remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probe and convert each file only once in this module, for tests of what happens before and after."""

    def probe_video(url: str, container: str) -> ProbeResult | None:
        content = httpx.get(url).content
        if content not in _probed:
            _probed[content] = PROBE(url, container)
        return _probed[content]

    def convert(
        original: SourceVideo, recipe: Recipe, into: BinaryIO, limits: Limits, check: Callable[[], object]
    ) -> int:
        check()
        made = (httpx.get(original.url).content, recipe)
        if made not in _converted:
            size = CONVERT(original, recipe, into, limits, check)
            _converted[made] = os.pread(into.fileno(), size, 0)
        return os.pwrite(into.fileno(), _converted[made], 0)

    monkeypatch.setattr(media, "probe_video", probe_video)
    monkeypatch.setattr(media, "convert", convert)


@pytest.fixture
def video_id(remembered: None, stored: Stored) -> str:
    """A ready HEVC video without a copy."""
    del remembered
    return stored(HEVC)


def copies_of(video: Video) -> list[str]:
    return [key for key in storage.connected().keys(folder(video)) if is_copy_key(key)]


def events(kind: str) -> list[Event]:
    with reading() as session:
        return list(session.exec(select(Event).where(Event.kind == kind)))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_recognized_and_its_copy_plays_everywhere(kind: str, server: MisbehavingServer) -> None:
    wanted, container = KINDS[kind], detect_container(of_a_kind(kind)[:SNIFF_BYTES])
    url = server.serve("/video", ServerBehaviour(body=of_a_kind(kind)))
    original = media.probe_video(url, container)
    assert original
    assert original.poster
    name = kind.split(maxsplit=1)[0]
    assert original.video_codec == CODECS.get(name, name.lower())
    plays = playable_copy.playback_for(container, original)
    assert (plays, original.is_complete) == (wanted.plays, None if kind.endswith("TS") else True)
    assert original.duration == pytest.approx(2, abs=0.3)
    if wanted.copied is None:
        assert playable_copy.initial_state(plays) is None
        return
    recipe = playable_copy.recipes(container, original)[0]
    video = SourceVideo(url, container, original.duration, original.rotation or 0)
    with tempfile.TemporaryFile() as file:
        size = media.convert(video, recipe, file, Limits(60, 100 * MIB), lambda: None)
        copy = os.pread(file.fileno(), size, 0)
    seen = media.probe_video(server.serve("/copy", ServerBehaviour(body=copy)), recipe.container)
    assert seen
    assert playable_copy.playback_for(recipe.container, seen) == Playback.EVERYWHERE
    assert (recipe.container, seen.video_codec, seen.audio_codec) == wanted.copied
    assert (seen.width, seen.height, seen.is_complete) == (original.width, original.height, True)
    assert seen.duration == pytest.approx(2, abs=0.2)
    if recipe.container == "mp4":
        assert copy.index(b"moov") < copy.index(b"mdat")
        assert (seen.pixel_format, seen.bit_depth) == ("yuv420p", 8)


@pytest.mark.parametrize(("kind", "container"), [(HEVC, "mp4"), ("VP9 and AAC in MKV", "webm")])
def test_owner_plays_the_copy_and_downloads_the_original(
    kind: str, container: str, stored: Stored, row: Row, anna: Caller
) -> None:
    video_id = stored(kind)
    assert playable_copy.make_next(stopping=never) == "made"
    video = row(video_id)
    assert (video.copy_state, video.copy_error, video.copy_format) == ("ready", None, container)
    assert copies_of(video) == [video.copy_key]
    played = httpx.get(gallery.download_url(anna, video.id, inline=True))
    assert len(played.content) == video.copy_size
    assert played.headers["content-type"] == f"video/{video.copy_format}"
    assert httpx.get(gallery.download_url(anna, video.id)).content == of_a_kind(kind)


def test_video_that_plays_everywhere_gets_no_copy(stored: Stored, row: Row) -> None:
    video = row(stored("H.264 and AAC in MP4"))
    assert (video.playback, playable_copy.make_next(stopping=never)) == (Playback.EVERYWHERE, "nothing to do")
    assert (video.copy_state, copies_of(video)) == (None, [])


def test_measurements_are_in_row_view_and_sidecar(stored: Stored, row: Row, anna: Caller) -> None:
    video_id = stored("HEVC in MOV, upright")
    view = gallery.get(anna, video_id, links=False)
    assert view.metadata
    shown = view.metadata.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert shown | {"size": 0, "crc32": ""} == {
        "videoCodec": "hevc",
        "videoProfile": "Main",
        "videoLevel": 30,
        "pixelFormat": "yuv420p",
        "bitDepth": 8,
        "rotation": 90,
        "frameRate": 10.0,
        "isComplete": True,
        "playback": "limited",
        "duration": 2.0,
        "size": 0,
        "format": "mov",
        "width": 90,
        "height": 160,
        "crc32": "",
    }
    assert view.playable_copy
    assert view.playable_copy.state == "due"
    kept = sidecar.read(folder(row(video_id)))
    assert kept
    assert kept.metadata.model_dump(exclude={"etag"}) == view.metadata.model_dump(exclude_none=True)
    assert kept.playable_copy is None


def test_a_truncated_file_is_refused_and_leaves_nothing(queued: Queued, row: Row) -> None:
    video_id = queued(ServerBehaviour(body=film()[:-100]))
    pipeline.produce(video_id, stopping=never)
    found = row(video_id)
    assert (found.status, found.error_code) == (Status.FAILED, "SOURCE_FAILED")
    assert found.error_message == "The file is not complete."
    assert is_storage_empty()


@pytest.mark.parametrize("is_completed_later", [True, False])
def test_an_incomplete_generated_file_is_fetched_again(
    is_completed_later: bool,
    generating: Callable[[], Video],
    server: MisbehavingServer,
    proxy: S3Proxy,
    row: Row,
) -> None:
    """The generator may still be writing it."""
    del proxy
    video, whole = generating(), film(audio="aac")
    url = server.serve("/made.mp4", ServerBehaviour(body=whole[:-100], etag=None))
    with transaction() as session:
        ordered = session.get_one(Video, video.id)
        ordered.requested_at = ordered.created_at
        orders.accept_url(session, ordered, url, why="the webhook answered", by="generator")
    claimed = scheduler.claim()
    assert claimed

    def pauses() -> Iterator[float]:
        yield 0.0
        if is_completed_later:
            server.serve("/made.mp4", ServerBehaviour(body=whole, etag=None))
        yield 0.0

    transfer_store.store(claimed, stopping=never, refetch_after=pauses())
    found = row(video.id)
    if is_completed_later:
        assert (found.status, found.size) == (Status.READY, len(whole))
    else:
        assert (found.status, found.error_message) == (Status.FAILED, "The file is not complete.")
        assert found.source_url == url  # "Fetch again" comes before "Generate again"
        assert len(server.seen("/made.mp4")) >= 3
        assert is_storage_empty()


def test_audio_alone_is_not_a_video(queued: Queued, row: Row) -> None:
    video_id = queued(ServerBehaviour(body=film(codec=None, audio="aac")))
    pipeline.produce(video_id, stopping=never)
    assert row(video_id).status == Status.FAILED
    assert "no picture" in (row(video_id).error_message or "")
    assert is_storage_empty()


def test_sidecars_of_earlier_versions_stay_unchanged(stored: Stored, row: Row) -> None:
    """Otherwise all of them would count as outdated."""
    video = row(stored("H.264 and AAC in MP4"))
    for name in (*MEASURED_FIELDS, "copy_state"):
        setattr(video, name, None)
    with reading() as session:
        owner = session.get_one(User, video.owner_id)
    content = sidecar.Sidecar.of(video, owner).content().decode()
    assert "null" not in content
    assert not any(word in content for word in ("Codec", "playback", "playableCopy", "rotation"))


def test_a_visitor_plays_the_copy_unless_it_was_replaced(video_id: str, row: Row, anna: Caller) -> None:
    playable_copy.make_next(stopping=never)
    video, visit = row(video_id), ShareCredentials(sharing.get_secret_key(anna, video_id).secret_key)
    played = httpx.get(sharing.download_url(video_id, visit, inline=True))
    assert len(played.content) == video.copy_size
    assert httpx.get(sharing.download_url(video_id, visit)).content == of_a_kind(HEVC)
    storage.connected().put(str(video.copy_key), b"something else", Description("video/mp4"))
    played = httpx.get(sharing.download_url(video_id, visit, inline=True))
    assert played.content == of_a_kind(HEVC)


def test_a_copy_counts_towards_the_quota_and_is_deleted_with_its_video(
    video_id: str, row: Row, anna: Caller
) -> None:
    playable_copy.make_next(stopping=never)
    video = row(video_id)
    with reading() as session:
        assert quota.used(session, anna.user_id) == (video.size or 0) + (video.copy_size or 0)
    deletion.delete(anna, video_id)
    assert is_storage_empty()


def test_no_copy_is_made_where_copies_are_switched_off(
    video_id: str, row: Row, anna: Caller, configure: Configure
) -> None:
    configure(PLAYABLE_COPIES="off")
    assert playable_copy.make_next(stopping=never) == "nothing to do"
    assert (row(video_id).copy_state, gallery.get(anna, video_id).playable_copy) == ("due", None)


def test_a_full_account_gets_no_copy_and_a_reason(
    video_id: str, row: Row, anna: Caller, configure: Configure
) -> None:
    configure(DEFAULT_QUOTA_BYTES=(row(video_id).size or 0) + 1000)
    assert playable_copy.make_next(stopping=never) == "not made"
    assert row(video_id).copy_state == "failed"
    shown = gallery.get(anna, video_id).playable_copy
    assert shown
    assert shown.error
    visit = ShareCredentials(sharing.get_secret_key(anna, video_id).secret_key)
    shared = sharing.open_page(video_id, visit).playable_copy  # without account details
    assert shared == shown.model_copy(update={"error": None})
    assert copies_of(row(video_id)) == []


def test_a_failed_copy_is_retried_by_its_owner(
    video_id: str, row: Row, anna: Caller, bert: Caller, configure: Configure
) -> None:
    with pytest.raises(Conflict, match="needs no playable copy"):
        pipeline.retry(anna, video_id, "copy", enqueue=list)
    configure(DEFAULT_QUOTA_BYTES=(row(video_id).size or 0) + 1000)
    playable_copy.make_next(stopping=never)
    assert gallery.get(anna, video_id).retries == ("copy",)
    with pytest.raises(Conflict, match="Only a video that failed"):
        pipeline.retry(anna, video_id, "transfer", enqueue=list)
    with pytest.raises(VideoNotFound):
        pipeline.retry(replace(bert, is_admin=False), video_id, enqueue=list)
    configure(DEFAULT_QUOTA_BYTES=0)
    view = pipeline.retry(anna, video_id, enqueue=list)
    assert (view.status, view.playable_copy and view.playable_copy.state) == ("ready", "due")
    assert [event.actor_id for event in events("copy_retried")] == [anna.user_id]
    assert playable_copy.make_next(stopping=never) == "made"
    assert gallery.get(anna, video_id).retries is None


def test_an_unavailable_store_only_delays_the_copy(
    stored: Stored, row: Row, proxy: S3Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_reader, "OUTAGE_SECONDS", 0.1)
    video_id = stored(HEVC)
    proxy.behaviour = Away()
    for _ in range(playable_copy.MAX_ATTEMPTS + 1):
        assert playable_copy.make_next(stopping=never) == "not made"
        assert (row(video_id).copy_state, row(video_id).copy_tries) == ("making", 0)
        with transaction() as session:
            session.get_one(Video, video_id).heartbeat_at = row(video_id).created_at - timedelta(hours=1)
    proxy.behaviour = Behaviour()
    assert playable_copy.make_next(stopping=never) == "made"


def test_a_copy_of_an_unreadable_object_fails_after_some_attempts(
    stored: Stored, row: Row, proxy: S3Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_reader, "OUTAGE_SECONDS", 0.1)
    video_id = stored(HEVC)
    proxy.behaviour = Away({"GET"})
    for tries in range(playable_copy.MAX_ATTEMPTS):
        assert (playable_copy.make_next(stopping=never), row(video_id).copy_tries) == ("not made", tries + 1)
        with transaction() as session:
            session.get_one(Video, video_id).heartbeat_at = row(video_id).created_at - timedelta(hours=1)
    assert playable_copy.make_next(stopping=never) == "nothing to do"
    assert row(video_id).copy_state == "failed"


def test_the_next_worker_makes_a_dead_workers_copy_and_deletes_its_leftovers(video_id: str, row: Row) -> None:
    leftover = f"{folder(row(video_id))}playable_1.mp4"
    storage.connected().put(leftover, b"half of it", Description("video/mp4"))
    with transaction() as session:
        video = session.get_one(Video, video_id)
        video.copy_state, video.copy_claim, video.copy_tries = CopyState.MAKING, "dead", 1
        video.copy_key, video.heartbeat_at = leftover, video.created_at - timedelta(hours=1)
    assert playable_copy.make_next(stopping=never) == "made"
    assert copies_of(row(video_id)) == [row(video_id).copy_key] != [leftover]


def test_a_worker_killed_while_converting_only_delays_the_copy(stored: Stored, row: Row) -> None:
    video_id = stored(HEVC)
    code = "from videovault.services.transfer import playable_copy as copy; copy.make_next(stopping=lambda: False)"
    with subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}) as child:
        eventually(lambda: row(video_id).copy_state in (CopyState.MAKING, CopyState.READY))
        child.send_signal(signal.SIGKILL)
    with transaction() as session:
        session.get_one(Video, video_id).heartbeat_at = row(video_id).created_at - timedelta(hours=1)
    playable_copy.make_next(stopping=never)
    assert row(video_id).copy_state == "ready"
    assert copies_of(row(video_id)) == [row(video_id).copy_key]


def test_a_file_that_crashes_every_worker_fails(video_id: str, row: Row) -> None:
    with transaction() as session:
        video = session.get_one(Video, video_id)
        video.copy_state, video.copy_tries = CopyState.MAKING, playable_copy.MAX_ATTEMPTS
        video.copy_key = f"{folder(video)}playable_1.mp4"
        storage.connected().put(video.copy_key, b"half of it", Description("video/mp4"))
        video.heartbeat_at = video.created_at - timedelta(hours=1)
    assert playable_copy.make_next(stopping=never) == "nothing to do"
    assert (row(video_id).copy_state, row(video_id).status) == ("failed", Status.READY)
    assert len(events("copy_failed")) == 1
    assert copies_of(row(video_id)) == []


def test_a_stopping_worker_leaves_the_copy_due(video_id: str, row: Row) -> None:
    assert playable_copy.make_next(stopping=lambda: True) == "not made"
    found = row(video_id)
    assert (found.copy_state, found.copy_tries, found.heartbeat_at) == ("due", 0, None)
    assert playable_copy.make_next(stopping=never) == "made"


@pytest.mark.parametrize("change", ["deleted", "taken over"])
def test_losing_the_video_during_the_upload_of_its_copy_leaves_nothing(
    change: str, video_id: str, row: Row, anna: Caller, proxy: S3Proxy
) -> None:
    before = row(video_id)
    held = proxy.hold("HeadObject", ".*playable_.*", answered=False)  # the copy is uploaded already
    making = Thread(target=playable_copy.make_next, kwargs={"stopping": Signal().is_set})
    making.start()
    assert held.arrived.wait(HANG_SECONDS)
    if change == "deleted":
        deletion.delete(anna, video_id)
    else:
        with transaction() as session:
            session.get_one(Video, video_id).copy_claim = "another"
    proxy.drop_held()
    making.join(HANG_SECONDS)
    assert not making.is_alive()
    if change == "deleted":
        assert is_storage_empty()
    else:
        assert copies_of(before) == []
        assert row(video_id).copy_state == CopyState.MAKING


def test_a_refusing_store_only_fails_the_copy(video_id: str, row: Row, proxy: S3Proxy) -> None:
    proxy.refuse["PutObject"] = [(403, "AccessDenied")]
    assert playable_copy.make_next(stopping=never) == "not made"
    found = row(video_id)
    assert (found.status, found.copy_state) == (Status.READY, "failed")
    assert copies_of(found) == []


def test_a_lost_copy_is_detected_and_made_again(video_id: str, row: Row) -> None:
    playable_copy.make_next(stopping=never)
    storage.connected().delete([str(row(video_id).copy_key)])
    report = reconcile(repair=True)
    assert [found.kind for found in report.found] == ["missing_copy"]
    assert (row(video_id).copy_state, row(video_id).copy_key) == ("due", None)
    assert playable_copy.make_next(stopping=never) == "made"
    assert reconcile(repair=False).left == 0


def test_a_rebuilt_row_has_its_copy_again(video_id: str, row: Row) -> None:
    playable_copy.make_next(stopping=never)
    before = row(video_id)
    with transaction() as session:
        session.delete(session.get_one(Video, video_id))
    assert rebuild().rebuilt.count == 1
    again = row(video_id)
    assert again.s3_key == before.s3_key
    assert again.copy_state == "ready"
    assert (again.copy_key, again.copy_size, again.playback, again.video_codec) == (
        before.copy_key,
        before.copy_size,
        "limited",
        "hevc",
    )


def test_the_upload_of_a_copy_in_progress_is_not_orphaned(video_id: str, row: Row) -> None:
    key = f"{folder(row(video_id))}playable_2.mp4"
    storage.connected().start_upload(key, Description("video/mp4"))
    with transaction() as session:
        video = session.get_one(Video, video_id)
        video.copy_state, video.copy_key = CopyState.MAKING, key
    assert list(cleanup.orphaned_uploads(timedelta(seconds=-60))) == []
    with transaction() as session:
        session.get_one(Video, video_id).copy_state = None
    assert [upload.key for upload in cleanup.orphaned_uploads(timedelta(seconds=-60))] == [key]


@pytest.mark.usefixtures("remembered")
def test_the_owner_with_the_fewest_due_copies_is_first(stored: Stored, row: Row, bert: Caller) -> None:
    hers = [stored(HEVC), stored(HEVC)]
    his = stored(HEVC)
    with transaction() as session:
        session.get_one(Video, his).owner_id = bert.user_id
        claimed = session.get_one(Video, his)
        claimed.heartbeat_at = None
    video = playable_copy._claim()
    assert video
    assert video.id == his
    assert [row(each).copy_state for each in hers] == ["due", "due"]
