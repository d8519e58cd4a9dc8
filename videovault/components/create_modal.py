"""The modal that leads from a script to a finished video; it may be closed and opened at any moment."""

from typing import Any

import reflex as rx

from videovault.components.dialog import dialog
from videovault.components.forms import (
    autosave,
    button,
    described,
    download_button,
    field,
    field_error,
    link_button,
    problem,
    text_input,
)
from videovault.components.icons import icon
from videovault.components.player import player
from videovault.components.progress import budget_line, full_progress, waited_so_far
from videovault.components.share_dialog import share_button
from videovault.components.text import has
from videovault.services.generation.scripts import PARTS
from videovault.state import wording
from videovault.state.create import CreateState, script_storage_name

# The script of a video to be: three parts to change by hand or to have written anew, each with its length.

HINTS = {
    "hook": "The first sentence, which makes people stay.",
    "body": "What there is to say.",
    "conclusion": "What people should do next.",
}


class Meter(rx.Component):
    """How long these parts of the form are, counted as one types."""

    library = "$/public/js/meter.js"
    tag = "Meter"
    parts: rx.Var[list[str]]
    one: rx.Var[str]
    many: rx.Var[str]
    seconds: rx.Var[str]
    words_a_minute: rx.Var[int]


class Submit(rx.Component):
    """The button of a form, disabled while anything that the form requires is empty."""

    library = "$/public/js/meter.js"
    tag = "Submit"
    disabled: rx.Var[bool]


def script_form() -> rx.Component:
    return autosave(
        rx.el.form(
            rx.el.p("Change whatever you like. It is kept as you type.", class_name="soft"),
            *(_part(part) for part in PARTS),
            problem("script"),
            rx.el.p(CreateState.parts_notice, role="status", class_name="unseen"),
            budget_line(),
            rx.el.div(
                _meter("meter", *PARTS, class_name="soft figures first"), _submit(), class_name="actions"
            ),
            on_submit=CreateState.create_video,
            reset_on_submit=False,
            no_validate=True,
            class_name="stack script",
        ),
        name=script_storage_name(CreateState.script_id),
        on_save=CreateState.save_script,
        on_restore=CreateState.restore_script,
        key=CreateState.video.video_id,
    )


def _part(part: str) -> rx.Component:
    is_busy = CreateState.waiting_for == part
    return rx.el.div(
        rx.el.div(
            rx.el.label(part.capitalize(), html_for=part),
            _meter(f"{part}-meter", part, class_name="soft small figures"),
            class_name="part-head",
        ),
        rx.el.textarea(
            **described(part, hinted=True),
            default_value=CreateState.parts[part],
            required=True,
            read_only=is_busy,
            rows="3",
            key=f"{part}-{CreateState.part_numbers[part]}",
        ),
        field_error(part),
        rx.el.div(
            rx.el.span(
                rx.cond(is_busy, _waiting(), HINTS[part]), id=f"{part}-hint", class_name="soft small figures"
            ),
            rx.el.div(_undo(part), _rewrite(part, is_busy), class_name="part-actions"),
            class_name="part-foot",
        ),
        class_name="field part",
        aria_busy=is_busy,
    )


def _waiting() -> rx.Component:
    return rx.fragment(
        rx.el.progress(aria_label=wording.WRITING),
        waited_so_far(),
    )


def _rewrite(part: str, is_busy: Any) -> rx.Component:
    """One button for both, so that the focus stays where it is."""
    return rx.cond(
        CreateState.can_rewrite,
        button(
            rx.cond(is_busy, wording.CANCEL, rx.fragment(icon("again", 16), "Rewrite")),
            look="plain little",
            on_click=CreateState.rewrite(part),
            disabled=(CreateState.waiting_for != "") & ~is_busy | CreateState.is_requesting,
            aria_label=rx.cond(is_busy, f"Cancel writing the {part}", f"Rewrite: {part}"),
        ),
    )


def _undo(part: str) -> rx.Component:
    way = CreateState.undo_labels[part]
    return rx.cond(
        has(CreateState.undo_labels, part),
        button(
            rx.fragment(icon("back", 16), way),
            look="plain little",
            on_click=CreateState.undo(part),
            disabled=CreateState.waiting_for == part,
            aria_label=rx.cond(way == wording.UNDO, f"Undo the new {part}", f"Redo the new {part}"),
        ),
    )


