"""The modal that leads from a script to a finished video; closing it interrupts nothing."""

from typing import Any

import reflex as rx

from videovault.components.elements import (
    autosave,
    button,
    control_props,
    download_button,
    field,
    field_error,
    form,
    form_error,
    has,
    icon,
    link_button,
    remove_stored,
    url_input,
)
from videovault.components.overlays import dialog
from videovault.components.player import player
from videovault.components.progress import budget_line, elapsed_wait, full_progress, is_unanswered
from videovault.components.sharing import share_button
from videovault.services.generation.scripts import PARTS
from videovault.state import wording
from videovault.state.create import CreateState, script_storage_name

TITLES = {
    "script": "Your script",
    "working": "Making your video",
    "ready": "Your video is ready",
    "failed": wording.SOMETHING_WENT_WRONG,
}
HINTS = {
    "hook": "The opening sentence that makes people stay.",
    "body": "Your main message.",
    "conclusion": "What viewers should do next.",
}


class WordCount(rx.Component):
    """The length of these parts of the form, updated while typing."""

    library = "$/public/js/word_count.js"
    tag = "WordCount"
    parts: rx.Var[list[str]]
    one: rx.Var[str]
    many: rx.Var[str]
    seconds: rx.Var[str]
    words_a_minute: rx.Var[int]


class SubmitButton(rx.Component):
    """A form's button, disabled while a required field is empty."""

    library = "$/public/js/word_count.js"
    tag = "SubmitButton"
    disabled: rx.Var[bool]


def create_modal() -> rx.Component:
    return rx.fragment(
        _dialog(), remove_stored(removal=CreateState.removal, storage_keys=CreateState.stored_keys)
    )


def _dialog() -> rx.Component:
    return dialog(
        rx.cond(
            CreateState.video.is_cancelled,
            wording.CANCELLED,
            rx.match(CreateState.stage, *TITLES.items(), ""),
        ),
        form_error("video"),
        rx.match(
            CreateState.stage,
            ("script", _script_form()),
            ("working", _working()),
            ("ready", _ready()),
            ("failed", _failed()),
            rx.fragment(),
        ),
        name="studio",
        is_open=CreateState.stage != "",
        on_dismiss=CreateState.close,
        variant="sheet",
        address=f"?video={CreateState.video.video_id}",
    )


def create_similar_button(video: Any, *before: Any) -> rx.Component:
    """Opens the create page with the brief of ``video``; an imported one has none."""
    return rx.cond(
        video.has_topic,
        button(
            "Create another from this",
            variant="plain",
            on_click=[*before, CreateState.create_another(video.video_id)],
        ),
    )


def _script_form() -> rx.Component:
    return autosave(
        form(
            rx.el.p("Edit anything. Changes save as you type.", class_name="soft"),
            *(_part(part) for part in PARTS),
            form_error("script"),
            rx.el.p(CreateState.parts_notice, role="status", class_name="unseen"),
            budget_line(),
            rx.el.div(
                _word_count("meter", *PARTS, class_name="soft figures first"), _submit(), class_name="actions"
            ),
            on_submit=CreateState.create_video,
            class_name="stack script",
        ),
        name=script_storage_name(CreateState.script_id),
        on_save=CreateState.save_script,
        on_restore=CreateState.restore_script,
        key=CreateState.video.video_id,
    )


def _part(part: str) -> rx.Component:
    is_busy = CreateState.waiting_for == part
    wait = rx.fragment(rx.el.progress(aria_label=wording.WRITING), elapsed_wait())
    return rx.el.div(
        rx.el.div(
            rx.el.label(part.capitalize(), html_for=part),
            _word_count(f"{part}-meter", part, class_name="soft small figures"),
            class_name="part-head",
        ),
        rx.el.textarea(
            **control_props(part, hinted=True),
            default_value=CreateState.parts[part],
            required=True,
            read_only=is_busy,
            rows="3",
            key=f"{part}-{CreateState.part_numbers[part]}",
        ),
        field_error(part),
        rx.el.div(
            rx.el.span(
                rx.cond(is_busy, wait, HINTS[part]), id=f"{part}-hint", class_name="soft small figures"
            ),
            rx.el.div(_undo(part), _rewrite(part, is_busy), class_name="part-actions"),
            class_name="part-foot",
        ),
        class_name="field part",
        aria_busy=is_busy,
    )


