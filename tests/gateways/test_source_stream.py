"""Bodies that are truncated, stalled, trickling or wrong; and streams that are cancelled."""

import socket
import time
from collections.abc import Callable, Sequence
from threading import Event, Timer

import pytest

from tests.gateways.conftest import MakeSource, failure_of, read_all
from tests.support.listeners import FullListener, RawAnswer
from tests.support.misbehaving_server import MIB, MisbehavingServer, ServerBehaviour, payload
from videovault.errors import SourceError
from videovault.gateways.source import Source, SourceCancelled, SourceStream

LONG = 60.0  # seconds; longer than any test may take


class GivenUp(Exception):
    """Raised by a heartbeat."""


def _received_before_failing(source: Source, url: str) -> tuple[bytes, SourceError]:
    received, buffer = bytearray(), bytearray(MIB)
    try:
        with source.open(url) as stream:
            while count := stream.readinto(buffer):
                received += buffer[:count]
    except SourceError as failure:
        return bytes(received), failure
    raise AssertionError("nothing failed")


@pytest.mark.parametrize(
    "behaviour", [ServerBehaviour(size=MIB, chunked=True), ServerBehaviour(size=MIB, until_close=True)]
)
def test_a_video_of_unknown_length_is_read_to_its_end(
    server: MisbehavingServer, source: Source, behaviour: ServerBehaviour
) -> None:
    with source.open(server.serve("/unknown.mp4", behaviour)) as stream:
        assert (stream.info.total, stream.info.length) == (None, None)
        assert read_all(stream) == payload(MIB)
        assert stream.readinto(bytearray(10)) == 0


@pytest.mark.parametrize(
    "behaviour",
    [
        ServerBehaviour(size=MIB, drop_after=700_000),
        ServerBehaviour(size=MIB, drop_after=700_000, chunked=True),
        ServerBehaviour(body=payload(700_000), declared=MIB),
    ],
)
def test_a_truncated_body_returns_what_arrived_and_then_fails(
    server: MisbehavingServer, source: Source, behaviour: ServerBehaviour
) -> None:
    received, failure = _received_before_failing(source, server.serve("/cut.mp4", behaviour))
    assert received == payload(MIB)[: len(received)]
    assert "before the end" in failure.public_message
    assert failure.retryable


def test_a_chunked_part_shorter_than_announced_is_incomplete(
    server: MisbehavingServer, source: Source
) -> None:
    behaviour = ServerBehaviour(
        body=payload(500_000), chunked=True, content_range=f"bytes 1000-{MIB - 1}/{MIB}"
    )
    failure = failure_of(source, server.serve("/short-part.mp4", behaviour), start=1000)
    assert "before the end" in failure.public_message


def test_the_rest_of_a_truncated_body_can_be_requested(server: MisbehavingServer, source: Source) -> None:
    url = server.serve(
        "/resumed.mp4", ServerBehaviour(size=MIB, stall_after=None, drop_after=400_000, drop_times=1)
    )
    received, _ = _received_before_failing(source, url)
    with source.open(url, start=len(received), validator='"v1"') as stream:
        assert received + read_all(stream) == payload(MIB)
    assert server.ranges("/resumed.mp4") == [None, f"bytes={len(received)}-"]


def test_a_failed_stream_keeps_failing(server: MisbehavingServer, source: Source) -> None:
    url = server.serve("/dead.mp4", ServerBehaviour(size=MIB, drop_after=400_000))
    with source.open(url) as stream:
        with pytest.raises(SourceError):
            read_all(stream)
        with pytest.raises(SourceError, match="before the end"):
            stream.readinto(bytearray(10))


def test_a_connection_lost_before_the_body_is_retryable(server: MisbehavingServer, source: Source) -> None:
    assert failure_of(source, server.serve("/lost.mp4", ServerBehaviour(drop_after=0))).retryable


def test_bytes_beyond_the_announced_length_are_ignored(server: MisbehavingServer, source: Source) -> None:
    url = server.serve("/liar.mp4", ServerBehaviour(size=MIB, declared=500_000))
    with source.open(url) as stream:
        assert read_all(stream) == payload(MIB)[:500_000]


