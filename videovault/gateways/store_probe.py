"""Probe a store's capabilities with a small temporary object.

A rejection counts only if the call is accepted without the rejected argument, and rejected with it a second time.
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
from videovault.gateways import s3_calls, s3_client
from videovault.gateways.s3_calls import CallStore, Description, S3Calls, reason_of
from videovault.gateways.s3_client import ObjectMissing, UploadLost
from videovault.gateways.store_capabilities import WITH_MD5, Checksum, Fact, Facts, Feature, S3Call

PREFIX = "videovault-checks/"
BODY = b"VideoVault probes the capabilities of this store.\n"
METADATA = {"videovault-check": "kept"}
# Error codes that a checksum cannot cause.
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
# The checksums of CreateMultipartUpload, UploadPart and CompleteMultipartUpload, best first.
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
    """Whether a call may have been rejected only for its checksum. A rejected HEAD has no reason."""
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


def probe_store(calls: S3Calls, call_store: CallStore) -> Facts:
    """The store's capabilities. Raises StorageError when even the plainest call fails."""
    return _Probe(calls, call_store, f"{PREFIX}{secrets.token_hex(12)}").run()


def _has_metadata(head: Any) -> bool:
    kept = {name.lower(): value for name, value in head.get("Metadata", {}).items()}
    return METADATA.items() <= kept.items()


