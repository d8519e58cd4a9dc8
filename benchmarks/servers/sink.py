"""An S3 that discards bodies and keeps sizes and checksums: enough for boto3, rclone and awscli."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from threading import Lock

from benchmarks.servers.http import Connection, Request, options, report, serve

CRC32 = "x-amz-checksum-crc32"
CHECKSUM_TYPE = "x-amz-checksum-type"
LAST_MODIFIED = "Wed, 01 Jan 2025 00:00:00 GMT"
XML = '<?xml version="1.0" encoding="UTF-8"?>\n'


@dataclass(frozen=True)
class Stored:
    size: int
    headers: Mapping[str, str]


@dataclass
class Upload:
    headers: Mapping[str, str]
    parts: dict[int, int] = field(default_factory=dict)


class Sink:
    """All buckets exist. Each complete object is reported on standard output."""

    def __init__(self) -> None:
        self._objects: dict[str, Stored] = {}
        self._uploads: defaultdict[str, Upload] = defaultdict(lambda: Upload({}))
        self._numbers = count(1)
        self._lock = Lock()

    def handle(self, connection: Connection, request: Request) -> None:
        bucket, _, key = request.path.strip("/").partition("/")
        if not key:
            connection.discard_body(request)
            connection.answer(200, {}, self._listing(bucket))
        elif request.method == "PUT":
            self._put(connection, request)
        elif request.method == "POST":
            self._post(connection, request, bucket, key)
        elif request.method == "DELETE":
            self._delete(connection, request)
        else:
            self._head(connection, request)

    def _put(self, connection: Connection, request: Request) -> None:
        """PutObject or UploadPart."""
        received = connection.discard_body(request)
        size = int(request.headers.get("x-amz-decoded-content-length", received))
        etag = f'"{next(self._numbers):032x}-1"'  # not taken for an MD5
        kept = {name: value for name, value in request.headers.items() if name == CRC32}
        if "uploadId" in request.query:
            self._uploads[request.query["uploadId"]].parts[int(request.query["partNumber"])] = size
        else:
            self._keep(request.path, Stored(size, {"ETag": etag, **_described(request), **kept}))
        connection.answer(200, {"ETag": etag, **kept})

    def _post(self, connection: Connection, request: Request, bucket: str, key: str) -> None:
        """CreateMultipartUpload or CompleteMultipartUpload."""
        body = connection.read_body(request)
        if "uploads" in request.query:
            number = f"{next(self._numbers):08x}"
            self._uploads[number] = Upload(_described(request))
            connection.answer(200, {}, _xml("InitiateMultipartUpload", bucket, key, UploadId=number))
            return
        upload = self._uploads.pop(request.query["uploadId"])
        named = {int(number) for number in re.findall(rb"<PartNumber>(\d+)</PartNumber>", body)}
        size = sum(upload.parts[number] for number in named)
        etag = f'"{next(self._numbers):032x}-{len(named)}"'
        sums = {name: request.headers[name] for name in (CRC32, CHECKSUM_TYPE) if name in request.headers}
        self._keep(request.path, Stored(size, {"ETag": etag, **upload.headers, **sums}))
        tags = {"ETag": etag} | ({"ChecksumCRC32": sums[CRC32]} if CRC32 in sums else {})
        connection.answer(200, {}, _xml("CompleteMultipartUpload", bucket, key, **tags))

    def _delete(self, connection: Connection, request: Request) -> None:
        if "uploadId" in request.query:
            self._uploads.pop(request.query["uploadId"], None)
        else:
            self._objects.pop(request.path, None)
        connection.answer(204, {})

    def _head(self, connection: Connection, request: Request) -> None:
        found = self._objects.get(request.path)
        if request.method != "HEAD" or found is None:
            connection.answer(404, {}, b"" if request.method == "HEAD" else _error("NoSuchKey"))
            return
        length = {"Content-Length": str(found.size), "Last-Modified": LAST_MODIFIED}
        connection.answer(200, {**found.headers, **length})

    def _keep(self, path: str, stored: Stored) -> None:
        with self._lock:
            self._objects[path] = stored
            report({"stored": path, "size": stored.size})

    def _listing(self, bucket: str) -> bytes:
        return (
            f"{XML}<ListBucketResult><Name>{bucket}</Name><KeyCount>0</KeyCount></ListBucketResult>".encode()
        )


def _described(request: Request) -> dict[str, str]:
    """The headers that HeadObject returns unchanged."""
    return {
        name: value
        for name, value in request.headers.items()
        if name.startswith("x-amz-meta-") or name in ("content-type", "content-disposition", CHECKSUM_TYPE)
    }


def _xml(name: str, bucket: str, key: str, **tags: str) -> bytes:
    inside = "".join(f"<{tag}>{value}</{tag}>" for tag, value in tags.items())
    text = f"{XML}<{name}Result><Bucket>{bucket}</Bucket><Key>{key}</Key>{inside}</{name}Result>"
    return text.encode()


def _error(code: str) -> bytes:
    return f"{XML}<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()


def main() -> None:
    chosen = options(__doc__ or "").parse_args()
    serve(chosen.host, chosen.port, chosen.certificate, Sink().handle)


if __name__ == "__main__":
    main()
