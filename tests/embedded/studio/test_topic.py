"""What a topic is about, from whatever a person typed."""

import pytest

from videovault.embedded.studio.topic import SUBJECT_LENGTH, shortened, understand


@pytest.mark.parametrize(
    ("text", "kind", "subject"),
    [
        ("Solar panels", "plain", "Solar panels"),
        ("make a video about our new shop.", "plain", "Our new shop"),
        ("Topic: winter tyres", "plain", "Winter tyres"),
        ("iPhone repairs", "plain", "iPhone repairs"),
        ("why is the sky blue?", "question", "Why is the sky blue?"),
        ("how to brew coffee", "how_to", "How to brew coffee"),
        ("كيف تحافظ على صحتك؟", "question", "كيف تحافظ على صحتك؟"),
        ("???", "question", "Something new?"),
        ("", "plain", "Something new"),
    ],
)
def test_a_topic_has_a_kind_and_a_subject(text: str, kind: str, subject: str) -> None:
    topic = understand(text)
    assert (topic.kind, topic.subject) == (kind, subject)


def test_how_to_is_followed_by_an_action() -> None:
    assert understand("How to brew coffee").action == "brew coffee"


def test_further_lines_and_sentences_become_at_most_three_points() -> None:
    topic = understand("Our ice cream. No sugar!\n- The best mango\n2) Mango only\n* more")
    assert topic.subject == "Our ice cream"
    assert topic.points == ("no sugar", "the best mango", "Mango only")


def test_a_long_subject_is_cut_between_words() -> None:
    subject = understand("word " * 2000).subject
    assert len(subject) <= SUBJECT_LENGTH
    assert subject.endswith("word…")


def test_one_endless_word_is_cut_too() -> None:
    assert shortened("x" * 500, 10) == "x" * 9 + "…"


def test_a_short_text_stays_whole() -> None:
    assert shortened("as it is", 8) == "as it is"
