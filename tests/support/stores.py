"""Stores that differ from AWS S3, each in one way that has been reported of a real one."""

import hashlib
import hmac
import re
import threading
from collections import Counter
from dataclasses import dataclass, field, replace

import pytest

from tests.support.s3_proxy import HANG_UP, Answer, Behaviour, Refusal, Request

WRITE = "--write-stores"
SECRET = "test"
CHECKSUM, MD5 = "x-amz-checksum-", "content-md5"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(WRITE, action="store_true", help="write docs/stores.md's table from what was seen")


def error(status: int, code: str, message: str = "", more: str = "") -> Refusal:
    said = f"<Error><Code>{code}</Code><Message>{message}</Message>{more}<RequestId>SHIM0000000001</RequestId></Error>"
    return status, said


def has_checksum(request: Request) -> bool:
    """In a header, a part of Complete's list, or asked for."""
    named = any(name.startswith(CHECKSUM) for name in request.headers)
    return named or (request.operation == "Complete" and b"<ChecksumCRC32>" in request.body)


def writes_body(request: Request) -> bool:
    copies = "x-amz-copy-source" in request.headers
    return request.operation in ("PutObject", "UploadPart") and not copies


class KnowsNoChecksums(Behaviour):
    def refuse(self, request: Request) -> Refusal | None:
        return error(400, "InvalidRequest", "Unsupported header") if has_checksum(request) else None


class OpaqueETags(KnowsNoChecksums):
    """Of objects that were put whole; ``read_back`` counts how often such a video was read from end to end."""

    read_back = 0

    def refuse(self, request: Request) -> Refusal | None:
        is_whole = request.operation == "GET" and "range" not in request.headers
        self.read_back += is_whole and request.key.endswith(".mp4")
        return super().refuse(request)

    def answer(self, request: Request, answer: Answer) -> Answer:
        is_put = request.operation == "PutObject"
        return replace(answer, headers=answer.headers | {"ETag": '"opaque"'}) if is_put else answer


class ImplementsNoChecksums(Behaviour):
    def refuse(self, request: Request) -> Refusal | None:
        return error(501, "NotImplemented", "A header is not implemented") if has_checksum(request) else None


class ChecksumsBreakComplete(Behaviour):
    """Parts may carry them, but not the list of parts."""

    def refuse(self, request: Request) -> Refusal | None:
        is_refused = request.operation == "Complete" and has_checksum(request)
        return error(400, "InvalidPart", "One or more parts could not be found") if is_refused else None


class ChecksumsBreakParts(Behaviour):
    """A part that was sent with one is not found when the upload is completed."""

    def __init__(self) -> None:
        self._spoilt: set[str] = set()

    def refuse(self, request: Request) -> Refusal | None:
        upload = request.query.get("uploadId", "")
        if request.operation == "UploadPart" and has_checksum(request):
            self._spoilt.add(upload)
        is_refused = request.operation == "Complete" and upload in self._spoilt
        return error(400, "InvalidPart", "One or more parts could not be found") if is_refused else None


class ChecksumsBreakSignatures(Behaviour):
    def refuse(self, request: Request) -> Refusal | None:
        is_refused = request.operation == "UploadPart" and has_checksum(request)
        return error(403, "SignatureDoesNotMatch", "The signature does not match") if is_refused else None


@dataclass
class RefusesOnce(Behaviour):
    """One odd refusal, which does not come again."""

    operation: str
    done: bool = False

    def refuse(self, request: Request) -> Refusal | None:
        if self.done or request.operation != self.operation or not has_checksum(request):
            return None
        self.done = True
        return error(400, "InvalidRequest", "Try again")


@dataclass
class LocksObjects(Behaviour):
    """Every body needs a proof; ``takes_checksums`` False: Content-MD5 is the only one it knows."""

    takes_checksums: bool = True

    def refuse(self, request: Request) -> Refusal | None:
        if has_checksum(request) and not self.takes_checksums:
            return error(400, "InvalidArgument", "Unknown header")
        is_proven = MD5 in request.headers or f"{CHECKSUM}crc32" in request.headers
        if writes_body(request) and not is_proven:
            return error(400, "InvalidRequest", "Content-MD5 OR x-amz-checksum- HTTP header is required")
        return None


