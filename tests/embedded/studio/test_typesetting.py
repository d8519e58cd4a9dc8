"""Text in a box, with and without fonts of the system."""

import pytest

from videovault.embedded.studio.typefaces import BUILT_IN, Typesetter, installed
from videovault.embedded.studio.typesetting import Box, set_pages

BOX = Box(width=600, height=340)
SIZES = (44, 36, 28)
SENTENCE = "The quick brown fox jumps over the lazy dog. "

only_with_helpers = pytest.mark.skipif(
    len(installed()) == 1, reason="this system has none of the fonts that know other scripts"
)


@pytest.mark.parametrize("text", [SENTENCE * 3, SENTENCE * 200, "x" * 10_000, "Wort" * 30 + " ok", "a"])
def test_every_word_is_inside_the_box(text: str) -> None:
    for page in set_pages(text, Typesetter(text), BOX, SIZES, most_pages=3):
        assert page.height <= BOX.height
        for word in page.words:
            assert word.x >= 0
            assert word.x + word.width <= BOX.width + 1


def test_a_short_text_is_large_and_on_one_page() -> None:
    (page,) = set_pages("Good morning", Typesetter("a"), BOX, SIZES, most_pages=3)
    assert page.size == SIZES[0]
    assert [word.text for word in page.words] == ["Good", "morning"]


def test_a_longer_text_is_set_smaller_before_anything_is_left_out() -> None:
    (page,) = set_pages(SENTENCE * 6, Typesetter(SENTENCE), BOX, SIZES, most_pages=1)
    assert page.size < SIZES[0]
    assert page.words[-1].text == "dog."


def test_what_does_not_fit_is_left_out_after_an_ellipsis() -> None:
    pages = set_pages(SENTENCE * 300, Typesetter(SENTENCE), BOX, SIZES, most_pages=2)
    assert len(pages) == 2
    assert pages[-1].words[-1].text.endswith("…")


def test_a_new_page_begins_with_a_new_sentence() -> None:
    pages = set_pages(SENTENCE * 10, Typesetter(SENTENCE), BOX, SIZES[:1], most_pages=9)
    assert len(pages) > 1
    assert all(page.words[0].text == "The" and page.words[-1].text == "dog." for page in pages)


def test_a_word_wider_than_the_line_is_hyphenated() -> None:
    (page,) = set_pages("m" * 60, Typesetter("m"), BOX, SIZES, most_pages=1)
    assert page.words[0].text.endswith("-")
    assert "".join(word.text.rstrip("-") for word in page.words) == "m" * 60


def test_the_built_in_font_alone_draws_what_it_can() -> None:
    setter = Typesetter("café", [BUILT_IN])
    assert setter.clean("Café — déjà vu 🚀\n“ok”\x00 → مرحبا") == "Cafe - deja vu “ok” >"


def test_nothing_drawable_becomes_three_dots() -> None:
    (page,) = set_pages("🚀 مرحبا", Typesetter("a", [BUILT_IN]), BOX, SIZES, most_pages=1)
    assert [word.text for word in page.words] == ["·", "·", "·"]


@only_with_helpers
def test_accents_are_kept_where_a_font_has_them() -> None:
    assert Typesetter("café").clean("Café — déjà") == "Café — déjà"


@only_with_helpers
def test_a_right_to_left_text_starts_at_the_right_with_its_latin_words_in_order() -> None:
    text = "שלום Excel Word תודה"
    (page,) = set_pages(text, Typesetter(text), BOX, SIZES, most_pages=1)
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
