"""Output of `python -m videovault backup` and `restore`: what was copied, and what is wrong."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path

from sqlalchemy import inspect

from videovault import db
from videovault.commands.output import console, plain
from videovault.formatting import format_size
from videovault.services.maintenance import identity
from videovault.services.maintenance.backup.restore import Restored, restore_backup
from videovault.services.maintenance.backup.save import Findings, save_backup, verify_backup

COMPLETE, PROBLEMS = 0, 1
KEY_IN_SETTINGS = "SECRET_KEY comes from the settings and is not in the backup: keep it elsewhere. The backup is useless without it."
KEY_IN_BACKUP = "The backup holds the secret key of the installation: anyone who can read the folder can open everything in it."


def check_installation() -> None:
    """Raises ConfigurationError with another bucket's settings, whose objects are not those of this database."""
    if inspect(db.engine()).has_table("installation_facts"):  # a backup before an upgrade may lack it
        identity.check(identity.Role.COMMAND)


def save(folder: Path) -> int:
    """Take a backup and print the result; the exit status is 1 when something is missing from it, else 0."""
    saved = save_backup(folder)
    manifest = saved.manifest
    _print(
        f"{'Continued and completed' if saved.continued else 'Completed'} the backup in {folder}: "
        f"{manifest.videos:,} stored videos; {manifest.objects:,} objects of {format_size(manifest.bytes)}, "
        f"of which {saved.copied:,} of {format_size(saved.copied_bytes)} were copied now.",
        KEY_IN_BACKUP if manifest.key.source == "installation" else KEY_IN_SETTINGS,
    )
    return _print_findings(saved.findings, "These are missing from the backup or cannot be opened")


def verify(folder: Path) -> int:
    """Check a backup and print the result; the exit status is 1 when something is wrong, else 0."""
    verified = verify_backup(folder)
    manifest = verified.manifest
    _print(
        f"The backup in {folder} was taken at {manifest.taken_at:%Y-%m-%d %H:%M:%S} UTC: {manifest.videos:,} stored videos; "
        f"{manifest.objects:,} objects of {format_size(manifest.bytes)}; a {manifest.database.kind} database of revision "
        f"{manifest.database.revision}."
    )
    if not verified.findings.count:
        _print("Every file is intact, every stored video has its object, and the key opens every secret key.")
    return _print_findings(verified.findings, "This is wrong")


def restore(folder: Path, *, force: bool, storage_running: Callable[[], AbstractContextManager[None]]) -> int:
    """Restore a backup and print the result; the exit status is 1 when something was missing from it, else 0."""
    restored = restore_backup(folder, force=force, storage_running=storage_running)
    _print(*_restore_lines(restored, folder))
    return _print_findings(restored.findings, "These were missing from the backup or cannot be opened")


def _restore_lines(restored: Restored, folder: Path) -> Iterable[str]:
    manifest, objects, adjusted = restored.manifest, restored.objects, restored.adjusted
    yield f"Restored the backup of {manifest.taken_at:%Y-%m-%d %H:%M:%S} UTC from {folder}."
    yield (
        f"Objects: {objects.put:,} of {format_size(objects.bytes)} uploaded, {objects.present:,} were already in the bucket."
    )
    for count, sentence in (
        (adjusted.queued, "were being stored and are queued: each is fetched from its source again."),
        (adjusted.awaited, "wait for their generators, which have at least half an hour to report."),
        (adjusted.not_ordered, "were about to be ordered and are marked as failed: their owners can retry."),
        (adjusted.lost, "have no object, or a different one, and are marked as failed."),
        (adjusted.retagged, "have new tags on their objects."),
    ):
        if count:
            yield f"Videos: {count:,} {sentence}"
    yield f"Unsent notices: {adjusted.notices:,}, discarded, since they may have been sent after the backup."
    yield (
        f"Everyone has to sign in again ({adjusted.sessions:,} sessions ended). API tokens and passwords are those of "
        "the backup, even if they were revoked or changed later: revoke tokens that must not work."
    )
    for path in restored.aside:
        yield f"The previous content is kept as {path}."
    yield "Next: start VideoVault, and compare bucket and database with `python -m videovault reconcile`."


def _print_findings(findings: Findings, title: str) -> int:
    if not findings.count:
        return COMPLETE
    more = (
        f" (the first {len(findings.named)} of {findings.count:,})"
        if findings.count > len(findings.named)
        else ""
    )
    _print("", f"{title}{more}:", *(f"  {each}" for each in findings.named))
    return PROBLEMS


def _print(*lines: str) -> None:
    for line in lines:
        console().print(plain(line))
