"""A source of videos of any size at the speed of sendfile: ``/<bytes>.mp4``, with ranges and a strong ETag."""

import hashlib
import mmap
import os
import random
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.servers.http import MIB, Connection, Request, options, serve

BLOCK_BYTES = 64 * MIB  # the body repeats it; no client compresses or deduplicates
TLS_PIECE_BYTES = MIB
FIRST_BOX = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2"
SO_MAX_PACING_RATE = 47  # Linux limits the rate of the connection; Python has no name for the option
LAST_MODIFIED = "Wed, 01 Jan 2025 00:00:00 GMT"


def head_of(size: int, beginning: bytes = FIRST_BOX) -> bytes:
    """An MP4's first box, or a whole film, and the start of a padding box: a valid container of any size."""
    return beginning + b"\x00\x00\x00\x01free" + (size - len(beginning)).to_bytes(8, "big")


@dataclass(frozen=True)
class Block:
    """Random bytes in memory, as a file for sendfile and as a view for TLS."""

    file: int
    view: memoryview


def make_block() -> Block:
    file = os.memfd_create("block")
    os.ftruncate(file, BLOCK_BYTES)
    mapped = mmap.mmap(file, BLOCK_BYTES)
    mapped.write(random.Random(1).randbytes(BLOCK_BYTES))  # noqa: S311 - the same bytes every time
    return Block(file, memoryview(mapped))


class Source:
    """Answers GET and HEAD; ``bytes_per_second`` limits each connection, 0: no limit."""

    def __init__(self, block: Block, bytes_per_second: int, beginning: bytes) -> None:
        self._block, self._beginning = block, beginning
        self._bytes_per_second = bytes_per_second

    def handle(self, connection: Connection, request: Request) -> None:
        named = re.fullmatch(r"/(?:[^/]*-)?(\d+)\.mp4", request.path)
        if request.method not in ("GET", "HEAD") or not named:
            connection.answer(404, {})
            return
        size = int(named[1])
        headers = {
            "Content-Type": "video/mp4",
            "Accept-Ranges": "bytes",
            "ETag": f'"{hashlib.sha256(request.path.encode()).hexdigest()[:16]}"',
            "Last-Modified": LAST_MODIFIED,
        }
        range_ = _requested_range(request, size, headers["ETag"])
        if range_ is not None and not range_:
            connection.answer(416, {"Content-Range": f"bytes */{size}"})
            return
        sent = range(size) if range_ is None else range_
        if range_ is not None:
            headers["Content-Range"] = f"bytes {sent.start}-{sent.stop - 1}/{size}"
        connection.answer(200 if range_ is None else 206, {**headers, "Content-Length": str(len(sent))})
        if request.method == "GET":
            self._send(connection, size, sent.start, sent.stop)

    def _send(self, connection: Connection, size: int, start: int, end: int) -> None:
        if self._bytes_per_second:
            connection.sock.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, self._bytes_per_second)
        head = head_of(size, self._beginning)[start:end]
        connection.sock.sendall(head)
        for at, count in _pieces(start + len(head), end):
            if connection.encrypted:
                self._send_view(connection, at, count)
            else:
                _send_file(connection.sock, self._block.file, at, count)

    def _send_view(self, connection: Connection, at: int, count: int) -> None:
        for start in range(at, at + count, TLS_PIECE_BYTES):
            connection.sock.sendall(self._block.view[start : min(start + TLS_PIECE_BYTES, at + count)])


def _send_file(sock: socket.socket, file: int, at: int, count: int) -> None:
    while count:
        sent = os.sendfile(sock.fileno(), file, at, count)
        at, count = at + sent, count - sent


def _pieces(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Positions in the block, and lengths, of the bytes from ``start`` to ``end``."""
    while start < end:
        at = start % BLOCK_BYTES
        count = min(end - start, BLOCK_BYTES - at)
        yield at, count
        start += count


def _requested_range(request: Request, size: int, etag: str) -> range | None:
    """The requested range, which may be empty; None for the whole file."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("range", ""))
    if not match or request.headers.get("if-range", etag) not in (etag, LAST_MODIFIED):
        return None
    if not match[1]:
        return range(max(0, size - int(match[2])), size)
    return range(int(match[1]), min(int(match[2] or size - 1) + 1, size))


def main() -> None:
    parser = options(__doc__ or "")
    parser.add_argument("--bytes-per-second", type=int, default=0, help="throttles each connection")
    parser.add_argument(
        "--film", type=Path, help="an MP4 file that each video begins with, so that it can be played"
    )
    chosen = parser.parse_args()
    beginning = chosen.film.read_bytes() if chosen.film else FIRST_BOX
    source = Source(make_block(), chosen.bytes_per_second, beginning)
    serve(chosen.host, chosen.port, chosen.certificate, source.handle)


if __name__ == "__main__":
    main()
