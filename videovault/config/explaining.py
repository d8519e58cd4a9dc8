"""What is wrong with the settings, in words for whoever set them."""

from collections.abc import Mapping

from pydantic import ValidationError
from pydantic.fields import FieldInfo


def explained(error: ValidationError, fields: Mapping[str, FieldInfo]) -> str:
    """Every variable that is wrong, with what it should be and what it is for."""
    lines = ["VideoVault cannot start with these settings (environment or .env):"]
    for problem in error.errors(include_url=False):
        name = "_".join(str(part) for part in problem["loc"]).upper()
        meaning = fields[name.lower()].description if name.lower() in fields else ""
        reason = problem["msg"].removeprefix("Value error, ")
        lines.append(f"  {name + ': ' if name else ''}{reason}. {meaning or ''}".rstrip())
    return "\n".join(lines)