def _meter(name: str, *parts: str, **props: Any) -> rx.Component:
    return Meter.create(
        parts=list(parts), words_a_minute=wording.WORDS_A_MINUTE, data_testid=name, **wording.METER, **props
    )


def _submit() -> rx.Component:
    return Submit.create(
        rx.cond(CreateState.is_requesting, wording.HANDING_OVER, "Create video"),
        class_name="button main",
        disabled=(CreateState.waiting_for != "") | CreateState.is_requesting,
    )


TITLES = {
    "script": "Your script",
    "working": "Making your video",
    "ready": "Your video is ready",
    "failed": wording.SOMETHING_WENT_WRONG,
}


def create_modal() -> rx.Component:
    return dialog(
        rx.cond(
            CreateState.video.is_cancelled,
            wording.CANCELLED,
            rx.match(CreateState.stage, *TITLES.items(), ""),
        ),
        problem("video"),
        rx.match(
            CreateState.stage,
            ("script", script_form()),
            ("working", _working()),
            ("ready", _ready()),
            ("failed", _failed()),
            rx.fragment(),
        ),
        name="studio",
        is_open=CreateState.stage != "",
        on_dismiss=CreateState.close,
        look="sheet",
        address=f"?video={CreateState.video.video_id}",
    )


def _working() -> rx.Component:
    return rx.el.div(
        rx.el.p(CreateState.video.title, class_name="title"),
        full_progress(CreateState.video.video_id),
        rx.el.p("You can close this; we keep working. The gallery shows how far it is.", class_name="soft"),
        rx.el.div(
            button("Cancel video", look="plain", on_click=CreateState.cancel),
            button(wording.CLOSE, on_click=CreateState.close),
            class_name="actions",
        ),
        class_name="stack",
    )


def _ready() -> rx.Component:
    video = CreateState.video
    return rx.el.div(
        player(video, lasts=CreateState.link_seconds),
        rx.el.div(
            rx.el.div(
                rx.el.p(video.title, class_name="title", role="status"),
                rx.el.p(video.details, class_name="soft figures"),
            ),
            another_button(video),
            class_name="watch-head",
        ),
        rx.el.div(
            link_button("Go to gallery", "/gallery"),
            share_button(video.video_id),
            download_button(video.video_id, video.title, look="main"),
            class_name="actions",
        ),
        class_name="stack",
    )


def another_button(video: Any, *before: Any) -> rx.Component:
    """Begins anew with the brief of ``video``; one that was added from a link has none."""
    return rx.cond(
        video.has_topic,
        button(
            "Create another from this",
            look="plain",
            on_click=[*before, CreateState.create_another(video.video_id)],
        ),
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
            _ways_on(button(wording.GENERATE_AGAIN, look="main", on_click=CreateState.retry)),
        ),
        class_name="stack",
    )


def _fetch_form() -> rx.Component:
    """The address, to be looked at and changed: fetching again costs nothing, so it comes first."""
    video = CreateState.video
    address = text_input(
        "videoUrl",
        hinted=True,
        type="url",
        input_mode="url",
        auto_complete="off",
        default_value=CreateState.source_url,
    )
    hint = "Only you and admins see it. Change it if the file is somewhere else now."
    return rx.el.form(
        field("videoUrl", wording.VIDEO_URL, address, hint=hint),
        _ways_on(
            rx.cond(
                video.can_generate,
                button(wording.GENERATE_AGAIN, look="plain", on_click=CreateState.regenerate),
            ),
            button(wording.FETCH_AGAIN, look="main", type="submit"),
        ),
        on_submit=CreateState.fetch,
        reset_on_submit=False,
        no_validate=True,
        class_name="stack",
        key=video.video_id,
    )


def _ways_on(*ways: rx.Component) -> rx.Component:
    change = button("Change the script", look="plain", on_click=CreateState.edit)
    return rx.el.div(rx.cond(CreateState.has_script, change), *ways, class_name="actions")
