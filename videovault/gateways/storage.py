"""The S3 bucket: objects, multipart uploads and presigned URLs."""

import base64
import hashlib
import math
import re
import shutil
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import cached_property, lru_cache, partial, reduce
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from videovault import logs
from videovault.config import EMBEDDED_BUCKET, settings
from videovault.errors import DiskFull, StorageError
from videovault.formatting import format_size
from videovault.gateways import presign, s3_calls, s3_client, store_probe
from videovault.gateways.s3_calls import (
    Body,
    Description,
    KeptVersions,
    Listed,
    ObjectInfo,
    Part,
    S3Calls,
    SentPart,
    Upload,
    Version,
)
from videovault.gateways.s3_client import ObjectMissing, UploadLost, create_client, translating_errors
from videovault.gateways.store_capabilities import Capabilities, Checksum, Facts, Feature, S3Call
from videovault.gateways.store_probe import may_be_checksum_refusal

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef, HeadObjectOutputTypeDef

__all__ = [
    "Description",
    "KeptVersions",
    "Listed",
    "ObjectInfo",
    "ObjectMissing",
    "Part",
    "Storage",
    "Upload",
    "UploadLost",
    "Version",
    "connected",
]

# rclone buffers out-of-order parts up to 64 MiB, and then waits for the missing one.
EMBEDDED_LEAD_BYTES = 60 * 1024**2
CHUNK_BYTES = 1024**2
MARGIN_BYTES = 512 * 1024**2  # stays free for databases, logs and other programs on the embedded S3's disk
# A store is not probed again after every rejected call.
PROBE_INTERVAL_SECONDS = 600.0
# Of rclone: docs/decisions/0007.
EMBEDDED_FACTS: Mapping[str, str] = {Feature.METADATA: "no", Feature.TAGGING: "no", Feature.VERSIONED: "no"}
T = TypeVar("T")
log = logs.get(__name__)


