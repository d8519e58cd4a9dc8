"""Faults of the source: in the end the object is correct, or nothing is left."""

import time
import zlib
from dataclasses import replace
from threading import Thread

import pytest

from tests.services.transfer.engine.conftest import FAST_RETRIES, KEY, PART, Control, Engine, Stopped
from tests.support.misbehaving_server import MIB, MisbehavingServer, ServerBehaviour, payload
from tests.support.waiting import HANG_SECONDS, eventually
from videovault.errors import SourceError, StorageError
from videovault.gateways.source import Source, SourceUnavailable
from videovault.services.transfer.engine import MultipartUpload, SourceFingerprint, Target
from videovault.services.transfer.engine.part_buffers import PartBuffers, Reader
from videovault.services.transfer.engine.types import PartLayout, RestartTransfer
from videovault.services.transfer.engine.uploads import ObjectUpload

pytestmark = pytest.mark.thorough

SIZE = 2 * PART + 700_001


def nothing() -> None:
    """The check of a transfer that is not stopped."""


def arrived(engine: Engine, size: int = SIZE, seed: int = 0) -> bool:
    return engine.holds() == payload(size, seed)


@pytest.mark.parametrize("size", [1, 4096, PART - 1, PART, PART + 1, 2 * PART, SIZE])
def test_every_length_arrives_whole_with_its_crc(
    engine: Engine, server: MisbehavingServer, size: int
) -> None:
    body = payload(max(size, 100))[: max(size, 100)]
    stored = engine.run(server.serve(f"/length-{size}.mp4", ServerBehaviour(body=body)))
    assert engine.holds() == body
    assert (stored.size, stored.crc32, stored.container) == (len(body), zlib.crc32(body), "mp4")
    assert not list(engine.storage.uploads())


@pytest.mark.parametrize("size", [PART - 1, PART, SIZE])
@pytest.mark.parametrize("how", [{"chunked": True}, {"until_close": True}])
def test_an_unknown_length_arrives_whole(
    engine: Engine, server: MisbehavingServer, size: int, how: dict[str, bool]
) -> None:
    url = server.serve(f"/unknown-{size}-{next(iter(how))}.mp4", ServerBehaviour(size=size, **how))  # type: ignore[arg-type]
    assert engine.run(url).crc32 == zlib.crc32(payload(size))
    assert arrived(engine, size)


def test_a_small_body_is_one_put_and_a_large_one_is_sent_in_parts(
    engine: Engine, server: MisbehavingServer
) -> None:
    engine.run(server.serve("/small.mp4", ServerBehaviour(size=PART)))
    assert (engine.proxy.calls["PutObject"], engine.proxy.calls["CreateMultipartUpload"]) == (1, 0)
    engine.run(server.serve("/large.mp4", ServerBehaviour(size=SIZE)))
    assert (engine.proxy.calls["UploadPart"], engine.proxy.calls["Complete"]) == (3, 1)


@pytest.mark.parametrize("drop_after", [0, 300_000, PART, 2 * MIB])
def test_a_dropped_connection_is_resumed_where_it_broke(
    engine: Engine, server: MisbehavingServer, drop_after: int
) -> None:
    path = f"/drops-{drop_after}.mp4"
    drops = None if drop_after else 2
    engine.run(server.serve(path, ServerBehaviour(size=SIZE, drop_after=drop_after, drop_times=drops)))
    assert arrived(engine)
    later = [seen for seen in server.seen(path) if seen.range]
    assert all(seen.if_range == '"v1"' for seen in later)
    # Only before the first byte may it ask for the whole again.
    assert len(server.seen(path)) - len(later) == (1 if drop_after else 3)


def test_a_source_that_sends_only_the_beginning_of_a_range_is_read_to_its_end(
    engine: Engine, server: MisbehavingServer
) -> None:
    url = server.serve("/beginnings.mp4", ServerBehaviour(size=SIZE, most_of_a_range=100_000))
    with pytest.raises(Stopped):
        engine.run(url, control=Control(stop_at=PART + MIB))
    assert engine.run(url).size == SIZE
    assert arrived(engine)


