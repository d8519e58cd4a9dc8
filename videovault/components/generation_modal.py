"""The modal that leads from a script to a finished video; it may be closed and opened at any moment."""

import reflex as rx

from videovault.components.buttons import button, download_button, link_button
from videovault.components.dialog import dialog
from videovault.components.film import player
from videovault.components.forms import autosave, field, problem, text_area
from videovault.components.progress import full_progress
from videovault.state.studio import PARTS, StudioState

TITLES = {
    "script": "Your script",
    "working": "Making your video",
    "ready": "Your video is ready",
    "failed": "This did not work",
}
HINTS = {
    "hook": "The first sentence, which makes people stay.",
    "body": "What there is to say.",
    "conclusion": "What people should do next.",
}


def generation_modal() -> rx.Component:
    return dialog(
        rx.match(StudioState.stage, *TITLES.items(), ""),
        problem("video"),
        rx.match(
            StudioState.stage,
            ("script", _script()),
            ("working", _working()),
            ("ready", _ready()),
            ("failed", _failed()),
            rx.fragment(),
        ),
        name="studio",
        is_open=StudioState.stage != "",
        on_dismiss=StudioState.close,
        look="sheet",
        address=f"?video={StudioState.video.video_id}",
    )


def _script() -> rx.Component:
    return autosave(
        rx.el.form(
            rx.el.p("Change whatever you like. It is kept as you type.", class_name="soft"),
            *(_part(name) for name in PARTS),
            problem("script"),
            rx.el.div(
                rx.el.span(StudioState.meter, class_name="soft figures first", data_testid="meter"),
                button(
                    "Create video",
                    look="main",
                    type="submit",
                    disabled=~StudioState.is_complete,
                    aria_disabled=StudioState.is_requesting,
                ),
                class_name="actions",
            ),
            on_submit=StudioState.make,
            reset_on_submit=False,
            class_name="stack",
        ),
        on_save=StudioState.keep,
        key=StudioState.video.video_id,
    )


def _part(name: str) -> rx.Component:
    return field(
        name,
        name.capitalize(),
        text_area(name, hinted=True, default_value=StudioState.parts[name], required=True, rows="3"),
        note=StudioState.meters[name],
        hint=HINTS[name],
    )


def _working() -> rx.Component:
    return rx.el.div(
        rx.el.p(StudioState.video.title, class_name="title"),
        full_progress(StudioState.video.video_id),
        rx.el.p("You can close this; we keep working. The gallery shows how far it is.", class_name="soft"),
        rx.el.div(
            button("Cancel", look="plain", on_click=StudioState.cancel),
            button("Close", on_click=StudioState.close),
            class_name="actions",
        ),
        class_name="stack",
    )


def _ready() -> rx.Component:
    video = StudioState.video
    return rx.el.div(
        player(video),
        rx.el.div(
            rx.el.p(video.title, class_name="title", role="status"),
            rx.el.p(video.details, class_name="soft figures"),
        ),
        rx.el.div(
            button("Create another from this", look="plain", on_click=StudioState.again),
            link_button("Go to gallery", "/gallery"),
            download_button(video.video_id, video.title, look="main"),
            class_name="actions",
        ),
        class_name="stack",
    )


def _failed() -> rx.Component:
    return rx.el.div(
        rx.el.p(StudioState.video.title, class_name="title"),
        rx.el.p(StudioState.video.reason, class_name="alert", role="alert"),
        rx.el.p("Nothing is lost. ", StudioState.video.again, class_name="soft"),
        rx.el.div(
            rx.cond(
                StudioState.has_script,
                button("Change the script", look="plain", on_click=StudioState.edit),
            ),
            button("Try again", look="main", on_click=StudioState.retry),
            class_name="actions",
        ),
        class_name="stack",
    )
