"""`python -m videovault backup` and `restore` as a person reads them: what was copied, and what is wrong."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path

from rich.console import Console
from rich.text import Text

from videovault.formatting import format_size
from videovault.services.maintenance import backup
from videovault.services.maintenance.backup import Findings, Restored

DONE, SOMETHING = 0, 1
KEY_IN_SETTINGS = "SECRET_KEY comes from the settings and is not in the backup: keep it elsewhere. Without it the backup opens nothing."
KEY_IN_BACKUP = (
    "The backup holds the secret key of the installation: who can read the folder can open everything in it."
)


def save(folder: Path) -> int:
    """Take a backup and tell of it on stdout; the exit status: 1 when something is missing from it, else 0."""
    saved = backup.save(folder)
    made = saved.manifest
    _say(
        f"{'Continued and completed' if saved.continued else 'Completed'} the backup in {folder}: "
        f"{made.videos:,} stored videos; {made.objects:,} objects of {format_size(made.bytes)}, "
        f"of which {saved.copied:,} of {format_size(saved.copied_bytes)} were copied now.",
        KEY_IN_BACKUP if made.key.source == "installation" else KEY_IN_SETTINGS,
    )
    return _tell(saved.findings, "These are missing from the backup or cannot be opened")


def verify(folder: Path) -> int:
    """Check a backup and tell of it on stdout; the exit status: 1 when something is wrong, else 0."""
    verified = backup.verify(folder)
    made = verified.manifest
    _say(
        f"The backup in {folder} was taken at {made.taken_at:%Y-%m-%d %H:%M:%S} UTC: {made.videos:,} stored videos; "
        f"{made.objects:,} objects of {format_size(made.bytes)}; a {made.database.kind} database of revision "
        f"{made.database.revision}."
    )
    if not verified.findings.count:
        _say(
            "Every file is as it was written, every stored video has its object, and the key opens every secret key."
        )
    return _tell(verified.findings, "This is wrong")


def restore(folder: Path, *, force: bool, storage_running: Callable[[], AbstractContextManager[None]]) -> int:
    """Restore a backup and tell of it on stdout; the exit status: 1 when something was missing from it, else 0."""
    restored = backup.restore(folder, force=force, storage_running=storage_running)
    _say(*_restored(restored, folder))
    return _tell(restored.findings, "These were missing from the backup or cannot be opened")


def _restored(restored: Restored, folder: Path) -> Iterable[str]:
    made, objects, settled = restored.manifest, restored.objects, restored.settled
    yield f"Restored the backup of {made.taken_at:%Y-%m-%d %H:%M:%S} UTC from {folder}."
    yield (
        f"Objects: {objects.put:,} of {format_size(objects.bytes)} put into the bucket, {objects.present:,} were there already."
    )
    for count, sentence in (
        (settled.queued, "that were being stored are queued: each is fetched from its source again."),
        (settled.awaited, "wait for their generators, which have at least half an hour to report."),
        (settled.never_requested, "were about to be ordered and are marked as failed: their owners decide."),
        (settled.lost, "have no object, or another one, and are marked as failed."),
        (settled.retagged, "have new tags on their objects."),
    ):
        if count:
            yield f"Videos: {count:,} {sentence}"
    yield f"Notices that were not sent yet: {settled.notices:,}, not sent, since they may have been sent after the backup."
    yield (
        f"Everyone has to sign in again ({settled.sessions:,} sessions ended). API tokens and passwords are those of "
        "the backup, also those that were revoked or changed after it: revoke tokens that must not work."
    )
    for place in restored.aside:
        yield f"What was here before is kept as {place}."
    yield "Next: start VideoVault, and compare bucket and database by `python -m videovault reconcile`."


def _tell(findings: Findings, title: str) -> int:
    if not findings.count:
        return DONE
    more = (
        f" (the first {len(findings.named)} of {findings.count:,})"
        if findings.count > len(findings.named)
        else ""
    )
    _say("", f"{title}{more}:", *(f"  {each}" for each in findings.named))
    return SOMETHING


def _say(*lines: str) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for line in lines:  # names from outside are no markup, and what cannot be printed is left out
        console.print(Text("".join(char for char in line if char.isprintable())))
