"""Typed text is normalized, or refused with a message for its field."""

import pytest

from videovault.errors import InvalidInput
from videovault.services.core import fields

GOOD = {
    "topic": "Why our bread is baked at night",
    "company_name": "Brot & Söhne",
    "social_handles": "@brot",
    "license": "CC BY 4.0",
    "avatar": "Anna",
}


def wrong(**changed: str) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        fields.validate(fields.BRIEF, GOOD | changed)
    return caught.value.fields


@pytest.mark.parametrize(
    "text", ["🎬 launch 🚀", "مرحبا بالعالم", "line one\nline two", "👩‍👩‍👧 family", "naïve café"]
)
def test_emoji_right_to_left_and_line_breaks_are_kept(text: str) -> None:
    assert fields.validate(fields.BRIEF, GOOD | {"topic": text})["topic"] == text


def test_text_is_trimmed_and_line_ends_are_normalized() -> None:
    assert fields.validate(fields.BRIEF, GOOD | {"topic": "  a\r\nb \n"})["topic"] == "a\nb"


@pytest.mark.parametrize("text", ["a\x00b", "a\x1b[31m", "a\x85b", "\ud800"])
def test_control_characters_are_refused(text: str) -> None:
    assert wrong(topic=text) == {"topic": "Topic contains characters that cannot be shown."}


def test_line_breaks_are_allowed_in_multi_line_fields_only() -> None:
    assert "company_name" in wrong(company_name="a\nb")


@pytest.mark.parametrize("name", list(GOOD))
def test_overlong_text_is_refused_in_any_field(name: str) -> None:
    length = 16_385 if name == "avatar" else 10_000  # an identifier, which may be a URL
    assert f"{length:,} characters" in wrong(**{name: "x" * length})[name]


@pytest.mark.parametrize("blank", ["", "   ", "\n"])
def test_all_invalid_fields_are_reported_together(blank: str) -> None:
    assert wrong(topic=blank, avatar=blank) == {
        "topic": "Say what the video is about.",
        "avatar": "Say who speaks.",
    }


@pytest.mark.parametrize(
    "email",
    ["", "a", "a@", "@b.de", "a b@c.de", "a@b", "a@b..de", "x" * 300 + "@b.de", "a@b.de\n@c", "🎬@b.de\x00"],
)
def test_invalid_email_addresses_are_refused(email: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        fields.normalize_email(email)
    assert list(caught.value.fields) == ["email"]


def test_email_addresses_are_normalized() -> None:
    assert fields.normalize_email("  Anna.Muster@Example.COM ") == "anna.muster@example.com"


def test_an_avatar_id_is_stored_unchanged() -> None:
    avatar = "https://faces.example/" + "Zoe\u0308" * 4_000
    found = fields.validate(fields.BRIEF, GOOD | {"avatar": avatar, "topic": "Zoe\u0308"})
    assert (found["avatar"], found["topic"]) == (avatar, "Zo\u00eb")
