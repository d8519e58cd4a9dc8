"""The page on which a video begins."""

from typing import Any

import reflex as rx

from videovault.components.create_modal import create_modal
from videovault.components.forms import autosave, button, field, field_error, problem, text_area, text_input
from videovault.components.icons import portrait
from videovault.components.progress import budget_line, waited_so_far
from videovault.components.share_dialog import share_dialog
from videovault.pages.layout import app_page, page_head
from videovault.services.generation.avatars import OTHER_AVATAR
from videovault.state import wording
from videovault.state.create import BRIEF_STORAGE_NAME, SCRIPT, CreateState

# The form from which a script is written: what the video is about, and who it is from.

TOPIC_HINT = "A sentence is enough. You can add points, each on its own line."


def brief_form() -> rx.Component:
    return autosave(
        rx.el.form(
            field("topic", "What is the video about?", _topic(), hint=TOPIC_HINT),
            rx.el.div(_company(), _handles(), _license(), class_name="pair sender"),
            _avatar(),
            problem("form"),
            rx.el.p(rx.cond(_is_writing(), wording.WRITING, ""), role="status", class_name="unseen"),
            budget_line(),
            rx.el.div(_waiting(), _submit(), class_name="actions"),
            on_submit=CreateState.write_script,
            reset_on_submit=False,
            no_validate=True,
            key=CreateState.form_number,
            class_name="stack",
        ),
        name=BRIEF_STORAGE_NAME,
        on_save=CreateState.save_brief,
        on_restore=CreateState.restore_brief,
        class_name="panel",
    )


def _topic() -> rx.Component:
    return text_area(
        "topic",
        default_value=CreateState.brief["topic"],
        placeholder=wording.EXAMPLE_TOPIC,
        hinted=True,
        required=True,
        rows="3",
    )


def _company() -> rx.Component:
    value = CreateState.brief["company_name"]
    control = text_input("company_name", default_value=value, auto_complete="organization")
    return field("company_name", "Company name", control, note=wording.OPTIONAL)


def _handles() -> rx.Component:
    value = CreateState.brief["social_handles"]
    control = text_input("social_handles", default_value=value, placeholder="@yourcompany")
    return field("social_handles", "Social handles", control, note=wording.OPTIONAL)


def _license() -> rx.Component:
    control = text_input(
        "license", hinted=True, default_value=CreateState.brief["license"], placeholder="DRE 01234567"
    )
    hint = "If your trade has to show one."
    return field("license", "License number", control, note=wording.OPTIONAL, hint=hint)


def _avatar() -> rx.Component:
    return rx.el.fieldset(
        rx.el.legend("Who speaks?"),
        rx.el.div(
            rx.foreach(CreateState.avatars, lambda each: _face(each.generator_id, portrait(each), each.name)),
            # With all others: one that comes later and is the default would take an earlier choice away.
            rx.cond(
                CreateState.avatars,
                _face(OTHER_AVATAR, rx.el.span("…", class_name="blank", aria_hidden="true"), "Other"),
            ),
            class_name=rx.cond(CreateState.has_own_avatars, "faces own", "faces"),
        ),
        rx.el.div(
            field(
                "avatar_name",
                wording.AVATAR_ID,
                text_input("avatar_name", hinted=True, default_value=CreateState.brief["avatar_name"]),
                hint="As your video generator calls it.",
            ),
            class_name="other-name",
        ),
        field_error("avatar"),
        id="avatar",
        custom_attrs={"tabIndex": -1},
        key=CreateState.brief["avatar"],  # a browser takes another default choice for a new group only
        class_name="field choice",
    )


def _face(value: Any, picture: rx.Component, text: Any) -> rx.Component:
    return rx.el.label(
        rx.el.input(
            type="radio",
            name="avatar",
            value=value,
            default_checked=CreateState.brief["avatar"] == value,
        ),
        picture,
        rx.el.span(text, class_name="face-name"),
        class_name="face",
        key=value,
    )


def _submit() -> rx.Component:
    """The button that was pressed stays, and with it the focus."""
    return rx.fragment(
        rx.cond(
            _is_writing(),
            button(wording.CANCEL, look="plain", on_click=CreateState.cancel_wait),
            rx.fragment(),
        ),
        button(
            rx.cond(
                _is_writing(),
                rx.fragment(rx.el.span(class_name="spinner", aria_hidden="true"), wording.WRITING),
                "Write the script",
            ),
            look="main",
            type="submit",
            aria_disabled=_is_writing(),
        ),
    )


def _waiting() -> rx.Component:
    """Counts, and tells when it gives up, once the wait is longer than a moment."""
    return rx.cond(
        _is_writing() & (CreateState.waited_seconds > 0),
        rx.el.span(waited_so_far(), class_name="soft figures first"),
    )


def _is_writing() -> Any:
    return CreateState.waiting_for == SCRIPT


def create() -> rx.Component:
    return app_page(
        page_head(wording.NEW_VIDEO, "Say what it is about. You see the script before anything is made."),
        brief_form(),
        create_modal(),
        share_dialog(),
        active="/create",
        look="brief",
    )
