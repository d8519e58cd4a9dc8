"""Text in boxes, with and without fonts of the system."""

import pytest

from videovault.embedded.studio.text_layout import BUILT_IN, Box, Typesetter, installed, lay_out

BOX = Box(width=600, height=340)
SIZES = (44, 36, 28)
SENTENCE = "The quick brown fox jumps over the lazy dog. "

needs_system_fonts = pytest.mark.skipif(
    len(installed()) == 1, reason="this system has no fonts for other scripts"
)


@pytest.mark.parametrize("text", [SENTENCE * 3, SENTENCE * 200, "x" * 10_000, "Wort" * 30 + " ok", "a"])
def test_every_word_is_inside_the_box(text: str) -> None:
    for page in lay_out(text, Typesetter(text), BOX, SIZES, max_pages=3):
        assert page.height <= BOX.height
        for word in page.words:
            assert word.x >= 0
            assert word.x + word.width <= BOX.width + 1


def test_a_short_text_is_large_and_on_one_page() -> None:
    (page,) = lay_out("Good morning", Typesetter("a"), BOX, SIZES, max_pages=3)
    assert page.size == SIZES[0]
    assert [word.text for word in page.words] == ["Good", "morning"]


def test_a_longer_text_is_set_smaller_before_it_is_cut() -> None:
    (page,) = lay_out(SENTENCE * 6, Typesetter(SENTENCE), BOX, SIZES, max_pages=1)
    assert page.size < SIZES[0]
    assert page.words[-1].text == "dog."


def test_an_ellipsis_replaces_what_does_not_fit() -> None:
    pages = lay_out(SENTENCE * 300, Typesetter(SENTENCE), BOX, SIZES, max_pages=2)
    assert len(pages) == 2
    assert pages[-1].words[-1].text.endswith("…")


def test_a_page_starts_with_a_new_sentence() -> None:
    pages = lay_out(SENTENCE * 10, Typesetter(SENTENCE), BOX, SIZES[:1], max_pages=9)
    assert len(pages) > 1
    assert all(page.words[0].text == "The" and page.words[-1].text == "dog." for page in pages)


def test_a_word_wider_than_the_line_is_hyphenated() -> None:
    (page,) = lay_out("m" * 60, Typesetter("m"), BOX, SIZES, max_pages=1)
    assert page.words[0].text.endswith("-")
    assert "".join(word.text.rstrip("-") for word in page.words) == "m" * 60


def test_characters_without_a_glyph_are_replaced_or_removed() -> None:
    setter = Typesetter("café", [BUILT_IN])
    assert setter.clean("Café — déjà vu 🚀\n“ok”\x00 → مرحبا") == "Cafe - deja vu “ok” >"


def test_a_text_without_a_drawable_character_becomes_three_dots() -> None:
    (page,) = lay_out("🚀 مرحبا", Typesetter("a", [BUILT_IN]), BOX, SIZES, max_pages=1)
    assert [word.text for word in page.words] == ["·", "·", "·"]


@needs_system_fonts
def test_accents_are_kept_if_a_font_has_them() -> None:
    assert Typesetter("café").clean("Café — déjà") == "Café — déjà"


@needs_system_fonts
def test_a_right_to_left_text_starts_at_the_right_with_its_latin_words_in_order() -> None:
    text = "שלום Excel Word תודה"
    (page,) = lay_out(text, Typesetter(text), BOX, SIZES, max_pages=1)
    assert [word.text for word in page.words] == text.split()
    first, excel, word, last = (each.x for each in page.words)
    assert page.right_to_left
    assert last < excel < word < first


def test_a_text_is_cut_to_a_width_with_an_ellipsis() -> None:
    setter = Typesetter("a")
    cut = setter.fitted("A very long name of a company", 28, 200, bold=True)
    assert cut.endswith("…")
    assert setter.width(cut, 28, bold=True) <= 200
    assert setter.fitted("Acme", 28, 200) == "Acme"
