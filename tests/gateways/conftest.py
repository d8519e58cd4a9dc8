"""A server that misbehaves, and a Source that may reach it although it is on loopback."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.misbehaving_server import NaughtyServer
from videovault.gateways.source import Source, SourcePolicy

MakeSource = Callable[..., Source]


@pytest.fixture(scope="module")
def server() -> Iterator[NaughtyServer]:
    with NaughtyServer() as running:
        yield running


@pytest.fixture
def make_source(server: NaughtyServer) -> Iterator[MakeSource]:
    """Sources that may fetch from ``server``; keyword arguments change the policy, the rest go to Source."""
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