def _rewrite(part: str, is_busy: Any) -> rx.Component:
    """One button to rewrite and to cancel, so that it keeps the focus."""
    return rx.cond(
        CreateState.can_rewrite,
        button(
            rx.cond(is_busy, wording.CANCEL, rx.fragment(icon("again", 16), "Rewrite")),
            variant="plain little",
            on_click=CreateState.rewrite(part),
            disabled=(CreateState.waiting_for != "") & ~is_busy | CreateState.is_requesting,
            aria_label=rx.cond(is_busy, f"Cancel writing the {part}", f"Rewrite: {part}"),
        ),
    )


def _undo(part: str) -> rx.Component:
    label = CreateState.undo_labels[part]
    return rx.cond(
        has(CreateState.undo_labels, part),
        button(
            rx.fragment(icon("back", 16), label),
            variant="plain little",
            on_click=CreateState.undo(part),
            disabled=CreateState.waiting_for == part,
            aria_label=rx.cond(label == wording.UNDO, f"Undo the new {part}", f"Redo the new {part}"),
        ),
    )


def _word_count(name: str, *parts: str, **props: Any) -> rx.Component:
    return WordCount.create(
        parts=list(parts), words_a_minute=wording.WORDS_A_MINUTE, data_testid=name, **wording.METER, **props
    )


def _submit() -> rx.Component:
    return SubmitButton.create(
        rx.cond(CreateState.is_requesting, wording.HANDING_OVER, "Create video"),
        class_name="button main",
        disabled=(CreateState.waiting_for != "") | CreateState.is_requesting,
    )


def _working() -> rx.Component:
    return rx.el.div(
        rx.el.p(CreateState.video.title, class_name="title"),
        full_progress(CreateState.video.video_id),
        rx.el.p(
            "You can close this. We'll keep going, and your gallery shows the progress.", class_name="soft"
        ),
        rx.el.div(
            button("Cancel video", variant="plain", on_click=CreateState.cancel),
            rx.cond(
                is_unanswered(CreateState.video.video_id),
                button(wording.GENERATE_AGAIN, variant="plain", on_click=CreateState.regenerate),
            ),
            button(wording.CLOSE, on_click=CreateState.close),
            class_name="actions",
        ),
        class_name="stack",
    )


def _ready() -> rx.Component:
    video = CreateState.video
    return rx.el.div(
        player(video, link_seconds=CreateState.link_seconds),
        rx.el.div(
            rx.el.div(
                rx.el.p(video.title, class_name="title", role="status"),
                rx.el.p(video.details, class_name="soft figures"),
            ),
            create_similar_button(video),
            class_name="watch-head",
        ),
        rx.el.div(
            link_button("Go to gallery", "/gallery"),
            share_button(video.video_id),
            download_button(video.video_id, video.title, variant="main"),
            class_name="actions",
        ),
        class_name="stack",
    )


def _failed() -> rx.Component:
    return rx.el.div(
        rx.el.p(CreateState.video.title, class_name="title"),
        rx.el.p(
            CreateState.video.reason,
            class_name=rx.cond(CreateState.video.is_cancelled, "alert calm", "alert"),
            role="alert",
        ),
        rx.el.div(
            rx.el.p("Nothing is lost."), rx.el.p(CreateState.video.retry_note), class_name="stack close soft"
        ),
        rx.cond(CreateState.video.can_generate, budget_line()),
        rx.cond(
            CreateState.video.can_fetch | ~CreateState.video.can_generate,
            _fetch_form(),
            _failed_actions(button(wording.GENERATE_AGAIN, variant="main", on_click=CreateState.retry)),
        ),
        class_name="stack",
    )


def _fetch_form() -> rx.Component:
    """The URL that failed, to be corrected. Fetching again costs nothing, so it is the main action."""
    video = CreateState.video
    url = url_input(default_value=CreateState.source_url)
    hint = "Only you and admins can see this. Change it if the file has moved."
    return form(
        field("videoUrl", wording.VIDEO_URL, url, hint=hint),
        _failed_actions(
            rx.cond(
                video.can_generate,
                button(wording.GENERATE_AGAIN, variant="plain", on_click=CreateState.regenerate),
            ),
            button(wording.RETRY, variant="main", type="submit"),
        ),
        on_submit=CreateState.fetch,
        key=video.video_id,
    )


def _failed_actions(*actions: rx.Component) -> rx.Component:
    edit = button("Edit the script", variant="plain", on_click=CreateState.edit)
    return rx.el.div(rx.cond(CreateState.has_script, edit), *actions, class_name="actions")