@pytest.mark.parametrize("stall_after", [0, 700_000])
def test_silence_ends_after_the_idle_time(
    server: MisbehavingServer, make_source: MakeSource, stall_after: int
) -> None:
    url = server.serve("/silent.mp4", ServerBehaviour(stall_after=stall_after))
    failure = failure_of(make_source(idle_seconds=0.3), url)
    assert "nothing for too long" in failure.public_message
    assert failure.retryable


def test_a_request_that_is_never_answered_ends_after_the_idle_time(
    server: MisbehavingServer, make_source: MakeSource
) -> None:
    url = server.serve("/mute.mp4", ServerBehaviour(no_answer=True))
    assert "nothing for too long" in failure_of(make_source(idle_seconds=0.3), url).public_message


def test_a_slow_caller_does_not_count_as_a_silent_source(
    server: MisbehavingServer, make_source: MakeSource
) -> None:
    source = make_source(idle_seconds=0.8, min_bytes_per_second=2 * MIB, rate_window_seconds=0.8)
    with source.open(server.serve("/patient.mp4", ServerBehaviour(size=MIB))) as stream:
        time.sleep(1)
        assert read_all(stream) == payload(MIB)


@pytest.mark.parametrize("drip", [(100, 0.02), (1, 0.02)])
def test_a_trickle_is_detected_although_it_never_stops(
    server: MisbehavingServer, make_source: MakeSource, drip: tuple[int, float]
) -> None:
    source = make_source(min_bytes_per_second=100_000, rate_window_seconds=0.4)
    failure = failure_of(source, server.serve("/drip.mp4", ServerBehaviour(drip=drip)))
    assert "too slowly" in failure.public_message
    assert failure.retryable


def test_a_trickling_response_head_is_detected(make_source: MakeSource) -> None:
    with RawAnswer(b"HTTP/1.1 200 OK\r\n" + b"X-Padding: x\r\n" * 1000) as port:
        source = make_source(idle_seconds=0.4, allow=frozenset({f"127.0.0.1:{port}"}))
        assert "nothing for too long" in failure_of(source, f"http://127.0.0.1:{port}/").public_message


@pytest.mark.parametrize("drip", [b"5;" + b"x" * 1000, b"1\r\nG\r\n0\r\nX: " + b"x" * 1000])
def test_a_trickle_without_body_bytes_counts_as_silence(make_source: MakeSource, drip: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with RawAnswer(head + drip) as port:
        source = make_source(idle_seconds=0.8, allow=frozenset({f"127.0.0.1:{port}"}))
        assert "nothing for too long" in failure_of(source, f"http://127.0.0.1:{port}/").public_message


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000,
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
        b"\x16\x03\x01\x00\x05hello\r\n\r\n",
    ],
)
def test_a_response_that_is_not_http_is_an_error(make_source: MakeSource, head: bytes) -> None:
    with RawAnswer(head, at_once=True) as port:
        source = make_source(allow=frozenset({f"127.0.0.1:{port}"}))
        failure = failure_of(source, f"http://127.0.0.1:{port}/")
    assert failure.public_message.endswith(("understood.", "end of the video.", "was lost."))


def test_the_total_time_ends_even_an_active_stream(
    server: MisbehavingServer, make_source: MakeSource
) -> None:
    source = make_source(total_seconds=0.4)
    url = server.serve("/lively.mp4", ServerBehaviour(size=64 * MIB, bytes_per_second=4 * MIB))
    failure = failure_of(source, url)
    assert "did not deliver" in failure.public_message
    assert not failure.retryable


def test_a_slow_stream_returns_early_so_that_progress_can_be_reported(
    server: MisbehavingServer, source: Source
) -> None:
    url = server.serve("/slow.mp4", ServerBehaviour(size=32 * MIB, bytes_per_second=MIB))
    buffer = bytearray(32 * MIB)
    with source.open(url) as stream:
        assert 0 < stream.readinto(buffer) < len(buffer)


