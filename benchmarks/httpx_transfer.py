"""The simplest implementation: ``httpx.stream`` into ``upload_fileobj``."""

import os
from collections.abc import Iterator
from functools import lru_cache
from typing import IO, Any, cast

import boto3
import httpx
from botocore.config import Config
from mypy_boto3_s3 import S3Client

CHUNK_BYTES = 64 * 1024


class Reader:
    """A file whose ``read(n)`` returns n bytes: upload_fileobj treats fewer as the end."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        pieces, left = [self._rest], size - len(self._rest)
        while (left > 0 or size < 0) and (chunk := next(self._chunks, b"")):
            pieces.append(chunk)
            left -= len(chunk)
        data = b"".join(pieces)
        self._rest = data[size:] if size >= 0 else b""
        return data[:size] if size >= 0 else data


def transfer(url: str, key: str) -> None:
    with httpx.stream("GET", url) as answer:
        answer.raise_for_status()
        reader = cast("IO[Any]", Reader(answer.iter_bytes(CHUNK_BYTES)))
        _s3().upload_fileobj(reader, os.environ["BENCHMARK_BUCKET"], key)


@lru_cache(maxsize=1)
def _s3() -> S3Client:
    return boto3.client("s3", config=Config(s3={"addressing_style": "path"}))
