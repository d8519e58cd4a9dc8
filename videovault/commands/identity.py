"""Output of `identity`, `reconcile --rekey` and `reseal`: what makes the installation one, its settings and its keys."""

import sys

from rich.table import Table

from videovault.commands.output import console, plain
from videovault.errors import ConfigurationError
from videovault.services.maintenance import identity, keys
from videovault.services.transfer import lease

SAME, DIFFERENT = 0, 1
REKEYED, UNCHANGED = 0, 1
RESEALED, UNOPENED_LEFT = 0, 1
REMOVE_OLD_KEY = (
    "SECRET_KEY_OLD is no longer needed for these. Running generators still use callback tokens signed with the old key: "
    "remove it once their videos are ready."
)
NEEDS_OLD_KEY = (
    "No configured key opens the others: add the previous SECRET_KEY to SECRET_KEY_OLD, and run this again."
)


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
    if not (confirmed or _is_typed("accept")):
        console().print("Nothing was changed.")
        return DIFFERENT
    for change in identity.accept():
        console().print(plain(f"{change.setting}: {change.installation} -> {change.process}"))
    return SAME


def rekey(*, confirmed: bool) -> int:
    """Ask for confirmation, replace the keys and print the result; the exit status is 1 if not confirmed, else 0."""
    found = keys.count_unopenable()
    if found.replaced:
        console().print(
            f"The secret keys of {found.replaced:,} of {found.replaced + found.kept:,} videos cannot be opened and will be "
            "replaced. All share links to these videos stop working permanently, and so do open invitations, password "
            "reset links and callbacks of running renders. Videos, accounts and passwords are kept. If the lost key "
            "may still be found, restore it instead."
        )
        if not (confirmed or _is_typed("rekey")):
            console().print("Nothing was changed.")
            return UNCHANGED
    done = keys.rekey()
    console().print(f"{done.replaced:,} videos have a new secret key; {done.kept:,} keep theirs.")
    if done.replaced:
        console().print(
            "Share these videos again. `python -m videovault reconcile --repair` tags their objects."
        )
    return REKEYED


def reseal() -> int:
    """Reseal and print the result; the exit status is 1 when something cannot be opened, else 0."""
    left = 0
    for what, reseal in keys.RESEALERS.items():
        done = reseal()
        left += done.unopened
        console().print(
            f"{what.capitalize()}: {done.resealed:,} resealed, {done.current:,} already current, "
            f"{done.unopened:,} cannot be opened."
        )
    if not left:
        keys.delete_old_canaries()
    console().print(NEEDS_OLD_KEY if left else REMOVE_OLD_KEY)
    return UNOPENED_LEFT if left else RESEALED


def _is_typed(word: str) -> bool:
    sys.stdout.flush()
    try:
        return input(f"Type {word} to continue: ").strip().lower() == word
    except EOFError:
        return False
