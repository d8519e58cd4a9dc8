"""Sending a stream to S3 in parts: bounded in memory, two parts under way while the next is read."""

import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Any

from sqlmodel import col, delete

from videovault.db import transaction
from videovault.errors import SourceError, StorageError
from videovault.gateways.storage import Part, Storage
from videovault.models import UploadPart

MIB = 1024**2
PART_BYTES = 16 * MIB
MOST_PARTS = 10_000  # S3's limit
UPLOADERS = 2

ReadInto = Callable[[memoryview], int]
Progress = Callable[[int, int | None], None]


def part_size(total: int | None) -> int:
    """Bytes of a part, so that ``total`` fits into 10,000 of them; S3 takes 5 MiB to 5 GiB."""
    needed = -(-(total or 0) // MOST_PARTS)
    return max(PART_BYTES, -(-needed // MIB) * MIB)


class Parts:
    """One object on its way into S3. At most ``UPLOADERS`` + 1 parts are in memory at any time."""

    def __init__(
        self,
        storage: Storage,
        video_id: str,
        key: str,
        *,
        content_type: str,
        metadata: Mapping[str, str],
        note: Callable[..., None],
        progress: Progress,
    ) -> None:
        self._storage = storage
        self._video_id = video_id
        self._key = key
        self._content_type = content_type
        self._metadata = metadata
        self._note = note
        self._progress = progress

    def send(self, readinto: ReadInto, total: int | None) -> int:
        """Read the stream to its end into S3; its size in bytes.

        A stream shorter than one part is one PutObject. Whatever is raised, no unfinished upload is left.
        """
        size = part_size(total)
        first = bytearray(min(size, total + 1) if total else size)
        filled = self._fill(first, readinto, 0, total)
        if filled == 0:
            raise SourceError("The address gives an empty file.")
        if filled < len(first):
            self._storage.put(
                self._key, first[:filled], content_type=self._content_type, metadata=self._metadata
            )
            return filled
        return self._multipart(first, readinto, total)

    def _multipart(self, first: bytearray, readinto: ReadInto, total: int | None) -> int:
        upload_id = self._storage.start_upload(
            self._key, content_type=self._content_type, metadata=self._metadata
        )
        try:
            self._note(upload_id=upload_id)
            self._forget_parts()
            sent, parts = self._send_parts(upload_id, first, readinto, total)
            self._note(bytes_done=sent, bytes_total=sent)
            self._storage.complete_upload(self._key, upload_id, parts)
        except BaseException:
            with suppress(StorageError):  # ``repair`` aborts what is left
                self._storage.abort_upload(self._key, upload_id)
            raise
        return sent

    def _send_parts(
        self, upload_id: str, first: bytearray, readinto: ReadInto, total: int | None
    ) -> tuple[int, list[Part]]:
        free = [bytearray(len(first)) for _ in range(UPLOADERS)]
        under_way: dict[Future[Part], bytearray] = {}
        parts: list[Part] = []
        buffer, filled, sent = first, len(first), 0
        with ThreadPoolExecutor(UPLOADERS, thread_name_prefix="upload") as pool:
            while filled:
                number = len(parts) + len(under_way) + 1
                body = buffer if filled == len(buffer) else buffer[:filled]
                under_way[pool.submit(self._send_part, upload_id, number, body)] = buffer
                sent += filled
                while not free:
                    self._collect(under_way, free, parts)
                    self._progress(sent, total)
                buffer = free.pop()
                filled = self._fill(buffer, readinto, sent, total)
            while under_way:
                self._collect(under_way, free, parts)
                self._progress(sent, total)
        return sent, parts

    def _fill(self, buffer: bytearray, readinto: ReadInto, before: int, total: int | None) -> int:
        """Fill the buffer as far as the stream goes; how many bytes it took."""
        view, filled = memoryview(buffer), 0
        while filled < len(buffer):
            read = readinto(view[filled:])
            if read == 0:
                break
            filled += read
            self._progress(before + filled, total)
        return filled

    def _collect(
        self, under_way: dict[Future[Part], bytearray], free: list[bytearray], parts: list[Part]
    ) -> None:
        """Take back the buffers of parts that are through, waiting a moment for the next one."""
        done, _ = wait(under_way, timeout=0.5, return_when=FIRST_COMPLETED)
        for future in done:
            free.append(under_way.pop(future))
            parts.append(future.result())

    def _send_part(self, upload_id: str, number: int, body: bytearray) -> Part:
        part = self._storage.upload_part(self._key, upload_id, number, body)
        row: dict[str, Any] = {"number": number, "size": part.size, "etag": part.etag}
        with transaction() as session:
            session.merge(UploadPart(video_id=self._video_id, crc32=f"{zlib.crc32(body):08x}", **row))
        return part

    def _forget_parts(self) -> None:
        with transaction() as session:
            session.exec(delete(UploadPart).where(col(UploadPart.video_id) == self._video_id))
