"""The fields of a brief and its script, declared once for table, request bodies, views and sidecar.

A new optional field needs a line in ``OptionalBrief``, a migration and a control in ``pages/create.py``.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator
from sqlalchemy import Text
from sqlmodel import Field


@dataclass(frozen=True)
class Rule:
    """What a form field may hold: ``label`` names it to a person, ``missing`` is the message where it is required.

    ``exact``: an identifier, kept in the Unicode form in which it was sent.
    """

    label: str
    max_length: int
    required: bool = False
    multiline: bool = False
    missing: str = ""
    exact: bool = False


def check_encodable(value: str) -> str:
    """Half a surrogate pair is valid JSON, but can be neither hashed, stored nor sent on."""
    if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
        raise ValueError("This contains characters that cannot be shown.")
    return value


def _none_as_blank(value: Any) -> Any:
    return "" if value is None else value


OptionalText = Annotated[
    str, BeforeValidator(_none_as_blank, json_schema_input_type=str | None), AfterValidator(check_encodable)
]


class OptionalBrief(BaseModel):
    company_name: Annotated[OptionalText, Rule("Company name", 120)] = ""
    social_handles: Annotated[OptionalText, Rule("Social handles", 200)] = ""
    license: Annotated[OptionalText, Rule("License", 200)] = ""


class Brief(OptionalBrief):
    """The whole of it, blank where it is not known."""

    topic: str = Field(default="", sa_type=Text)
    hook: str = Field(default="", sa_type=Text)
    body: str = Field(default="", sa_type=Text)
    conclusion: str = Field(default="", sa_type=Text)
    avatar: str = ""


OPTIONAL_RULES: dict[str, Rule] = {
    name: rule
    for name, field in OptionalBrief.model_fields.items()
    for rule in field.metadata
    if isinstance(rule, Rule)
}
