"""Output of `python -m videovault reconcile --rekey` and `reseal`."""

import sys

from videovault.commands.output import console
from videovault.services.maintenance import keys

REKEYED, UNCHANGED = 0, 1
CONFIRMATION = "rekey"


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
        if not (confirmed or _confirmed()):
            console().print("Nothing was changed.")
            return UNCHANGED
    done = keys.rekey()
    console().print(f"{done.replaced:,} videos have a new secret key; {done.kept:,} keep theirs.")
    if done.replaced:
        console().print(
            "Share these videos again. `python -m videovault reconcile --repair` tags their objects."
        )
    return REKEYED


def _confirmed() -> bool:
    sys.stdout.flush()
    try:
        return input(f"Type {CONFIRMATION} to continue: ").strip().lower() == CONFIRMATION
    except EOFError:
        return False


# `reseal`: what was resealed, and whether the old keys can be removed.

RESEALED, UNOPENED_LEFT = 0, 1
REMOVE_OLD_KEY = (
    "SECRET_KEY_OLD is no longer needed for these. Running generators still use callback tokens signed with the old key: "
    "remove it once their videos are ready."
)
NEEDS_OLD_KEY = (
    "No configured key opens the others: add the previous SECRET_KEY to SECRET_KEY_OLD, and run this again."
)


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
