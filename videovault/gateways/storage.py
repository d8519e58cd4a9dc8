"""The S3 bucket: objects, multipart uploads and presigned URLs."""

import base64
import hashlib
import math
import re
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import cached_property, lru_cache, partial, reduce
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from videovault import logs
from videovault.config import EMBEDDED_BUCKET, settings
from videovault.errors import StorageError
from videovault.gateways import object_versions, s3_retry, store_probe
from videovault.gateways import presign as gateways_presign
from videovault.gateways.s3 import ObjectMissing, UploadLost, client, translating_errors
from videovault.gateways.s3_calls import Body, S3Calls
from videovault.gateways.s3_types import (
    Description,
    KeptVersions,
    Listed,
    ObjectInfo,
    Part,
    SentPart,
    Upload,
    Version,
)
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

# rclone keeps parts that come before their turn in memory, up to 64 MiB, and then waits for the missing one.
EMBEDDED_AHEAD_BYTES = 60 * 1024**2
PIECE_BYTES = 1024**2
# A store that has just been looked at is not looked at again for every refusal.
LEARN_AGAIN_SECONDS = 600.0
# docs/decisions/0007 says what rclone does.
EMBEDDED_FACTS: Mapping[str, str] = {Feature.METADATA: "no", Feature.TAGGING: "no", Feature.VERSIONED: "no"}
T = TypeVar("T")
log = logs.get(__name__)


