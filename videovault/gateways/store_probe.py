"""Finding out what a store can do, with a small object of our own that goes again.

A refusal counts only if the same call is accepted without what was refused, and refused with it a second time.
"""

import secrets
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, cast

from videovault import logs
from videovault.errors import StorageError
from videovault.gateways import object_versions, s3_retry
from videovault.gateways.object_versions import Ask, reason_of
from videovault.gateways.s3 import ObjectMissing, UploadLost
from videovault.gateways.s3_calls import S3Calls
from videovault.gateways.s3_types import Description
from videovault.gateways.store_capabilities import WITH_MD5, Checksum, Fact, Facts, Feature, S3Call

PREFIX = "videovault-checks/"
BODY = b"VideoVault finds out what this store can do.\n"
METADATA = {"videovault-check": "kept"}
# Refusals that cannot come from a checksum.
OTHER_REFUSALS = {
    *("ExpiredToken", "InvalidToken", "TokenRefreshRequired", "RequestTimeTooSkewed", "NoSuchBucket"),
    *(
        "AuthorizationHeaderMalformed",
        "InvalidBucketName",
        "KeyTooLongError",
        "EntityTooLarge",
        "EntityTooSmall",
    ),
    *("InvalidStorageClass", "InvalidObjectState", "MetadataTooLarge", "IllegalLocationConstraintException"),
    *("InvalidAccessKeyId", "AccessDenied"),
}
# The kinds of checksum of CreateMultipartUpload, UploadPart and CompleteMultipartUpload, the best first.
UPLOADS = (
    (Checksum.CRC32, Checksum.CRC32, Checksum.CRC32),
    (Checksum.CRC32, Checksum.CRC32, Checksum.NONE),
    (Checksum.NONE, Checksum.MD5, Checksum.NONE),
    (Checksum.NONE, Checksum.NONE, Checksum.NONE),
)
CHECKSUM_STATUSES = {400, 405, 411, 412, 501}
T = TypeVar("T")
log = logs.get(__name__)


def may_be_checksum_refusal(error: StorageError) -> bool:
    """Whether a call was perhaps refused for its checksum only. HEAD is refused without a reason."""
    answer = error.answer
    if answer is None or error.retryable or answer.region or answer.code in OTHER_REFUSALS:
        return False
    if answer.code.startswith("KMS."):
        return False
    return answer.status in CHECKSUM_STATUSES or answer.code in ("SignatureDoesNotMatch", "403")


@dataclass(frozen=True)
class _Sent:
    number: int
    etag: str
    crc32: int


def probe_store(calls: S3Calls, ask: Ask) -> Facts:
    """What the store can do, tried for real. Raises StorageError where even the plainest call fails."""
    return _Probe(calls, ask, f"{PREFIX}{secrets.token_hex(12)}").run()


def _has_metadata(head: Any) -> bool:
    kept = {name.lower(): value for name, value in head.get("Metadata", {}).items()}
    return METADATA.items() <= kept.items()


