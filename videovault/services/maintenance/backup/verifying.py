"""Whether a backup could be restored: every file against the manifest, and the rows against objects and key."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from videovault import security
from videovault.errors import InvalidInput
from videovault.services.maintenance.backup import database, files
from videovault.services.maintenance.backup import manifest as backup_manifest
from videovault.services.maintenance.backup.catalogue import Catalogue, Entry
from videovault.services.maintenance.backup.files import Damaged
from videovault.services.maintenance.backup.manifest import Manifest

MOST_NAMED = 20


@dataclass
class Findings:
    """How many things are wrong, with sentences about the first 20."""

    count: int = 0
    named: list[str] = field(default_factory=list)

    def add(self, sentence: str) -> None:
        self.count += 1
        if len(self.named) < MOST_NAMED:
            self.named.append(sentence)


@dataclass(frozen=True)
class Verified:
    manifest: Manifest
    findings: Findings


def verify(folder: Path) -> Verified:
    """Read the whole backup and compare it with itself.

    Raises InvalidInput when there is no complete backup, Damaged when what lists the others cannot be trusted.
    """
    with files.locked(_existing(folder)):
        made = backup_manifest.read(folder)
        findings = Findings()
        _check_database(folder, made, findings)
        keys = _keys(folder, made, findings)
        with Catalogue.reading(backup_manifest.check(folder, made.catalogue)) as catalogue:
            for entry in catalogue.entries():
                _check_object(folder, entry, findings)
            _judge(catalogue, keys, findings)
    return Verified(made, findings)


def judged(catalogue: Catalogue, keys: Sequence[str]) -> Findings:
    """The ready videos without their objects, and the sealed values that none of ``keys`` opens."""
    findings = Findings()
    _judge(catalogue, keys, findings)
    return findings


def keys_of(folder: Path, made: Manifest) -> Sequence[str]:
    """The keys to open the backup with. Raises Damaged; InvalidInput when they are not those that sealed in it."""
    kept = backup_manifest.installation_of(folder, made)
    keys = backup_manifest.keys_with(kept)
    if made.key.source == "installation" and kept is not None:
        keys = [*keys, kept.secret_key]
    if made.key.fingerprint not in map(security.key_fingerprint, keys):
        raise InvalidInput(
            "The backup was sealed by a SECRET_KEY from the settings, which is not in it: set SECRET_KEY to that of "
            "the installation that was backed up."
            if made.key.source == "settings"
            else "The backup's key file does not hold the key that sealed in its database."
        )
    return keys


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise InvalidInput(f"{folder} is not a folder.")
    return folder


def _check_database(folder: Path, made: Manifest, findings: Findings) -> None:
    try:
        path = backup_manifest.check(folder, made.database.file)
        if made.database.kind == "sqlite":
            database.check_sqlite(path)
    except Damaged as error:
        findings.add(error.public_message)


def _keys(folder: Path, made: Manifest, findings: Findings) -> Sequence[str] | None:
    try:
        return keys_of(folder, made)
    except InvalidInput as error:
        findings.add(error.public_message)
        return None


def _check_object(folder: Path, entry: Entry, findings: Findings) -> None:
    try:
        found = files.sum_of(folder / entry.path)
    except Damaged as error:
        findings.add(f"{entry.key}: {error.public_message}")
        return
    if (found.size, found.sha256, found.crc32) != (entry.size, entry.sha256, entry.crc32):
        findings.add(
            f"{entry.key}: {folder / entry.path} is damaged. Delete this file: the next backup copies it again."
        )


def _judge(catalogue: Catalogue, keys: Sequence[str] | None, findings: Findings) -> None:
    for missing in catalogue.missing():
        findings.add(f"{missing.video_id} ({missing.title}): {missing.why}.")
    if keys is None:
        return
    for each in catalogue.sealed():
        if (
            security.open_sealed(each.value, owner_id=each.owner_id, video_id=each.video_id, keys=keys)
            is None
        ):
            findings.add(f"{each.video_id}: its secret key does not open by the SECRET_KEY.")
