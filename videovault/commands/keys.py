"""`python -m videovault reconcile --rekey`: new secret keys for the videos whose keys no key that is set opens."""

import sys

from rich.console import Console

from videovault.services.maintenance import keys

DONE, UNCHANGED = 0, 1
WORD = "rekey"


def rekey(*, confirmed: bool) -> int:
    """Ask, do it and tell of it on stdout; the exit status: 1 when it was not confirmed, else 0."""
    console = Console(highlight=False, soft_wrap=True)
    found = keys.count_unopenable()
    if found.replaced:
        console.print(
            f"The secret keys of {found.replaced:,} of {found.replaced + found.kept:,} videos do not open. They get new "
            "ones: every share link to these videos stops working for good, and so do open invitations, links to reset a "
            "password and reports of renders under way. Videos, accounts and passwords stay as they are. If the lost "
            "key may still be found, restore it instead."
        )
        if not (confirmed or _confirmed()):
            console.print("Nothing was changed.")
            return UNCHANGED
    done = keys.rekey()
    console.print(f"{done.replaced:,} videos have a new secret key; {done.kept:,} keep theirs, which opens.")
    if done.replaced:
        console.print(
            "Share these videos again. `python -m videovault reconcile --repair` tags their objects."
        )
    return DONE


def _confirmed() -> bool:
    sys.stdout.flush()
    try:
        return input(f"Type {WORD} to go on: ").strip().lower() == WORD
    except EOFError:
        return False


# `python -m videovault reseal` as a person reads it: what was sealed anew, and whether old keys may go.

RESEALED, SOMETHING = 0, 1
MAY_GO = (
    "SECRET_KEY_OLD is needed no more for these. Generators that are at work still report by what the old key "
    "signed: remove it once their videos are ready."
)
LEFT = (
    "No key that is set opens the others: set the earlier SECRET_KEY in SECRET_KEY_OLD, and run this again."
)


def reseal() -> int:
    """Do it and tell of it on stdout; the exit status: 1 when there is something that cannot be opened, else 0."""
    console = Console(highlight=False, soft_wrap=True)
    left = 0
    for what, reseal in keys.RESEALERS.items():
        done = reseal()
        left += done.unopened
        console.print(
            f"{what.capitalize()}: {done.anew:,} sealed anew, {done.current:,} were already, "
            f"{done.unopened:,} cannot be opened."
        )
    if not left:
        keys.delete_old_canaries()
    console.print(LEFT if left else MAY_GO)
    return SOMETHING if left else RESEALED
