"""Permanent deletion in a versioned bucket, where DeleteObject only adds a delete marker."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby
from typing import Any

from videovault.errors import StorageError
from videovault.gateways.s3_calls import S3Calls
from videovault.gateways.s3_client import ObjectMissing
from videovault.gateways.s3_types import KeptVersions, Version

CallStore = Callable[[Callable[[], Any]], Any]


def list_versions(calls: S3Calls, call: CallStore, prefix: str) -> Iterator[Version]:
    """Versions and delete markers under ``prefix`` by key, one page in memory. Raises StorageError."""
    where: dict[str, Any] = {"Prefix": prefix}
    while True:
        page = call(partial(calls.versions, **where))
        found = [_version(each, is_marker=False) for each in page.get("Versions", [])]
        found += [_version(each, is_marker=True) for each in page.get("DeleteMarkers", [])]
        yield from sorted(found, key=lambda each: each.key.encode())
        if not page.get("IsTruncated") or not page.get("NextKeyMarker"):
            return
        where = {"Prefix": prefix, "KeyMarker": page["NextKeyMarker"]}
        if page.get("NextVersionIdMarker"):
            where["VersionIdMarker"] = page["NextVersionIdMarker"]


def delete_versions(
    calls: S3Calls, call: CallStore, prefix: str, key: str | None = None
) -> KeptVersions | None:
    """Delete every version under ``prefix``, or of ``key`` only. Returns the versions that remain, or None.

    Delete markers come last, and only once no version of their key is left: without its marker an object would
    reappear. Raises StorageError when the store is unavailable.
    """
    kept, why = 0, ""
    try:
        versions = [each for each in list_versions(calls, call, prefix) if key in (None, each.key)]
    except StorageError as error:
        if error.retryable:
            raise
        return KeptVersions(0, reason_of(error))
    for _, of_key in groupby(sorted(versions, key=lambda each: (each.key, each.is_marker)), lambda v: v.key):
        remaining = 0
        for each in of_key:
            if each.is_marker and remaining:
                continue
            refused = _delete_one(calls, call, each)
            remaining += bool(refused) and not each.is_marker
            why = why or refused
        kept += remaining
    return KeptVersions(kept, why) if why else None


def reason_of(error: StorageError) -> str:
    """For admins: the store's own message, if any."""
    return str(error.answer or error.public_message)


def _delete_one(calls: S3Calls, call: CallStore, version: Version) -> str:
    try:
        call(lambda: calls.delete_version(version.key, version.version_id))
    except ObjectMissing:
        return ""
    except StorageError as error:
        if error.retryable:
            raise
        return reason_of(error)
    return ""


def _version(listed: Any, *, is_marker: bool) -> Version:
    return Version(
        listed["Key"],
        listed.get("VersionId", "null"),
        listed.get("Size", 0),
        listed["LastModified"],
        is_current=bool(listed.get("IsLatest")),
        is_marker=is_marker,
    )
