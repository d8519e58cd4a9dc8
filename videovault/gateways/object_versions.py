"""Deleting for good in a versioned bucket, where DeleteObject only hides an object behind a delete marker."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby
from typing import Any

from videovault.errors import StorageError
from videovault.gateways.s3 import ObjectMissing
from videovault.gateways.s3_calls import S3Calls
from videovault.gateways.s3_types import KeptVersions, Version

Ask = Callable[[Callable[[], Any]], Any]


def list_versions(calls: S3Calls, ask: Ask, prefix: str) -> Iterator[Version]:
    """Versions and delete markers under ``prefix`` by key, one page in memory. Raises StorageError."""
    where: dict[str, Any] = {"Prefix": prefix}
    while True:
        page = ask(partial(calls.versions, **where))
        found = [_version(each, is_marker=False) for each in page.get("Versions", [])]
        found += [_version(each, is_marker=True) for each in page.get("DeleteMarkers", [])]
        yield from sorted(found, key=lambda each: each.key.encode())
        if not page.get("IsTruncated") or not page.get("NextKeyMarker"):
            return
        where = {"Prefix": prefix, "KeyMarker": page["NextKeyMarker"]}
        if page.get("NextVersionIdMarker"):
            where["VersionIdMarker"] = page["NextVersionIdMarker"]


def delete_versions(calls: S3Calls, ask: Ask, prefix: str, key: str | None = None) -> KeptVersions | None:
    """Delete every version under ``prefix``, or of ``key`` alone; what stayed, or None.

    Markers go last and only where nothing of their key is left: without its marker an object would be back.
    Raises StorageError when the store is away.
    """
    kept, why = 0, ""
    try:
        versions = [each for each in list_versions(calls, ask, prefix) if key in (None, each.key)]
    except StorageError as error:
        if error.retryable:
            raise
        return KeptVersions(0, reason_of(error))
    for _, of_key in groupby(sorted(versions, key=lambda each: (each.key, each.is_marker)), lambda v: v.key):
        stays = 0
        for each in of_key:
            if each.is_marker and stays:
                continue
            refused = _refused(calls, ask, each)
            stays += bool(refused) and not each.is_marker
            why = why or refused
        kept += stays
    return KeptVersions(kept, why) if why else None


def reason_of(error: StorageError) -> str:
    """For admins: the store's own, where it said anything."""
    return str(error.answer or error.public_message)


def _refused(calls: S3Calls, ask: Ask, version: Version) -> str:
    try:
        ask(lambda: calls.delete_version(version.key, version.version_id))
    except ObjectMissing:
        return ""
    except StorageError as error:
        if error.retryable:
            raise
        return reason_of(error)
    return ""


def _version(told: Any, *, is_marker: bool) -> Version:
    return Version(
        told["Key"],
        told.get("VersionId", "null"),
        told.get("Size", 0),
        told["LastModified"],
        is_current=bool(told.get("IsLatest")),
        is_marker=is_marker,
    )
