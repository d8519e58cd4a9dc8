"""Scripts, and the topics that they are made from."""

import pytest

from videovault.embedded.studio.requests import ScriptRequest
from videovault.embedded.studio.script_writer import (
    MAX_SUBJECT_LENGTH,
    Script,
    shortened,
    understand,
    write_script,
)

BRIEF = {
    "topic": "Solar panels for small shops",
    "company_name": "Northwind Energy",
    "social_handles": "@northwind, @northwind_de",
    "avatar": "Maya",
}
UNUSUAL_TOPICS = {
    "emoji": "🚀🚀🚀",
    "right to left": "كيف تحافظ على صحتك في الشتاء؟",
    "very long": "word " * 2000,
    "one long word": "x" * 10_000,
    "many lines": "Spring sale\n\n- everything\n- must\n- go\n- now",
    "braces": "{0} {company} {weird",
    "one letter": "a",
}


def written(**changes: str) -> Script:
    return write_script(ScriptRequest.model_validate({**BRIEF, **changes}))


def test_the_same_topic_gives_the_same_script() -> None:
    assert written() == written()
    assert written(topic="  solar PANELS for small shops ")[1:] == written()[1:]


def test_topic_company_handles_and_speaker_are_mentioned() -> None:
    script = written()
    assert "Solar panels for small shops" in script.hook
    assert "Maya" in script.body
    assert "Northwind Energy" in script.body
    assert "@northwind and @northwind_de" in script.conclusion


def test_missing_fields_leave_no_gaps() -> None:
    script = write_script(ScriptRequest(topic="Tea"))
    for part in script:
        assert part == " ".join(part.split())
        assert "None" not in part


def test_points_of_the_topic_are_in_the_body() -> None:
    body = written(topic="Our ice cream\n- No sugar\n- Made by hand").body
    assert "sugar" in body
    assert "Made by hand" in body


@pytest.mark.parametrize("avatar", ["avatar-07", "Default", "professional woman", "مايا", ""])
def test_only_first_names_are_spoken(avatar: str) -> None:
    assert "I'm" not in written(avatar=avatar).body
    assert "My name" not in written(avatar=avatar).body


def test_each_seed_gives_another_wording() -> None:
    assert len({written(seed=str(seed)).hook for seed in range(4)}) > 1
    assert written(seed="1").hook != written(seed="2").hook
    assert written(seed="any text") == written(seed="any text")


def test_a_seed_for_one_part_leaves_the_others_alone() -> None:
    plain = written()
    varied = written(part="conclusion", seed="1")
    assert varied.conclusion != plain.conclusion
    assert (varied.hook, varied.body) == (plain.hook, plain.body)


@pytest.mark.parametrize("part", Script._fields)
def test_a_rewritten_part_always_differs(part: str) -> None:
    before = written()
    for seed in range(12):
        after = written(part=part, seed=str(seed), **before._asdict())
        assert getattr(after, part) != getattr(before, part)
        before = before._replace(**{part: getattr(after, part)})


@pytest.mark.parametrize("topic", UNUSUAL_TOPICS.values(), ids=UNUSUAL_TOPICS.keys())
def test_unusual_topics_give_short_complete_scripts(topic: str) -> None:
    script = written(topic=topic)
    assert all(part.strip() for part in script)
    assert len(" ".join(script)) < 700


def test_a_script_is_about_as_long_as_the_longest_video() -> None:
    assert 40 <= len(" ".join(written()).split()) <= 75


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
    assert len(subject) <= MAX_SUBJECT_LENGTH
    assert subject.endswith("word…")


def test_one_long_word_is_cut_too() -> None:
    assert shortened("x" * 500, 10) == "x" * 9 + "…"


def test_a_short_text_stays_whole() -> None:
    assert shortened("as it is", 8) == "as it is"
