"""Reading a source to its end, or to its failure."""

import pytest

from videovault.errors import SourceError
from videovault.gateways.source import Source, SourceStream


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
