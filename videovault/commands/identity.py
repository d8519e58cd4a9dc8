"""Output of `python -m videovault identity`: what the installation uses, and what the settings here say."""

import sys

from rich.table import Table

from videovault.commands.output import console, plain
from videovault.errors import ConfigurationError
from videovault.services.maintenance import identity
from videovault.services.transfer import lease

SAME, DIFFERENT = 0, 1
CONFIRMATION = "accept"


def show() -> int:
    """Print both; the exit status is 1 if they differ, else 0."""
    known, own = identity.recorded(), identity.of_this_process()
    table = Table("setting", "installation", "here", box=None)
    for name, setting in identity.SETTINGS.items():
        table.add_row(setting, plain(known.get(name) or "-"), plain(own[name] or "-"))
    console().print(table)
    console().print(plain(f"newest version: {known.get(identity.VERSION) or 'none'}"))
    return SAME if all(known.get(name) == own[name] for name in identity.SETTINGS) else DIFFERENT


def accept(*, confirmed: bool) -> int:
    """Make the settings here the installation's; the exit status is 1 if not confirmed, else 0.

    Raises ConfigurationError while workers run: they would go on with the previous settings.
    """
    alive, _ = lease.list_workers()
    if alive:
        raise ConfigurationError(
            f"{len(alive):,} workers are running with the present settings ({', '.join(sorted({w.host for w in alive}))}). "
            f"Stop them, and wait {lease.SILENT_AFTER.seconds} seconds if they were killed."
        )
    if show() == SAME:
        return SAME
    console().print("Stored videos and waiting jobs are not moved: their objects must be in the new bucket.")
    if not (confirmed or _confirmed()):
        console().print("Nothing was changed.")
        return DIFFERENT
    for change in identity.accept():
        console().print(plain(f"{change.setting}: {change.installation} -> {change.process}"))
    return SAME


def _confirmed() -> bool:
    sys.stdout.flush()
    try:
        return input(f"Type {CONFIRMATION} to continue: ").strip().lower() == CONFIRMATION
    except EOFError:
        return False
