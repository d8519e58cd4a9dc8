"""The brief as its form shows it."""

from videovault.services.core.views import ScriptView
from videovault.services.generation.avatars import OTHER
from videovault.state import create


def script(avatar: str) -> ScriptView:
    return ScriptView(
        video_id="v",
        topic="Bread",
        hook="h",
        body="b",
        conclusion="c",
        company_name="Harbor",
        social_handles="@harbor",
        license="",
        avatar=avatar,
    )


def test_first_form_is_empty_but_for_an_avatar() -> None:
    assert create.shown(None) == create.EMPTY


def test_next_form_keeps_all_but_the_topic() -> None:
    assert create.shown(script("Sofia")) == {
        "topic": "",
        "company_name": "Harbor",
        "social_handles": "@harbor",
        "license": "",
        "avatar": "Sofia",
        "avatar_name": "",
    }


def test_avatar_outside_the_cast_is_shown_by_its_name() -> None:
    form = create.shown(script("Professor Quill"))
    assert (form["avatar"], form["avatar_name"]) == (OTHER, "Professor Quill")
    assert create.wanted(form)["avatar"] == "Professor Quill"


def test_other_without_a_name_is_no_avatar() -> None:
    assert create.wanted({"topic": "Bread", "avatar": OTHER})["avatar"] == ""


def test_chosen_face_wins_over_a_name_left_in_the_hidden_field() -> None:
    assert create.wanted({"avatar": "Maya", "avatar_name": "Professor Quill"})["avatar"] == "Maya"


def test_unknown_fields_and_types_do_not_get_through() -> None:
    wanted = create.wanted({"topic": ["a"], "is_admin": True, "avatar": "Maya"})
    assert set(wanted) == {"topic", "company_name", "social_handles", "license", "avatar"}
    assert wanted["topic"] == "['a']"


def test_what_is_wrong_with_another_avatar_stands_at_its_name() -> None:
    problems = {"topic": "Say what", "avatar": "Say who"}
    assert create.placed(problems, {"avatar": OTHER}) == {
        "topic": "Say what",
        "avatar_name": "Say who",
    }
    assert create.placed(problems, {"avatar": ""}) == problems


def test_a_form_that_was_sent_before_the_page_had_avatars_asks_for_the_one_shown() -> None:
    shown = create.EMPTY | {"avatar": "Sofia"}
    assert create.wanted(create.completed_brief({"topic": "Bread"}, shown))["avatar"] == "Sofia"
    other = create.EMPTY | {"avatar": OTHER, "avatar_name": "Professor Quill"}
    assert create.wanted(create.completed_brief({"topic": "Bread"}, other))["avatar"] == "Professor Quill"
    assert create.completed_brief({"avatar": "Maya"}, shown) == {"avatar": "Maya"}
