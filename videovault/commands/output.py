"""Console output of the commands, with text from outside as it is. rich is imported with the first output."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


def console() -> "Console":
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)


def printable(text: str) -> str:
    """The text without unprintable characters."""
    return "".join(char for char in text if char.isprintable())


def plain(text: str) -> "Text":
    """Printable text that is not parsed as markup."""
    from rich.text import Text

    return Text(printable(text))
