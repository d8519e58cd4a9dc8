"""Validation of typed text, e-mail addresses and URLs, shared by forms and API."""

import unicodedata
from collections.abc import Callable, Mapping
from typing import TypeVar

from videovault.brief import OPTIONAL_RULES, Rule
from videovault.errors import InvalidInput, UnsafeUrl
from videovault.gateways import ssrf

T = TypeVar("T")
CHECK_FIELDS = "Please check the marked fields."
INVALID_EMAIL = "This is not a complete e-mail address, such as name@example.com."
# An ID at a generator, which may be a URL.
MAX_AVATAR_LENGTH = ssrf.MAX_URL_BYTES
BRIEF = {
    "topic": Rule("Topic", 2_000, required=True, multiline=True, missing="Say what the video is about."),
    **OPTIONAL_RULES,
    # The generator's identifier: often an id, sometimes the URL of a picture.
    "avatar": Rule("Avatar", MAX_AVATAR_LENGTH, required=True, missing="Say who speaks.", exact=True),
}
SCRIPT = {
    "hook": Rule("Hook", 1_000, required=True, multiline=True),
    "body": Rule("Body", 5_000, required=True, multiline=True),
    "conclusion": Rule("Conclusion", 1_000, required=True, multiline=True),
    **{name: rule for name, rule in BRIEF.items() if name != "topic"},
}
TITLE = {"title": Rule("Title", 120, required=True)}
NAME = {"name": Rule("Name", 100)}
TOKEN = {"name": Rule("Name of the token", 100, required=True)}


def validate(rules: Mapping[str, Rule], values: Mapping[str, str]) -> dict[str, str]:
    """The values, trimmed and normalised, one for each rule; fields without a rule are dropped.

    Raises InvalidInput with a message for each invalid field.
    """
    clean: dict[str, str] = {}
    wrong: dict[str, str] = {}
    for name, rule in rules.items():
        try:
            clean[name] = _checked_text(rule, values.get(name, ""))
        except ValueError as problem:
            wrong[name] = str(problem)
    if wrong:
        raise InvalidInput(CHECK_FIELDS, wrong)
    return clean


def check_together(*checks: Callable[[], T]) -> list[T]:
    """The results of these checks. Raises one InvalidInput with all messages, so that a person sees them together."""
    results: list[T] = []
    wrong: list[InvalidInput] = []
    for check in checks:
        try:
            results.append(check())
        except InvalidInput as error:
            wrong.append(error)
    if len(wrong) > 1:
        raise InvalidInput(
            CHECK_FIELDS, {name: text for error in wrong for name, text in error.fields.items()}
        )
    if wrong:
        raise wrong[0]
    return results


def normalize_email(value: str, field: str = "email") -> str:
    """The address normalised and in lower case. Raises InvalidInput."""
    # Its patterns take 40 ms, which workers need not spend.
    from email_validator import EmailNotValidError, validate_email

    try:
        if len(value) > 254:
            raise EmailNotValidError("too long")  # noqa: TRY301 - one message for every reason
        return validate_email(value.strip(), check_deliverability=False).normalized.lower()
    except EmailNotValidError as error:
        raise InvalidInput("Please check the e-mail address.", {field: INVALID_EMAIL}) from error


def validate_url(value: str, field: str = "videoUrl") -> str:
    """The URL without surrounding blanks, otherwise unchanged, including its Unicode form.

    Raises InvalidInput if it cannot be stored; the gateways decide whether it may be fetched.
    """
    address = value.strip()
    if problem := _problem_of(address):
        raise InvalidInput(CHECK_FIELDS, {field: problem})
    return address


def _problem_of(address: str) -> str:
    if not address:
        return "Video address is missing."
    try:
        ssrf.check_form(address)
    except UnsafeUrl as error:
        return error.public_message
    return ssrf.TOO_LONG if len(address.encode()) > ssrf.MAX_URL_BYTES else ""


def _checked_text(rule: Rule, value: str) -> str:
    typed = value.replace("\r\n", "\n").strip()
    text = typed if rule.exact else unicodedata.normalize("NFC", typed).strip()
    allowed = "\n\t" if rule.multiline else ""
    if any(unicodedata.category(char) in ("Cc", "Cs") and char not in allowed for char in text):
        raise ValueError(f"{rule.label} contains characters that cannot be shown.")
    if len(text) > rule.max_length:
        raise ValueError(
            f"{rule.label} is too long: {len(text):,} characters, at most {rule.max_length:,} are allowed."
        )
    if rule.required and not text:
        raise ValueError(rule.missing or f"{rule.label} is missing.")
    return text
