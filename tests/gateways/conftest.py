"""A misbehaving server, and a Source that is allowed to use it although it is on loopback."""

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import httpx
import pytest

from tests.support.misbehaving_server import MisbehavingServer
from videovault.errors import SourceError
from videovault.gateways.source import Source, SourcePolicy, SourceStream

MakeSource = Callable[..., Source]
Handler = Callable[[httpx.Request], httpx.Response]


@pytest.fixture(scope="module")
def server() -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as running:
        yield running


@pytest.fixture
def make_source(server: MisbehavingServer) -> Iterator[MakeSource]:
    """Sources that may use ``server``; keyword arguments change the policy, ``inject`` is passed to Source."""
    made: list[Source] = []

    def make(
        *, allow: frozenset[str] = frozenset(), inject: dict[str, Any] | None = None, **limits: Any
    ) -> Source:
        hosts = allow | {f"127.0.0.1:{server.port}"}
        policy = SourcePolicy(**{"max_bytes": 1024**3, "idle_seconds": 5.0, "allow": hosts, **limits})
        made.append(Source(policy, **(inject or {})))
        return made[-1]

    yield make
    for source in made:
        source.close()


@pytest.fixture
def source(make_source: MakeSource) -> Source:
    return make_source()


def read_all(stream: SourceStream, buffer_size: int = 100_000) -> bytes:
    buffer, received = bytearray(buffer_size), bytearray()
    while count := stream.readinto(buffer):
        received += buffer[:count]
    return bytes(received)


def failure_of(
    source: Source, url: str, start: int = 0, end: int | None = None, validator: str | None = None
) -> SourceError:
    with (
        pytest.raises(SourceError) as failure,
        source.open(url, start=start, end=end, validator=validator) as stream,
    ):
        read_all(stream)
    return failure.value


def source_answered_by(handler: Handler) -> Source:
    """A source without a network: ``handler`` returns the responses."""

    def answer(request: httpx.Request) -> httpx.Response:
        response = handler(request)
        response.extensions["pull"] = BytesIO(response.content).readinto
        return response

    return Source(SourcePolicy(max_bytes=1024**2), transport=httpx.MockTransport(answer))