def test_the_heartbeat_is_called_while_nothing_arrives(
    server: MisbehavingServer, make_source: MakeSource
) -> None:
    beats: list[float] = []

    def heartbeat() -> None:
        beats.append(time.monotonic())
        if len(beats) > 8:
            raise GivenUp

    url = server.serve("/quiet.mp4", ServerBehaviour(stall_after=500_000))
    source = make_source(idle_seconds=LONG)
    with pytest.raises(GivenUp), source.open(url, heartbeat=heartbeat) as stream:
        read_all(stream)


def test_closing_the_source_ends_the_wait_for_an_answer(
    server: MisbehavingServer, make_source: MakeSource
) -> None:
    url = server.serve("/mute.mp4", ServerBehaviour(no_answer=True))
    source = make_source(idle_seconds=LONG)
    Timer(0.2, source.close).start()
    _read_until_cancelled(source, url)


@pytest.mark.parametrize("who", ["stream", "source"])
def test_closing_from_another_thread_ends_the_wait_for_a_body(
    server: MisbehavingServer, make_source: MakeSource, who: str
) -> None:
    url = server.serve("/quiet.mp4", ServerBehaviour(stall_after=500_000))
    source = make_source(idle_seconds=LONG)

    def close_soon(stream: SourceStream) -> None:
        Timer(0.2, stream.close if who == "stream" else source.close).start()

    _read_until_cancelled(source, url, close_soon)


def _read_until_cancelled(
    source: Source, url: str, opened: Callable[[SourceStream], None] = lambda _stream: None
) -> None:
    def read() -> None:
        with source.open(url) as stream:
            opened(stream)
            read_all(stream)

    with pytest.raises(SourceCancelled):
        read()


def test_a_closed_stream_returns_nothing_even_if_all_of_it_has_arrived(
    server: MisbehavingServer, source: Source
) -> None:
    with source.open(server.serve("/here.mp4", ServerBehaviour(size=50_000))) as stream:
        stream.close()
        with pytest.raises(SourceCancelled):
            stream.readinto(bytearray(50_000))


def test_a_closed_source_opens_nothing(server: MisbehavingServer, source: Source) -> None:
    url = server.serve("/after.mp4", ServerBehaviour())
    source.close()
    with pytest.raises(SourceCancelled), source.open(url):
        pass
    assert not server.seen("/after.mp4")


def test_the_heartbeat_ends_a_connection_that_is_not_answered(make_source: MakeSource) -> None:
    with FullListener() as port:
        source = make_source(connect_seconds=LONG, allow=frozenset({f"127.0.0.1:{port}"}))
        with pytest.raises(GivenUp), source.open(f"http://127.0.0.1:{port}/", heartbeat=_give_up_after(0.5)):
            pass


def test_a_connection_that_is_not_answered_ends_with_the_time_to_connect(make_source: MakeSource) -> None:
    with FullListener() as port:
        source = make_source(connect_seconds=0.3, allow=frozenset({f"127.0.0.1:{port}"}))
        failure = failure_of(source, f"http://127.0.0.1:{port}/")
    assert "cannot be reached" in failure.public_message
    assert failure.retryable


def test_the_heartbeat_ends_a_hanging_lookup(make_source: MakeSource) -> None:
    answered = Event()

    def hang(_host: str, _port: int) -> Sequence[str]:
        answered.wait(LONG)
        return []

    source = make_source(connect_seconds=LONG, inject={"resolver": hang})
    with pytest.raises(GivenUp), source.open("http://video.example/", heartbeat=_give_up_after(0.3)):
        pass
    answered.set()


def test_a_refused_connection_is_retryable(make_source: MakeSource) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        port = closed_soon.getsockname()[1]
    failure = failure_of(make_source(allow=frozenset({f"127.0.0.1:{port}"})), f"http://127.0.0.1:{port}/")
    assert "cannot be reached" in failure.public_message
    assert failure.retryable


def _give_up_after(seconds: float) -> Callable[[], None]:
    end = time.monotonic() + seconds

    def heartbeat() -> None:
        if time.monotonic() > end:
            raise GivenUp

    return heartbeat