def test_an_object_with_missing_bytes_is_never_accepted(engine: Engine) -> None:
    """The length that the source announced is compared at the end, independent of earlier checks."""
    target = Target(KEY)
    upload = MultipartUpload("", SourceFingerprint(3 * PART, '"v1"', None), PART, "mp4")
    for read in (PART // 8, 2 * PART):
        buffers = PartBuffers(PartLayout(3 * PART, PART), iter([1, 2, 3]), window=3, max_window=3)
        while (subrange := buffers.claim(nothing, Reader(is_first=True))) and subrange.start < read:
            subrange.advance(subrange.next_view(read - subrange.start))
            if subrange.left:
                break
            buffers.give_back(subrange)
        assert subrange
        buffers.end_source(subrange)
        uploads = ObjectUpload(engine.storage, target, engine.journal, Control(), FAST_RETRIES, upload)
        with uploads.running(buffers):
            pass
        with pytest.raises(RestartTransfer, match="broke off"):
            uploads.finish()
        assert not list(engine.storage.keys(""))


def test_a_source_without_ranges_is_read_again_from_its_beginning(
    engine: Engine, server: MisbehavingServer
) -> None:
    behaviour = ServerBehaviour(size=SIZE, ranges=False, drop_after=SIZE - 1000, drop_times=2)
    engine.run(server.serve("/no-ranges.mp4", behaviour))
    assert arrived(engine)
    assert not list(engine.storage.uploads())


def test_a_source_that_always_breaks_fails_and_leaves_nothing(
    engine: Engine, server: MisbehavingServer
) -> None:
    behaviour = ServerBehaviour(size=SIZE, ranges=False, drop_after=SIZE - 1000)
    with pytest.raises(SourceError, match="broke off"):
        engine.run(server.serve("/always.mp4", behaviour))
    assert engine.is_clean()
    assert engine.journal.upload is None


def test_a_wrong_length_is_not_accepted(engine: Engine, server: MisbehavingServer) -> None:
    with pytest.raises(SourceError):
        engine.run(server.serve("/lie.mp4", ServerBehaviour(size=SIZE, declared=SIZE + 10, ranges=False)))
    assert engine.is_clean()


def test_a_broken_chunked_body_is_not_accepted(engine: Engine, server: MisbehavingServer) -> None:
    with pytest.raises(SourceError):
        engine.run(
            server.serve("/chunks.mp4", ServerBehaviour(size=SIZE, chunked=True, drop_after=SIZE - 70_000))
        )
    assert engine.is_clean()


@pytest.mark.parametrize("if_range", [True, False])
def test_a_source_that_changes_is_fetched_from_the_beginning(
    engine: Engine, server: MisbehavingServer, *, if_range: bool
) -> None:
    path = f"/changes-{if_range}.mp4"
    url = server.serve(path, ServerBehaviour(size=SIZE))
    with pytest.raises(Stopped):
        engine.run(url, control=Control(stop_at=PART + MIB))
    server.serve(path, ServerBehaviour(size=SIZE, seed=1, etag='"v2"', if_range=if_range))
    engine.run(url)
    assert arrived(engine, seed=1)
    assert not list(engine.storage.uploads())


def test_a_stopped_transfer_resumes_with_what_is_missing(engine: Engine, server: MisbehavingServer) -> None:
    url = server.serve("/resumed.mp4", ServerBehaviour(size=SIZE))
    with pytest.raises(Stopped):
        engine.run(url, control=Control(stop_at=PART + MIB))
    assert engine.journal.upload
    kept = sum(part.size for part in engine.journal.upload.parts)
    assert kept >= PART
    stored = engine.run(url)
    assert arrived(engine)
    assert (stored.size, stored.fetched, stored.crc32) == (SIZE, SIZE - kept, zlib.crc32(payload(SIZE)))


def test_a_source_known_by_its_date_only_is_resumed_too(engine: Engine, server: MisbehavingServer) -> None:
    headers = {"Last-Modified": "Wed, 01 Jan 2025 00:00:00 GMT"}
    url = server.serve("/dated.mp4", ServerBehaviour(size=SIZE, etag=None, headers=headers))
    with pytest.raises(Stopped):
        engine.run(url, control=Control(stop_at=PART + MIB))
    assert engine.run(url).fetched < SIZE
    assert arrived(engine)


def test_a_source_without_a_fingerprint_is_fetched_from_the_beginning(
    engine: Engine, server: MisbehavingServer
) -> None:
    url = server.serve("/nameless.mp4", ServerBehaviour(size=SIZE, etag=None))
    with pytest.raises(Stopped):
        engine.run(url, control=Control(stop_at=PART + MIB))
    assert engine.run(url).fetched == SIZE
    assert arrived(engine)


@pytest.mark.parametrize("status", [429, 503, 500])
def test_a_busy_source_is_retried(engine: Engine, server: MisbehavingServer, status: int) -> None:
    url = server.serve(
        f"/busy-{status}.mp4", ServerBehaviour(status=status, body=b"later", headers={"Retry-After": "1"})
    )
    started = time.monotonic()
    mended = Thread(target=_serve_once_asked, args=(server, f"/busy-{status}.mp4"))
    mended.start()
    engine.run(url)
    mended.join()
    assert arrived(engine)
    assert time.monotonic() - started >= 1  # its Retry-After


def _serve_once_asked(server: MisbehavingServer, path: str) -> None:
    eventually(lambda: server.seen(path))
    server.serve(path, ServerBehaviour(size=SIZE))


def test_a_source_that_stays_busy_fails(engine: Engine, server: MisbehavingServer) -> None:
    with pytest.raises(SourceUnavailable):
        engine.run(server.serve("/busy.mp4", ServerBehaviour(status=503, body=b"later")))
    assert len(server.seen("/busy.mp4")) == 6


@pytest.mark.parametrize("status", [403, 404, 410])
def test_an_expired_link_is_not_retried(engine: Engine, server: MisbehavingServer, status: int) -> None:
    with pytest.raises(SourceError, match="expired"):
        engine.run(server.serve(f"/gone-{status}.mp4", ServerBehaviour(status=status, body=b"gone")))
    assert len(server.seen(f"/gone-{status}.mp4")) == 1


def test_a_web_page_is_never_stored(engine: Engine, server: MisbehavingServer) -> None:
    with pytest.raises(SourceError, match="web page"):
        engine.run(server.serve("/page.mp4", ServerBehaviour(body=b"<!doctype html><title>Sorry</title>")))
    assert engine.is_clean()


def test_a_stop_takes_effect_while_the_source_is_silent(engine: Engine, server: MisbehavingServer) -> None:
    control = Control()
    engine = replace(engine, source=Source(replace(engine.source._policy, idle_seconds=3600)))
    url = server.serve("/silent.mp4", ServerBehaviour(size=SIZE, stall_after=PART + 1000, ranges=False))
    outcome: list[BaseException] = []

    def run() -> None:
        try:
            engine.run(url, control=control)
        except Stopped as stopped:
            outcome.append(stopped)

    thread = Thread(target=run)
    thread.start()
    eventually(lambda: control.seen)
    requests = len(server.seen("/silent.mp4"))
    control.stop.set()
    thread.join(HANG_SECONDS)
    engine.source.close()
    assert outcome
    assert len(server.seen("/silent.mp4")) == requests


def test_a_failed_transfer_releases_its_memory(engine: Engine, server: MisbehavingServer) -> None:
    engine.proxy.refuse["UploadPart"] = [(403, "AccessDenied")] * 20
    with pytest.raises(StorageError, match="denied") as failure:
        engine.run(server.serve("/kept.mp4", ServerBehaviour(size=SIZE)))
    frames, trace = [], failure.value.__traceback__
    while trace:
        frames.append(trace.tb_frame)
        trace = trace.tb_next
    boards = [frame.f_locals["buffers"] for frame in frames if "buffers" in frame.f_locals]
    assert boards
    assert all(not part.buffer for buffers in boards for part in buffers._open.values())
