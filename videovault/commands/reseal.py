"""`python -m videovault reseal` as a person reads it: what was sealed anew, and whether old keys may go."""

from rich.console import Console

from videovault.services import keys, resealing

DONE, SOMETHING = 0, 1
MAY_GO = (
    "SECRET_KEY_OLD is needed no more for these. Generators that are at work still report by what the old key "
    "signed: remove it once their videos are ready."
)
LEFT = (
    "No key that is set opens the others: set the earlier SECRET_KEY in SECRET_KEY_OLD, and run this again."
)


def run() -> int:
    """Do it and tell of it on stdout; the exit status: 1 when there is something that cannot be opened, else 0."""
    console = Console(highlight=False, soft_wrap=True)
    left = 0
    for what, reseal in resealing.WHAT.items():
        done = reseal()
        left += done.unopened
        console.print(
            f"{what.capitalize()}: {done.anew:,} sealed anew, {done.current:,} were already, "
            f"{done.unopened:,} cannot be opened."
        )
    if not left:
        keys.keep_current_only()
    console.print(LEFT if left else MAY_GO)
    return SOMETHING if left else DONE
