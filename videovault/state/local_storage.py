"""Keys under which a browser keeps what a user types until the server has saved it; see assets/js/autosave.js."""

PREFIX = "videovault/"


def storage_key(owner: str, name: str) -> str:
    """The owner is part of the key: another user of the same browser never sees the value."""
    return f"{PREFIX}{owner}/{name}"