class Storage:
    """One bucket. ``public`` makes the client that signs links for the address that browsers use.

    Every call waits for a store that is away as ``retry`` says, and carries the checksums that the store is known to
    take. ``embedded``: this is rclone, which forgets metadata, and whose ETag is the object's CRC-32. ``extra`` are
    arguments of boto3 for each new object: encryption and storage class.
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
        self.max_lead_bytes = EMBEDDED_AHEAD_BYTES if embedded else None
        store = f"{client.meta.endpoint_url} {bucket}"
        self.capabilities = Capabilities(store, EMBEDDED_FACTS if embedded else None)
        self._learning = Lock()
        self._learned_at = -math.inf

    @property
    def has_public_address(self) -> bool:
        """Whether browsers reach the store by another address than this server."""
        return self._public is not self._s3

    @property
    def keeps_metadata(self) -> bool:
        return self.capabilities.can(Feature.METADATA)

    @cached_property
    def _public(self) -> "S3Client":
        return self._make_public()

    def put(self, key: str, body: Body, described: Description, crc32: int | None = None) -> str:
        """Store an object; its ETag. S3 compares the CRC-32 (computed if not given) with what it received."""
        known = zlib.crc32(body) if crc32 is None else crc32
        return self._proven(
            S3Call.PUT, lambda sums: self._calls.put(key, body, described, known, sums)["ETag"]
        )

    def start_upload(self, key: str, described: Description) -> str:
        """Begin a multipart upload; its id."""
        return self._proven(S3Call.CREATE, lambda sums: self._calls.create(key, described, sums))

    def upload_part(self, key: str, upload_id: str, number: int, body: Body, crc32: int) -> Part:
        """Send one part; ``number`` counts from 1. A bytearray is sent without being copied.

        Raises UploadLost when S3 does not know the upload any more.
        """
        etag = self._proven(
            S3Call.PART, lambda sums: self._calls.part(key, upload_id, number, body, crc32, sums)
        )
        return Part(number, len(body), etag)

    def parts(self, key: str, upload_id: str) -> list[Part] | None:
        """The parts that S3 has of an upload, None where it does not tell. Raises UploadLost."""
        found: list[Part] = []
        where: dict[str, Any] = {"Key": key, "UploadId": upload_id}
        try:
            while True:
                page = self._ask(partial(self._calls.parts, **where))
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
            return None  # the permission may be missing: Complete will tell

    def complete_upload(self, key: str, upload_id: str, parts: Sequence[SentPart], crc32: int) -> None:
        """Make the object of ``parts``, in their order; ``crc32`` is that of the whole.

        Raises UploadLost when the upload, or a part of it, is not there, or was sent in a way that the store turned
        out not to take.
        """
        before, tries = self.capabilities.sums(S3Call.PART), 0

        def complete(sums: Checksum) -> None:
            nonlocal tries
            tries += 1
            self._calls.complete(key, upload_id, parts, crc32, sums)

        try:
            self._proven(S3Call.COMPLETE, complete)
        except UploadLost as error:
            error.may_be_complete = (
                tries > 1 and error.answer is not None and error.answer.code == "NoSuchUpload"
            )
            raise
        except StorageError as error:
            now = self.capabilities.sums(S3Call.PART)
            if now != before or (now is not Checksum.CRC32 and may_be_checksum_refusal(error)):
                raise UploadLost(
                    "S3 did not take the parts as they were sent.", answer=error.answer
                ) from error
            raise

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Throw an unfinished upload away; one that is gone already is fine."""
        with suppress(ObjectMissing):
            self._ask(lambda: self._calls.abort(key, upload_id))

    def info(self, key: str, *, wait_seconds: float = 0) -> ObjectInfo | None:
        """What S3 says of the object, or None when there is none.

        ``wait_seconds``: for an object that was just stored, how long the store may take to show it.
        """

        def look() -> ObjectInfo | None:
            try:
                return self._info(self._proven(S3Call.HEAD, lambda sums: self._calls.head(key, sums)))
            except ObjectMissing:
                return None

        return s3_retry.poll_until(look, lambda found: found is not None, wait_seconds)

    def proved(self, call: S3Call, body: Body, etag: str) -> bool:
        """Whether the store has compared a checksum of ``body``, or answered with its MD5 as the ETag."""
        if self.is_embedded or self.capabilities.sums(call) is Checksum.CRC32:
            return True
        return etag.strip('"') == hashlib.md5(body, usedforsecurity=False).hexdigest()

    def read_crc32(self, key: str) -> int:
        """The CRC-32 of the whole object, read back. Raises ObjectMissing, StorageError."""

        def read() -> int:
            with self.download(key) as (_, pieces):
                return reduce(lambda crc32, piece: zlib.crc32(piece, crc32), pieces, 0)

        return s3_retry.call_with_retry(read)

    def uploads(self, prefix: str = "") -> Iterator[Upload]:
        """The unfinished uploads of keys that begin with ``prefix``; none where the store does not list them."""
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
        """Delete objects with all their versions; those that are gone already are fine.

        What could not be deleted of earlier versions, or None: the objects themselves are gone from every listing.
        """
        kept: KeptVersions | None = None
        for key in keys:
            if self._delete(key):
                kept = self._noted(object_versions.delete_versions(self._calls, self._ask, key, key)) or kept
        return kept

    def delete_folder(self, prefix: str) -> KeptVersions | None:
        """Delete all objects under ``prefix`` as ``delete`` does, and the versions of those deleted before."""
        has_versions = self.capabilities.can(Feature.VERSIONED)
        for key in list(self.keys(prefix)):
            has_versions = self._delete(key) or has_versions
        return (
            self._noted(object_versions.delete_versions(self._calls, self._ask, prefix))
            if has_versions
            else None
        )

    def versions(self, prefix: str) -> Iterator[Version]:
        """Versions and delete markers under ``prefix`` in the order of keys; none in a bucket without versions."""
        if self._is_versioned():
            yield from object_versions.list_versions(self._calls, self._ask, prefix)

    def delete_versions(self, key: str) -> KeptVersions | None:
        """Delete what a versioned bucket has kept of ``key``, which has no object any more."""
        return self._noted(object_versions.delete_versions(self._calls, self._ask, key, key))

    def read(self, key: str, most: int) -> bytes | None:
        """The object's first ``most`` bytes, None when there is no such object."""

        def fetch() -> bytes:
            with self._calls.get(key, Checksum.NONE)["Body"] as body:
                return body.read(most)

        try:
            return self._ask(fetch)
        except ObjectMissing:
            return None

    @contextmanager
    def download(self, key: str) -> Iterator[tuple[ObjectInfo, Iterator[bytes]]]:
        """The object and its bytes, in pieces of 1 MiB at most. Raises ObjectMissing; the pieces raise StorageError."""
        answer = self._proven(S3Call.GET, lambda sums: self._calls.get(key, sums))
        with translating_errors(), closing(answer["Body"]) as body:
            yield self._info(answer), body.iter_chunks(PIECE_BYTES)

    def describe(self, key: str, described: Description) -> None:
        """Describe an object anew by copying it onto itself, which S3 does for 5 GiB at most.

        Raises ObjectMissing, and StorageError where the store is known not to copy.
        """
        if not self.capabilities.can(Feature.TAGGING):
            raise StorageError("S3 does not copy objects here, so a stored one cannot be tagged.")
        self._proven(S3Call.COPY, lambda sums: self._calls.copy(key, described, sums))

    def objects(self, prefix: str = "") -> Iterator[Listed]:
        """What lies under ``prefix``, in the order of the keys' bytes, one page in memory at a time."""
        where: dict[str, Any] = {"Prefix": prefix}
        while True:
            page = self._ask(partial(self._calls.objects, **where))
            for each in page.get("Contents", []):
                yield Listed(each["Key"], each["Size"], each["ETag"], each["LastModified"])
            if not page.get("IsTruncated") or not page.get("NextContinuationToken"):
                return
            where["ContinuationToken"] = page["NextContinuationToken"]

    def keys(self, prefix: str = "") -> Iterator[str]:
        return (each.key for each in self.objects(prefix))

    def learn(self) -> Facts:
        """Find out again what the store can do, with a small object; what was found. Raises StorageError."""
        if not self.is_embedded:
            self.capabilities.learn(store_probe.probe_store(self._calls, self._ask))
            self._learned_at = time.monotonic()
        return self.capabilities.facts

    def learn_if_due(self) -> None:
        """``learn`` where that was not done within the last minutes; a store that refuses all of it teaches nothing.

        Raises StorageError for a bucket in another region, which HEAD does not say.
        """
        with self._learning:  # others that were refused at the same time wait for the outcome
            if self.is_embedded or time.monotonic() - self._learned_at < LEARN_AGAIN_SECONDS:
                return
            self._learned_at = time.monotonic()
            try:
                self.learn()
            except StorageError as error:
                if error.answer and error.answer.region:
                    self._learned_at = -math.inf
                    raise
                log.info("nothing learned of the store", reason=error.public_message)

    def presign(self, key: str, *, seconds: int, disposition: str = "", internal: bool = False) -> str:
        """A link to the object that lives ``seconds``, for browsers or (``internal``) for this server."""
        params = {"Bucket": self.bucket, "Key": key}
        if disposition:
            params["ResponseContentDisposition"] = disposition
        client = self._s3 if internal else self._public
        with translating_errors():
            return client.generate_presigned_url("get_object", Params=params, ExpiresIn=seconds)

    def signer(self, *, seconds: int) -> Callable[[str, str], str]:
        """``presign`` of a key and a disposition, for browsers, for many of them now."""
        credentials = self._public._request_signer._credentials  # type: ignore[attr-defined] # noqa: SLF001 - its only place
        with translating_errors():
            return gateways_presign.signer(
                lambda key, disposition: self.presign(key, seconds=seconds, disposition=disposition),
                credentials.get_frozen_credentials() if credentials else None,
            )

    def _ask(self, call: Callable[[], T]) -> T:
        """The outcome of a call to boto3, repeated while the store is away. Raises StorageError."""

        def once() -> T:
            with translating_errors():
                return call()

        return s3_retry.call_with_retry(once)

    def _proven(self, call: S3Call, send: Callable[[Checksum], T]) -> T:
        """The outcome of a call with the best checksum that the store takes.

        A refusal that may be meant for the checksum makes us look closer, and the call is sent again: as before if
        the refusal was an odd one, else as the store takes it.
        """
        sums = self.capabilities.sums(call)
        try:
            return self._ask(lambda: send(sums))
        except StorageError as error:
            if self.is_embedded or sums is Checksum.NONE or not may_be_checksum_refusal(error):
                raise
            refused = error
        self.learn_if_due()
        found = self.capabilities.sums(call)
        try:
            return self._ask(lambda: send(found))
        except StorageError as error:
            if found is Checksum.NONE or not may_be_checksum_refusal(error):
                raise
        with suppress(StorageError):
            return self._ask(lambda: send(Checksum.NONE))
        raise refused

    def _is_versioned(self) -> bool:
        """Asks the bucket where nothing is known; one that does not tell is taken for one without versions."""
        if self.capabilities.fact(Feature.VERSIONED) is None:
            try:
                status = self._ask(self._calls.versioning)
            except StorageError as error:
                if error.retryable:
                    raise
                return False
            self.capabilities.note(Feature.VERSIONED, can=bool(status))
        return self.capabilities.can(Feature.VERSIONED)

    def _uploads_page(self, where: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """None where there is nothing to list, or the store turns out not to list uploads."""
        try:
            return self._ask(partial(self._calls.uploads, **where))
        except ObjectMissing:
            return None  # rclone's word for a bucket that never had one
        except StorageError as error:
            if error.retryable or error.answer is None or error.answer.region:
                raise
            self.learn_if_due()
            if self.capabilities.can(Feature.LIST_UPLOADS):
                raise
            return None

    def _delete(self, key: str) -> bool:
        """Whether versions of it may be left."""
        try:
            has_versions = self._ask(lambda: self._calls.delete(key))
        except ObjectMissing:
            return False
        if has_versions:
            self.capabilities.note(Feature.VERSIONED, can=True)
        return has_versions

    def _noted(self, kept: KeptVersions | None) -> KeptVersions | None:
        self.capabilities.note(Feature.DELETE_VERSIONS, can=kept is None, why=kept.why if kept else "")
        if kept:
            log.warning("versions kept", count=kept.count, reason=kept.why)
        return kept

    def _info(self, head: "HeadObjectOutputTypeDef | GetObjectOutputTypeDef") -> ObjectInfo:
        metadata = {name.lower(): value for name, value in head["Metadata"].items()}
        told = head.get("ContentType", ""), head.get("ContentDisposition", "")
        return ObjectInfo(head["ContentLength"], head["ETag"], metadata, self._crc32(head), *told)

    def _crc32(self, head: "HeadObjectOutputTypeDef | GetObjectOutputTypeDef") -> int | None:
        """Of the whole object: one made of the sums of its parts (COMPOSITE) says nothing about it."""
        if self.is_embedded:
            etag = head["ETag"].strip('"')
            return int(etag, 16) if re.fullmatch("[0-9a-f]{8}", etag) else None
        told = head.get("ChecksumCRC32", "")
        if not told or head.get("ChecksumType") == "COMPOSITE" or "-" in told:
            return None
        return int.from_bytes(base64.b64decode(told), "big")


@lru_cache(maxsize=1)
def connected() -> Storage:
    """The bucket that the settings name: AWS, another S3, or the embedded one."""
    chosen = settings()
    if chosen.uses_embedded_s3:
        keys = (chosen.installation.s3_access_key, chosen.installation.s3_secret_key)
        inside = client(f"http://127.0.0.1:{chosen.installation.s3_port}", *keys)
        seen = chosen.s3_public_endpoint_url or chosen.base_url
        return Storage(inside, lambda: client(seen, *keys), EMBEDDED_BUCKET, embedded=True)
    secrets = (
        chosen.aws_access_key_id,
        chosen.aws_secret_access_key.get_secret_value(),
        chosen.aws_session_token.get_secret_value(),
    )
    own = client(chosen.aws_endpoint_url_s3, *secrets)
    outside = chosen.s3_public_endpoint_url
    return Storage(
        own, lambda: client(outside, *secrets) if outside else own, chosen.aws_s3_bucket_name, extra=_extra()
    )


def _extra() -> dict[str, str]:
    chosen = settings()
    given = {
        "ServerSideEncryption": chosen.s3_sse,
        "SSEKMSKeyId": chosen.s3_sse_kms_key_id,
        "StorageClass": chosen.s3_storage_class,
    }
    return {name: value for name, value in given.items() if value}