class _Probe:
    def __init__(self, calls: S3Calls, call_store: CallStore, key: str) -> None:
        self._calls = calls
        self._call_store = call_store
        self._key = key
        self._parts_key = f"{key}-parts"
        self._crc32 = zlib.crc32(BODY)
        self._described = Description("text/plain", metadata=METADATA)
        self._facts: Facts = {}

    def run(self) -> Facts:
        try:
            put = self._try_checksums(S3Call.PUT, self._put)
            head = self._try_checksums(S3Call.HEAD, lambda checksum: self._calls.head(self._key, checksum))
            again = self._retry_until_visible(
                partial(self._calls.head, self._key, Checksum.NONE)
            )  # a single response may be wrong
            self._note(Feature.METADATA, can=_has_metadata(head) or _has_metadata(again))
            self._try_checksums(
                S3Call.GET, lambda checksum: self._calls.get(self._key, checksum)["Body"].read()
            )
            self._try_tagging()
            self._try_parts()
            self._try_listing_uploads()
            self._facts[Feature.VERSIONED] = self._detect_versions(has_version=bool(put.get("VersionId")))
        finally:
            self._clean_up()
        return self._facts

    def _put(self, checksum: Checksum) -> Any:
        return self._calls.put(self._key, BODY, self._described, self._crc32, checksum)

    def _try_checksums(self, call: S3Call, send: Callable[[Checksum], T]) -> T:
        """Send the call with the best checksum that the store accepts, and record it."""
        answer, checksum, why = self._best_checksum(call, send)
        self._facts[call] = Fact.now(checksum, why)
        return answer

    def _best_checksum(self, call: S3Call, send: Callable[[Checksum], T]) -> tuple[T, Checksum, str]:
        kinds = [each for each in Checksum if each is not Checksum.MD5 or call in WITH_MD5]
        rejected: StorageError | None = None
        for checksum in kinds:
            try:
                answer = self._retry_until_visible(partial(send, checksum))
            except StorageError as error:
                if not may_be_checksum_refusal(error):
                    raise
                rejected = rejected or error
                continue
            if rejected is None:
                return answer, checksum, ""
            with suppress(StorageError):  # was the rejection a one-off?
                return self._call_store(partial(send, kinds[0])), kinds[0], ""
            return answer, checksum, reason_of(rejected)
        raise rejected or AssertionError("no checksum was tried")

    def _retry_until_visible(self, send: Callable[[], T]) -> T:
        """Send the call until the store shows the new object. Raises StorageError."""

        def send_once() -> tuple[T | None, ObjectMissing | None]:
            try:
                return self._call_store(send), None
            except ObjectMissing as error:
                return None, error

        found, missing = s3_client.poll_until(
            send_once, lambda seen: seen[1] is None, s3_client.VISIBLE_SECONDS
        )
        if missing is not None:
            raise missing
        return cast("T", found)

    def _try_tagging(self) -> None:
        try:
            self._try_checksums(
                S3Call.COPY, lambda checksum: self._calls.copy(self._key, self._described, checksum)
            )
        except StorageError as error:
            if error.retryable:
                raise
            self._note(Feature.TAGGING, can=False, why=reason_of(error))
        else:
            self._note(Feature.TAGGING, can=True)

    def _try_parts(self) -> None:
        """Try the three calls together, since a store may reject at the end what it accepted at the start."""
        rejected: StorageError | None = None
        for kinds in UPLOADS:
            try:
                self._upload(*kinds)
            except StorageError as error:
                if error.retryable or not (may_be_checksum_refusal(error) or isinstance(error, UploadLost)):
                    raise
                rejected = rejected or error
                continue
            if rejected is not None and self._accepts_best():
                kinds, rejected = UPLOADS[0], None  # noqa: PLW2901 - the refusal was a one-off
            best = UPLOADS[0]
            for call, checksum, wanted in zip(
                (S3Call.CREATE, S3Call.PART, S3Call.COMPLETE), kinds, best, strict=True
            ):
                self._facts[call] = Fact.now(
                    checksum, reason_of(rejected) if rejected and checksum != wanted else ""
                )
            return
        raise rejected or AssertionError("no checksum was tried")

    def _accepts_best(self) -> bool:
        try:
            self._upload(*UPLOADS[0])
        except StorageError:
            return False
        return True

    def _upload(self, create: Checksum, part: Checksum, complete: Checksum) -> None:
        calls, key, crc32 = self._calls, self._parts_key, self._crc32
        upload_id = self._call_store(lambda: calls.create(key, self._described, create))
        try:
            etag = self._call_store(lambda: calls.part(key, upload_id, 1, BODY, crc32, part))
            sent = [_Sent(1, etag, crc32)]
            self._call_store(lambda: calls.complete(key, upload_id, sent, crc32, complete))
        except StorageError:
            with suppress(StorageError):  # ``sweep`` of the checks deletes it later
                self._call_store(lambda: calls.abort(key, upload_id))
            raise

    def _try_listing_uploads(self) -> None:
        try:
            self._call_store(lambda: self._calls.uploads(Prefix=self._key, MaxUploads=1))
        except StorageError as error:
            if error.retryable:
                raise
            is_there = isinstance(error, ObjectMissing)
            self._note(Feature.LIST_UPLOADS, can=is_there, why="" if is_there else reason_of(error))
        else:
            self._note(Feature.LIST_UPLOADS, can=True)

    def _detect_versions(self, *, has_version: bool) -> Fact:
        """From the bucket's settings, or if they are not readable, from a write and a deletion."""
        try:
            status = self._call_store(self._calls.versioning)
        except StorageError as error:
            if error.retryable:
                raise
            has_version = has_version or self._call_store(lambda: self._calls.delete(self._key))
            return Fact.now("yes" if has_version else "no")
        return Fact.now("yes" if status else "no", status)

    def _clean_up(self) -> None:
        """Delete the objects, which also shows whether versions can be deleted."""
        for key in (self._key, self._parts_key):
            try:
                if not self._call_store(partial(self._calls.delete, key)) and not self._is_versioned:
                    continue
                kept = s3_calls.delete_versions(self._calls, self._call_store, key, key)
            except StorageError as error:
                log.info("probe object not deleted yet", reason=error.public_message)
                return
            self._note(Feature.DELETE_VERSIONS, can=kept is None, why=kept.why if kept else "")

    @property
    def _is_versioned(self) -> bool:
        fact = self._facts.get(Feature.VERSIONED)
        return fact is not None and fact.value == "yes"

    def _note(self, feature: Feature, *, can: bool, why: str = "") -> None:
        self._facts[feature] = Fact.now("yes" if can else "no", why)