@dataclass
class ShowsLate(Behaviour):
    """HEAD, and GET if ``also_get``, do not know a new object the first ``looks`` times."""

    looks: int
    also_get: bool = False
    seen: Counter[str] = field(default_factory=Counter)

    def refuse(self, request: Request) -> Refusal | None:
        is_look = request.operation == "HeadObject" or (self.also_get and request.operation == "GET")
        if not is_look or not request.key.endswith((".mp4", "-parts")):
            return None
        self.seen[request.operation + request.key] += 1
        return error(404, "NoSuchKey") if self.seen[request.operation + request.key] <= self.looks else None


class AddsMetadata(Behaviour):
    def answer(self, request: Request, answer: Answer) -> Answer:
        added = {"x-amz-meta-mtime": "1732900000", "x-amz-meta-s3cmd-attrs": "uid:0"}
        return replace(answer, headers=answer.headers | added) if request.method == "HEAD" else answer


class ForgetsMetadata(Behaviour):
    def answer(self, request: Request, answer: Answer) -> Answer:
        del request
        kept = {
            name: value for name, value in answer.headers.items() if not name.lower().startswith("x-amz-meta")
        }
        return replace(answer, headers=kept)


@dataclass
class Denies(Behaviour):
    """Refuses some calls for good, with a message of its own."""

    operations: tuple[str, ...]
    message: str
    status: int = 403
    code: str = "AccessDenied"

    def refuse(self, request: Request) -> Refusal | None:
        refused = request.operation in self.operations
        return error(self.status, self.code, self.message) if refused else None


@dataclass
class CopiesNothing(Behaviour):
    """``but`` begins the keys of what is copied all the same."""

    but: str = "nothing"

    def refuse(self, request: Request) -> Refusal | None:
        copies = "x-amz-copy-source" in request.headers and not request.key.startswith(self.but)
        return error(501, "NotImplemented", "CopyObject is not implemented") if copies else None


@dataclass
class IsAway(Behaviour):
    """The first ``calls`` get no answer."""

    calls: int
    lock: threading.Lock = field(default_factory=threading.Lock)

    def refuse(self, request: Request) -> Refusal | None:
        del request
        with self.lock:
            self.calls -= 1
            return HANG_UP if self.calls >= 0 else None


@dataclass
class LiesIn(Behaviour):
    """A bucket of ``region``: whatever is signed for another one is refused, as are links with a wrong signature."""

    region: str

    def refuse(self, request: Request) -> Refusal | None:
        link = request.query.get("X-Amz-Credential", "")
        scope = (
            link or (re.search("Credential=([^,]+)", request.headers.get("authorization", "")) or ["", ""])[1]
        )
        signed_for = scope.split("/")[2] if scope.count("/") >= 4 else ""
        if signed_for != self.region:
            code = "AuthorizationQueryParametersError" if link else "AuthorizationHeaderMalformed"
            message = f"the region '{signed_for}' is wrong; expecting '{self.region}'"
            return error(400, code, message, f"<Region>{self.region}</Region>")
        if link and request.query["X-Amz-Signature"] != signature(request):
            return error(403, "SignatureDoesNotMatch")
        return None

    def answer(self, request: Request, answer: Answer) -> Answer:
        del request
        return replace(answer, headers=answer.headers | {"x-amz-bucket-region": self.region})


class RefusesLinks(Behaviour):
    def refuse(self, request: Request) -> Refusal | None:
        return (
            error(403, "AccessDenied", "Links are not allowed")
            if "X-Amz-Signature" in request.query
            else None
        )


def signature(request: Request) -> str:
    """Of a presigned link, by Signature Version 4."""
    path, _, query = request.path.partition("?")
    fields = sorted(field for field in query.split("&") if not field.startswith("X-Amz-Signature="))
    host = f"host:{request.headers['host']}"
    canonical = f"{request.method}\n{path}\n{'&'.join(fields)}\n{host}\n\nhost\nUNSIGNED-PAYLOAD"
    _, *scope = request.query["X-Amz-Credential"].split("/")
    key = f"AWS4{SECRET}".encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), "sha256")
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{request.query['X-Amz-Date']}\n{'/'.join(scope)}\n{digest}"
    return hmac.new(key, text.encode(), "sha256").hexdigest()