class Storage:
    """One bucket. ``public`` creates the client that signs links for the address that browsers use.

    Each call retries an unavailable store by the policy of ``s3_client``, and sends the checksums that the store is
    known to accept. ``embedded``: rclone, which keeps no metadata and uses the CRC-32 as ETag. ``extra`` are boto3
    arguments of each new object: encryption and storage class.
    """

    def __init__(
        self,
        client: "S3Client",
        public: Callable[[], "S3Client"],
        bucket: str,
        *,
        embedded: bool = False,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        self._s3 = client
        self._calls = S3Calls(client, bucket, dict(extra or {}))
        self._make_public = public
        self.bucket = bucket
        self.is_embedded = embedded
        self.max_lead_bytes = EMBEDDED_LEAD_BYTES if embedded else None
        store = f"{client.meta.endpoint_url} {bucket}"
        self.capabilities = Capabilities(store, EMBEDDED_FACTS if embedded else None)
        self._probe_lock = Lock()
        self._probed_at = -math.inf

    @property
    def has_public_address(self) -> bool:
        """Whether browsers use another address of the store than this server."""
        return self._public is not self._s3

    @property
    def keeps_metadata(self) -> bool:
        return self.capabilities.can(Feature.METADATA)

    @cached_property
    def _public(self) -> "S3Client":
        return self._make_public()

    def put(self, key: str, body: Body, described: Description, crc32: int | None = None) -> str:
        """Store an object; returns its ETag. S3 verifies the CRC-32, which is computed if not given."""
        known = zlib.crc32(body) if crc32 is None else crc32
        return self._call_with_checksum(
            S3Call.PUT, lambda checksum: self._calls.put(key, body, described, known, checksum)["ETag"]
        )

    def start_upload(self, key: str, described: Description) -> str:
        """Start a multipart upload; returns its id."""
        return self._call_with_checksum(
            S3Call.CREATE, lambda checksum: self._calls.create(key, described, checksum)
        )

    def upload_part(self, key: str, upload_id: str, number: int, body: Body, crc32: int) -> Part:
        """Upload one part; ``number`` starts at 1. A bytearray is sent without a copy.

        Raises UploadLost when the upload no longer exists.
        """
        etag = self._call_with_checksum(
            S3Call.PART, lambda checksum: self._calls.part(key, upload_id, number, body, crc32, checksum)
        )
        return Part(number, len(body), etag)

    def parts(self, key: str, upload_id: str) -> list[Part] | None:
        """The parts that S3 has received, or None if it does not list them. Raises UploadLost."""
        found: list[Part] = []
        where: dict[str, Any] = {"Key": key, "UploadId": upload_id}
        try:
            while True:
                page = self._call(partial(self._calls.parts, **where))
                listed = [Part(p["PartNumber"], p["Size"], p["ETag"]) for p in page.get("Parts", [])]
                found += listed
                if not page.get("IsTruncated") or not listed:
                    return found
                where["PartNumberMarker"] = listed[-1].number
        except UploadLost:
            raise
        except StorageError as error:
            if error.retryable:
                raise
            return None  # the permission may be missing; CompleteMultipartUpload will fail if parts are

    def complete_upload(self, key: str, upload_id: str, parts: Sequence[SentPart], crc32: int) -> None:
        """Create the object from ``parts``, in order; ``crc32`` is the whole object's.

        Raises UploadLost when the upload or a part no longer exists, or was sent with a checksum that the store
        turned out not to accept.
        """
        before, tries = self.capabilities.checksum_for(S3Call.PART), 0

        def complete(checksum: Checksum) -> None:
            nonlocal tries
            tries += 1
            self._calls.complete(key, upload_id, parts, crc32, checksum)

        try:
            self._call_with_checksum(S3Call.COMPLETE, complete)
        except UploadLost as error:
            error.may_be_complete = (
                tries > 1 and error.answer is not None and error.answer.code == "NoSuchUpload"
            )
            raise
        except StorageError as error:
            now = self.capabilities.checksum_for(S3Call.PART)
            if now != before or (now is not Checksum.CRC32 and may_be_checksum_refusal(error)):
                raise UploadLost(
                    "S3 did not accept the parts as they were sent.", answer=error.answer
                ) from error
            raise

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Abort an unfinished upload, if it still exists."""
        with suppress(ObjectMissing):
            self._call(lambda: self._calls.abort(key, upload_id))

    def info(self, key: str, *, wait_seconds: float = 0) -> ObjectInfo | None:
        """The object's metadata, or None if it does not exist.

        ``wait_seconds``: how long a store may take to show an object that was just stored.
        """

        def read_info() -> ObjectInfo | None:
            try:
                return self._info(
                    self._call_with_checksum(S3Call.HEAD, lambda checksum: self._calls.head(key, checksum))
                )
            except ObjectMissing:
                return None

        return s3_client.poll_until(read_info, lambda found: found is not None, wait_seconds)

    def proved(self, call: S3Call, body: Body, etag: str) -> bool:
        """Whether the store verified a checksum of ``body``, or returned its MD5 as the ETag."""
        if self.is_embedded or self.capabilities.checksum_for(call) is Checksum.CRC32:
            return True
        return etag.strip('"') == hashlib.md5(body, usedforsecurity=False).hexdigest()

    def read_crc32(self, key: str) -> int:
        """Read the whole object and compute its CRC-32. Raises ObjectMissing, StorageError."""

        def read() -> int:
            with self.download(key) as (_, pieces):
                return reduce(lambda crc32, piece: zlib.crc32(piece, crc32), pieces, 0)

        return s3_client.call_with_retry(read)

    def uploads(self, prefix: str = "") -> Iterator[Upload]:
        """The unfinished uploads under ``prefix``; none if the store does not list them."""
        if not self.capabilities.can(Feature.LIST_UPLOADS):
            return
        where: dict[str, Any] = {"Prefix": prefix}
        while page := self._uploads_page(where):
            for each in page.get("Uploads", []):
                yield Upload(each["Key"], each["UploadId"], each["Initiated"])
            if not page.get("IsTruncated") or not page.get("NextKeyMarker"):
                return
            where |= {
                "KeyMarker": page["NextKeyMarker"],
                "UploadIdMarker": page.get("NextUploadIdMarker", ""),
            }

    def delete(self, keys: Iterable[str]) -> KeptVersions | None:
        """Delete objects with all their versions; missing ones are ignored.

        Returns the earlier versions that could not be deleted, or None. Listings no longer show the objects.
        """
        kept: KeptVersions | None = None
        for key in keys:
            if self._delete(key):
                kept = self._record_kept(s3_calls.delete_versions(self._calls, self._call, key, key)) or kept
        return kept

    def delete_folder(self, prefix: str) -> KeptVersions | None:
        """Delete all objects under ``prefix`` as ``delete`` does, and versions of previously deleted ones."""
        has_versions = self.capabilities.can(Feature.VERSIONED)
        for key in list(self.keys(prefix)):
            has_versions = self._delete(key) or has_versions
        return (
            self._record_kept(s3_calls.delete_versions(self._calls, self._call, prefix))
            if has_versions
            else None
        )

    def versions(self, prefix: str) -> Iterator[Version]:
        """Versions and delete markers under ``prefix``, ordered by key; none in an unversioned bucket."""
        if self._is_versioned():
            yield from s3_calls.list_versions(self._calls, self._call, prefix)

    def delete_versions(self, key: str) -> KeptVersions | None:
        """Delete the versions of ``key``, whose object is already deleted."""
        return self._record_kept(s3_calls.delete_versions(self._calls, self._call, key, key))

    def read(self, key: str, max_bytes: int) -> bytes | None:
        """The object's first ``max_bytes`` bytes, or None if it does not exist."""

        def fetch() -> bytes:
            with self._calls.get(key, Checksum.NONE)["Body"] as body:
                return body.read(max_bytes)

        try:
            return self._call(fetch)
        except ObjectMissing:
            return None

    @contextmanager
    def download(self, key: str) -> Iterator[tuple[ObjectInfo, Iterator[bytes]]]:
        """The object and its bytes in chunks of up to 1 MiB. Raises ObjectMissing; the chunks raise StorageError."""
        answer = self._call_with_checksum(S3Call.GET, lambda checksum: self._calls.get(key, checksum))
        with translating_errors(), closing(answer["Body"]) as body:
            yield self._info(answer), body.iter_chunks(CHUNK_BYTES)

    def describe(self, key: str, described: Description) -> None:
        """Replace an object's metadata by copying it onto itself, which S3 supports up to 5 GiB.

        Raises ObjectMissing, and StorageError if the store is known not to copy.
        """
        if not self.capabilities.can(Feature.TAGGING):
            raise StorageError("This S3 does not copy objects, so stored objects cannot be tagged.")
        self._call_with_checksum(S3Call.COPY, lambda checksum: self._calls.copy(key, described, checksum))

    def objects(self, prefix: str = "") -> Iterator[Listed]:
        """The objects under ``prefix``, ordered by the keys' bytes, one page in memory at a time."""
        where: dict[str, Any] = {"Prefix": prefix}
        while True:
            page = self._call(partial(self._calls.objects, **where))
            for each in page.get("Contents", []):
                yield Listed(each["Key"], each["Size"], each["ETag"], each["LastModified"])
            if not page.get("IsTruncated") or not page.get("NextContinuationToken"):
                return
            where["ContinuationToken"] = page["NextContinuationToken"]

    def keys(self, prefix: str = "") -> Iterator[str]:
        return (each.key for each in self.objects(prefix))

    def probe(self) -> Facts:
        """Probe the store's capabilities with a small object; returns them. Raises StorageError."""
        if not self.is_embedded:
            self.capabilities.learn(store_probe.probe_store(self._calls, self._call))
            self._probed_at = time.monotonic()
        return self.capabilities.facts

    def probe_if_due(self) -> None:
        """Probe the store unless that was done within the last minutes; a store that rejects every call is ignored.

        Raises StorageError for a bucket in another region, which HEAD does not report.
        """
        with self._probe_lock:  # concurrent callers wait for the result
            if self.is_embedded or time.monotonic() - self._probed_at < PROBE_INTERVAL_SECONDS:
                return
            self._probed_at = time.monotonic()
            try:
                self.probe()
            except StorageError as error:
                if error.answer and error.answer.region:
                    self._probed_at = -math.inf
                    raise
                log.info("store could not be probed", reason=error.public_message)

    def presign(self, key: str, *, seconds: int, disposition: str = "", internal: bool = False) -> str:
        """A link to the object, valid for ``seconds``, for browsers or (``internal``) for this server."""
        params = {"Bucket": self.bucket, "Key": key}
        if disposition:
            params["ResponseContentDisposition"] = disposition
        client = self._s3 if internal else self._public
        with translating_errors():
            return client.generate_presigned_url("get_object", Params=params, ExpiresIn=seconds)

    def signer(self, *, seconds: int) -> Callable[[str, str], str]:
        """A fast ``presign(key, disposition)`` for browsers, to sign many links now."""
        credentials = self._public._request_signer._credentials  # type: ignore[attr-defined] # noqa: SLF001 - its only place
        with translating_errors():
            return presign.signer(
                lambda key, disposition: self.presign(key, seconds=seconds, disposition=disposition),
                credentials.get_frozen_credentials() if credentials else None,
            )

    def _call(self, call: Callable[[], T]) -> T:
        """Call boto3, with retries while the store is unavailable. Raises StorageError."""

        def once() -> T:
            with translating_errors():
                return call()

        return s3_client.call_with_retry(once)

    def _call_with_checksum(self, operation: S3Call, send: Callable[[Checksum], T]) -> T:
        """Send a call with the best checksum that the store accepts.

        If the checksum may be why a call was rejected, probe the store and send the call again with the checksum that
        it then accepts, and at last with none.
        """
        checksum = self.capabilities.checksum_for(operation)
        try:
            return self._call(lambda: send(checksum))
        except StorageError as error:
            if self.is_embedded or checksum is Checksum.NONE or not may_be_checksum_refusal(error):
                raise
            rejected = error
        self.probe_if_due()
        accepted = self.capabilities.checksum_for(operation)
        try:
            return self._call(lambda: send(accepted))
        except StorageError as error:
            if accepted is Checksum.NONE or not may_be_checksum_refusal(error):
                raise
        with suppress(StorageError):
            return self._call(lambda: send(Checksum.NONE))
        raise rejected

    def _is_versioned(self) -> bool:
        """Ask the bucket if unknown; one that does not answer is taken as unversioned."""
        if self.capabilities.fact(Feature.VERSIONED) is None:
            try:
                status = self._call(self._calls.versioning)
            except StorageError as error:
                if error.retryable:
                    raise
                return False
            self.capabilities.note(Feature.VERSIONED, can=bool(status))
        return self.capabilities.can(Feature.VERSIONED)

    def _uploads_page(self, where: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """None if there is nothing to list, or the store turns out not to list uploads."""
        try:
            return self._call(partial(self._calls.uploads, **where))
        except ObjectMissing:
            return None  # rclone, for a bucket that never had an upload
        except StorageError as error:
            if error.retryable or error.answer is None or error.answer.region:
                raise
            self.probe_if_due()
            if self.capabilities.can(Feature.LIST_UPLOADS):
                raise
            return None

    def _delete(self, key: str) -> bool:
        """Returns whether versions of it may be left."""
        try:
            has_versions = self._call(lambda: self._calls.delete(key))
        except ObjectMissing:
            return False
        if has_versions:
            self.capabilities.note(Feature.VERSIONED, can=True)
        return has_versions

    def _record_kept(self, kept: KeptVersions | None) -> KeptVersions | None:
        self.capabilities.note(Feature.DELETE_VERSIONS, can=kept is None, why=kept.why if kept else "")
        if kept:
            log.warning("versions could not be deleted", count=kept.count, reason=kept.why)
        return kept

    def _info(self, head: "HeadObjectOutputTypeDef | GetObjectOutputTypeDef") -> ObjectInfo:
        metadata = {name.lower(): value for name, value in head["Metadata"].items()}
        headers = head.get("ContentType", ""), head.get("ContentDisposition", "")
        return ObjectInfo(head["ContentLength"], head["ETag"], metadata, self._crc32(head), *headers)

    def _crc32(self, head: "HeadObjectOutputTypeDef | GetObjectOutputTypeDef") -> int | None:
        """The whole object's. A COMPOSITE checksum, computed from those of the parts, is ignored."""
        if self.is_embedded:
            etag = head["ETag"].strip('"')
            return int(etag, 16) if re.fullmatch("[0-9a-f]{8}", etag) else None
        checksum = head.get("ChecksumCRC32", "")
        if not checksum or head.get("ChecksumType") == "COMPOSITE" or "-" in checksum:
            return None
        return int.from_bytes(base64.b64decode(checksum), "big")


@lru_cache(maxsize=1)
def connected() -> Storage:
    """The configured bucket: on AWS, another S3, or the embedded one."""
    chosen = settings()
    if chosen.uses_embedded_s3:
        keys = (chosen.installation.s3_access_key, chosen.installation.s3_secret_key)
        inside = create_client(f"http://127.0.0.1:{chosen.installation.s3_port}", *keys)
        seen = chosen.s3_public_endpoint_url or chosen.base_url
        return Storage(inside, lambda: create_client(seen, *keys), EMBEDDED_BUCKET, embedded=True)
    own = own_client()
    outside = chosen.s3_public_endpoint_url
    return Storage(
        own,
        lambda: own_client(outside) if outside else own,
        chosen.aws_s3_bucket_name,
        extra=_object_arguments(),
    )


def own_client(endpoint: str = "") -> "S3Client":
    """A client with the configured keys, for AWS_ENDPOINT_URL_S3 unless another ``endpoint`` is given."""
    chosen = settings()
    return create_client(
        endpoint or chosen.aws_endpoint_url_s3,
        chosen.aws_access_key_id,
        chosen.aws_secret_access_key.get_secret_value(),
        chosen.aws_session_token.get_secret_value(),
    )


def _object_arguments() -> dict[str, str]:
    chosen = settings()
    given = {
        "ServerSideEncryption": chosen.s3_sse,
        "SSEKMSKeyId": chosen.s3_sse_kms_key_id,
        "StorageClass": chosen.s3_storage_class,
    }
    return {name: value for name, value in given.items() if value}


def check_s3_disk_space(needed: int) -> None:
    """Raises DiskFull if ``needed`` bytes would fill the embedded S3's disk; any other S3 has its own."""
    if not settings().uses_embedded_s3:
        return
    free = shutil.disk_usage(settings().data_dir).free
    if free < needed + MARGIN_BYTES:
        raise DiskFull(
            f"The disk is full: {format_size(free)} are free, and {format_size(needed + MARGIN_BYTES)} are needed. "
            "Ask the admin for more room, then try again."
        )
