"""The modal that leads from a script to a finished video; it may be closed and opened at any moment."""

from typing import Any

import reflex as rx

from videovault.components.budget import budget_line
from videovault.components.buttons import button, download_button, link_button
from videovault.components.dialog import dialog
from videovault.components.film import player
from videovault.components.forms import field, problem, text_input
from videovault.components.progress import full_progress
from videovault.components.script_form import script_form
from videovault.components.share_dialog import share_button
from videovault.state import wording
from videovault.state.studio import StudioState

TITLES = {
    "script": "Your script",
    "working": "Making your video",
    "ready": "Your video is ready",
    "failed": wording.DID_NOT_WORK,
}


def generation_modal() -> rx.Component:
    return dialog(
        rx.cond(
            StudioState.video.is_cancelled,
            wording.CANCELLED,
            rx.match(StudioState.stage, *TITLES.items(), ""),
        ),
        problem("video"),
        rx.match(
            StudioState.stage,
            ("script", script_form()),
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


def _working() -> rx.Component:
    return rx.el.div(
        rx.el.p(StudioState.video.title, class_name="title"),
        full_progress(StudioState.video.video_id),
        rx.el.p("You can close this; we keep working. The gallery shows how far it is.", class_name="soft"),
        rx.el.div(
            button("Cancel video", look="plain", on_click=StudioState.cancel),
            button(wording.CLOSE, on_click=StudioState.close),
            class_name="actions",
        ),
        class_name="stack",
    )


def _ready() -> rx.Component:
    video = StudioState.video
    return rx.el.div(
        player(video, lasts=StudioState.link_seconds),
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
            on_click=[*before, StudioState.again(video.video_id)],
        ),
    )


def _failed() -> rx.Component:
    return rx.el.div(
        rx.el.p(StudioState.video.title, class_name="title"),
        rx.el.p(
            StudioState.video.reason,
            class_name=rx.cond(StudioState.video.is_cancelled, "alert calm", "alert"),
            role="alert",
        ),
        rx.el.div(
            rx.el.p("Nothing is lost."), rx.el.p(StudioState.video.again), class_name="stack close soft"
        ),
        rx.cond(StudioState.video.can_generate, budget_line()),
        rx.cond(
            StudioState.video.can_fetch | ~StudioState.video.can_generate,
            _fetch_form(),
            _ways_on(button(wording.GENERATE_AGAIN, look="main", on_click=StudioState.retry)),
        ),
        class_name="stack",
    )


def _fetch_form() -> rx.Component:
    """The address, to be looked at and changed: fetching again costs nothing, so it comes first."""
    video = StudioState.video
    address = text_input(
        "videoUrl",
        hinted=True,
        type="url",
        input_mode="url",
        auto_complete="off",
        default_value=StudioState.address,
    )
    hint = "Only you and admins see it. Change it if the file is somewhere else now."
    return rx.el.form(
        field("videoUrl", wording.VIDEO_ADDRESS, address, hint=hint),
        _ways_on(
            rx.cond(
                video.can_generate,
                button(wording.GENERATE_AGAIN, look="plain", on_click=StudioState.regenerate),
            ),
            button(wording.FETCH_AGAIN, look="main", type="submit"),
        ),
        on_submit=StudioState.fetch,
        reset_on_submit=False,
        no_validate=True,
        class_name="stack",
        key=video.video_id,
    )


def _ways_on(*ways: rx.Component) -> rx.Component:
    change = button("Change the script", look="plain", on_click=StudioState.edit)
    return rx.el.div(rx.cond(StudioState.has_script, change), *ways, class_name="actions")
