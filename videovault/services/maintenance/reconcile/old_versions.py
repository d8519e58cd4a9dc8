"""What a versioned bucket has kept of files that are deleted: versions and delete markers that no video claims."""

from collections.abc import Iterator
from datetime import datetime
from itertools import groupby

from videovault.gateways import storage
from videovault.gateways.storage import Version
from videovault.services.maintenance.reconcile.folders import OURS, Folder, batches, claims, rows_of
from videovault.services.maintenance.reconcile.report import Finding, Kind


def old_versions(before: datetime) -> Iterator[Finding]:
    """One finding for each key. What is not older than ``before`` may be about to be deleted. Raises StorageError."""
    by_key = groupby(storage.connected().versions("videos/"), key=lambda each: each.key)
    hidden = ((key, found) for key, found in ((key, list(each)) for key, each in by_key) if _is_hidden(found))
    ours = ((match, found) for key, found in hidden if (match := OURS.fullmatch(key)))
    for batch in batches(ours):
        rows = rows_of([Folder(match[1], match[2]) for match, _ in batch])
        for match, found in batch:
            owned = rows.get(Folder(match[1], match[2]).prefix)
            if not claims(owned.video if owned else None, match[0]):
                yield _finding(match[0], found, before)


def _is_hidden(of_key: list[Version]) -> bool:
    """Whether listings do not show the object: an object without a video is a finding of its own."""
    return all(each.is_marker or not each.is_current for each in of_key)


def _finding(key: str, found: list[Version], before: datetime) -> Finding:
    young = any(each.modified_at >= before for each in found)
    versions = sum(not each.is_marker for each in found)
    detail = f"{versions:,} versions" if versions else "a delete marker"
    return Finding(
        Kind.OLD_VERSION,
        key,
        sum(each.size for each in found),
        "too young to be judged" if young else detail,
        young,
    )
