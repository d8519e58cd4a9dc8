"""The create page: the brief from which a script is written, and the modal that follows it."""

from typing import Any

import reflex as rx

from videovault.components.create_modal import create_modal
from videovault.components.elements import (
    autosave,
    button,
    control_props,
    field,
    field_error,
    form,
    form_error,
    portrait,
    text_input,
)
from videovault.components.progress import budget_line, elapsed_wait
from videovault.components.sharing import share_dialog
from videovault.pages.layout import app_page, page_head
from videovault.services.generation.avatars import OTHER_AVATAR
from videovault.state import wording
from videovault.state.create import BRIEF_STORAGE_NAME, SCRIPT, CreateState

TOPIC_HINT = "A sentence is enough. To add points, put each on its own line."
LICENSE_HINT = "Only if your profession must display one."


def create() -> rx.Component:
    return app_page(
        page_head(wording.NEW_VIDEO, "Describe your topic. You review the script before the video is made."),
        _brief_form(),
        create_modal(),
        share_dialog(),
        active="/create",
        variant="brief",
    )


def _brief_form() -> rx.Component:
    return autosave(
        form(
            field("topic", "What is the video about?", _topic(), hint=TOPIC_HINT),
            rx.el.div(
                _optional("company_name", "Company name", auto_complete="organization"),
                _optional("social_handles", "Social handles", placeholder="@yourcompany"),
                _optional("license", "License number", hint=LICENSE_HINT, placeholder="DRE 01234567"),
                class_name="pair sender",
            ),
            _avatar(),
            form_error("form"),
            rx.el.p(rx.cond(_is_writing(), wording.WRITING, ""), role="status", class_name="unseen"),
            budget_line(),
            rx.el.div(_waiting(), _submit(), class_name="actions"),
            on_submit=CreateState.write_script,
            key=CreateState.form_number,
        ),
        name=BRIEF_STORAGE_NAME,
        on_save=CreateState.save_brief,
        on_restore=CreateState.restore_brief,
        class_name="panel",
    )


def _topic() -> rx.Component:
    return rx.el.textarea(
        **control_props("topic", hinted=True),
        default_value=CreateState.brief["topic"],
        placeholder=wording.EXAMPLE_TOPIC,
        required=True,
        rows="3",
    )


def _optional(name: str, label: str, *, hint: str = "", **props: Any) -> rx.Component:
    control = text_input(name, hinted=bool(hint), default_value=CreateState.brief[name], **props)
    return field(name, label, control, note=wording.OPTIONAL, hint=hint)


def _avatar() -> rx.Component:
    return rx.el.fieldset(
        rx.el.legend("Presenter"),
        rx.el.div(
            rx.foreach(
                CreateState.avatars,
                lambda avatar: _avatar_choice(avatar.generator_id, portrait(avatar), avatar.name),
            ),
            # Rendered together with the others: a later radio button that is checked by default would undo a choice.
            rx.cond(
                CreateState.avatars,
                _avatar_choice(
                    OTHER_AVATAR, rx.el.span("…", class_name="blank", aria_hidden="true"), "Other"
                ),
            ),
            class_name=rx.cond(CreateState.has_own_avatars, "faces own", "faces"),
        ),
        rx.el.div(
            field(
                "avatar_name",
                wording.AVATAR_ID,
                text_input("avatar_name", hinted=True, default_value=CreateState.brief["avatar_name"]),
                hint="As it is called in your video service.",
            ),
            class_name="other-name",
        ),
        field_error("avatar"),
        id="avatar",
        custom_attrs={"tabIndex": -1},
        key=CreateState.brief["avatar"],  # a browser applies another default only to a new group
        class_name="field choice",
    )


def _avatar_choice(value: Any, picture: rx.Component, text: Any) -> rx.Component:
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
    """The same button before and while writing, so that it keeps the focus."""
    return rx.fragment(
        rx.cond(_is_writing(), button(wording.CANCEL, variant="plain", on_click=CreateState.cancel_wait)),
        button(
            rx.cond(
                _is_writing(),
                rx.fragment(rx.el.span(class_name="spinner", aria_hidden="true"), wording.WRITING),
                "Write the script",
            ),
            variant="main",
            type="submit",
            aria_disabled=_is_writing(),
        ),
    )


def _waiting() -> rx.Component:
    """Counts, and tells when it gives up, once the wait is longer than a moment."""
    return rx.cond(
        _is_writing() & (CreateState.waited_seconds > 0),
        rx.el.span(elapsed_wait(), class_name="soft figures first"),
    )


def _is_writing() -> Any:
    return CreateState.waiting_for == SCRIPT
