"""Where a browser keeps what its person types until the server has it for good; see assets/js/autosave.js."""

PREFIX = "videovault/"


def storage_key(owner: str, name: str) -> str:
    """The key in the browser's own storage: nobody else who signs in there is shown what it holds."""
    return f"{PREFIX}{owner}/{name}"