class _Probe:
    def __init__(self, calls: S3Calls, ask: Ask, key: str) -> None:
        self._calls = calls
        self._ask = ask
        self._key = key
        self._parts_key = f"{key}-parts"
        self._crc32 = zlib.crc32(BODY)
        self._described = Description("text/plain", metadata=METADATA)
        self._facts: Facts = {}

    def run(self) -> Facts:
        try:
            put = self._tried(S3Call.PUT, self._put)
            head = self._tried(S3Call.HEAD, lambda sums: self._calls.head(self._key, sums))
            again = self._visible(
                partial(self._calls.head, self._key, Checksum.NONE)
            )  # one answer may be an odd one
            self._note(Feature.METADATA, can=_has_metadata(head) or _has_metadata(again))
            self._tried(S3Call.GET, lambda sums: self._calls.get(self._key, sums)["Body"].read())
            self._try_tagging()
            self._try_parts()
            self._try_listing_uploads()
            self._facts[Feature.VERSIONED] = self._versioned(has_version=bool(put.get("VersionId")))
        finally:
            self._clear()
        return self._facts

    def _put(self, sums: Checksum) -> Any:
        return self._calls.put(self._key, BODY, self._described, self._crc32, sums)

    def _tried(self, call: S3Call, send: Callable[[Checksum], T]) -> T:
        """The answer to the call with the best checksum that the store takes."""
        answer, sums, why = self._best(call, send)
        self._facts[call] = Fact.now(sums, why)
        return answer

    def _best(self, call: S3Call, send: Callable[[Checksum], T]) -> tuple[T, Checksum, str]:
        kinds = [each for each in Checksum if each is not Checksum.MD5 or call in WITH_MD5]
        refused: StorageError | None = None
        for sums in kinds:
            try:
                answer = self._visible(partial(send, sums))
            except StorageError as error:
                if not may_be_checksum_refusal(error):
                    raise
                refused = refused or error
                continue
            if refused is None:
                return answer, sums, ""
            with suppress(StorageError):  # was it an odd refusal, which does not come again?
                return self._ask(partial(send, kinds[0])), kinds[0], ""
            return answer, sums, reason_of(refused)
        raise refused or AssertionError("no kind was tried")

    def _visible(self, send: Callable[[], T]) -> T:
        """The answer once the store shows what it has just stored. Raises StorageError."""

        def look() -> tuple[T | None, ObjectMissing | None]:
            try:
                return self._ask(send), None
            except ObjectMissing as error:
                return None, error

        found, missing = s3_retry.poll_until(look, lambda seen: seen[1] is None, s3_retry.VISIBLE_SECONDS)
        if missing is not None:
            raise missing
        return cast("T", found)

    def _try_tagging(self) -> None:
        try:
            self._tried(S3Call.COPY, lambda sums: self._calls.copy(self._key, self._described, sums))
        except StorageError as error:
            if error.retryable:
                raise
            self._note(Feature.TAGGING, can=False, why=reason_of(error))
        else:
            self._note(Feature.TAGGING, can=True)

    def _try_parts(self) -> None:
        """The three calls together: a store may refuse only at the end what it took at the beginning."""
        refused: StorageError | None = None
        for kinds in UPLOADS:
            try:
                self._upload(*kinds)
            except StorageError as error:
                if error.retryable or not (may_be_checksum_refusal(error) or isinstance(error, UploadLost)):
                    raise
                refused = refused or error
                continue
            if refused is not None and self._takes_best():
                kinds, refused = UPLOADS[0], None  # noqa: PLW2901 - the refusal was an odd one
            best = UPLOADS[0]
            for call, sums, wanted in zip(
                (S3Call.CREATE, S3Call.PART, S3Call.COMPLETE), kinds, best, strict=True
            ):
                self._facts[call] = Fact.now(sums, reason_of(refused) if refused and sums != wanted else "")
            return
        raise refused or AssertionError("no kind was tried")

    def _takes_best(self) -> bool:
        try:
            self._upload(*UPLOADS[0])
        except StorageError:
            return False
        return True

    def _upload(self, create: Checksum, part: Checksum, complete: Checksum) -> None:
        calls, key, crc32 = self._calls, self._parts_key, self._crc32
        upload_id = self._ask(lambda: calls.create(key, self._described, create))
        try:
            etag = self._ask(lambda: calls.part(key, upload_id, 1, BODY, crc32, part))
            sent = [_Sent(1, etag, crc32)]
            self._ask(lambda: calls.complete(key, upload_id, sent, crc32, complete))
        except StorageError:
            with suppress(StorageError):  # ``probes.sweep`` comes by later
                self._ask(lambda: calls.abort(key, upload_id))
            raise

    def _try_listing_uploads(self) -> None:
        try:
            self._ask(lambda: self._calls.uploads(Prefix=self._key, MaxUploads=1))
        except StorageError as error:
            if error.retryable:
                raise
            is_there = isinstance(error, ObjectMissing)
            self._note(Feature.LIST_UPLOADS, can=is_there, why="" if is_there else reason_of(error))
        else:
            self._note(Feature.LIST_UPLOADS, can=True)

    def _versioned(self, *, has_version: bool) -> Fact:
        """By the bucket's own settings; where these are not ours to read, by what a write and a deletion show."""
        try:
            status = self._ask(self._calls.versioning)
        except StorageError as error:
            if error.retryable:
                raise
            has_version = has_version or self._ask(lambda: self._calls.delete(self._key))
            return Fact.now("yes" if has_version else "no")
        return Fact.now("yes" if status else "no", status)

    def _clear(self) -> None:
        """Leave nothing behind; whether versions could be deleted is something that was learned, too."""
        for key in (self._key, self._parts_key):
            try:
                if not self._ask(partial(self._calls.delete, key)) and not self._is_versioned:
                    continue
                kept = object_versions.delete_versions(self._calls, self._ask, key, key)
            except StorageError as error:
                log.info("probe left for later", reason=error.public_message)
                return
            self._note(Feature.DELETE_VERSIONS, can=kept is None, why=kept.why if kept else "")

    @property
    def _is_versioned(self) -> bool:
        fact = self._facts.get(Feature.VERSIONED)
        return fact is not None and fact.value == "yes"

    def _note(self, feature: Feature, *, can: bool, why: str = "") -> None:
        self._facts[feature] = Fact.now("yes" if can else "no", why)
