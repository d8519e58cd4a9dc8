"""The dialog of a video's share link: copy it, limit it, close it, or replace its key."""

from typing import Any

import reflex as rx

from videovault.components.dialog import dialog
from videovault.components.forms import button, copyable, field, text_input
from videovault.components.text import local_time
from videovault.state import wording
from videovault.state.share_dialog import ShareDialogState

WHEN = "{dateStyle: 'medium', timeStyle: 'short'}"


def share_dialog() -> rx.Component:
    link = ShareDialogState.link
    return dialog(
        f"Share “{link.title}”",
        rx.cond(link.is_open, _open_link(), _closed_link()),
        name="share",
        is_open=link.video_id != "",
        on_dismiss=ShareDialogState.close,
    )


def share_button(video_id: Any) -> rx.Component:
    return button("Share", symbol="share", on_click=ShareDialogState.open(video_id), data_waits="true")


def _open_link() -> rx.Component:
    link = ShareDialogState.link
    return rx.el.div(
        field(
            "share-link",
            "Link",
            copyable("share-link", link.url, hinted=True),
            hint="Whoever has it can watch and download the video, without an account.",
        ),
        rx.el.div(rx.el.p(_until(link)), rx.el.p(link.views_used), class_name="stack close soft figures"),
        rx.cond(ShareDialogState.is_asking, _question(), _changes()),
        class_name="stack",
    )


def _changes() -> rx.Component:
    """They make room for a question, whose answers would else be below the edge of a phone."""
    return rx.el.div(
        _limits(),
        rx.el.hr(),
        _ways(button("Stop sharing", on_click=ShareDialogState.stop)),
        class_name="stack",
    )


def _until(link: Any) -> rx.Component:
    return rx.cond(
        link.expires_at == "",
        "It works until you stop it.",
        wording.works_until(local_time(link.expires_at, WHEN)),
    )


def _limits() -> rx.Component:
    return rx.el.form(
        rx.el.div(
            _limit("expiresInDays", "Days it works", ShareDialogState.link.days),
            _limit("mostViews", "Views at most", ShareDialogState.link.most_views),
            class_name="pair",
            key=ShareDialogState.form_number,
        ),
        rx.el.div(button("Save limits", type="submit"), class_name="actions"),
        on_submit=ShareDialogState.limit,
        reset_on_submit=False,
        no_validate=True,
        class_name="stack",
    )


def _limit(name: str, label: str, value: Any) -> rx.Component:
    control = text_input(
        name, default_value=value, input_mode="numeric", placeholder=wording.NO_LIMIT, max_length=9
    )
    return field(name, label, control)


def _ways(other: rx.Component) -> rx.Component:
    return rx.el.div(button("New key", on_click=ShareDialogState.ask), other, class_name="actions")


def _question() -> rx.Component:
    return rx.el.div(
        rx.el.p(
            "Every link that you gave out stops working. Whoever should go on watching needs the new one.",
            role="alert",
        ),
        rx.el.div(
            button("Keep the old key", on_click=ShareDialogState.cancel, auto_focus=True),
            button(
                rx.cond(ShareDialogState.is_busy, "Replacing…", "Make a new key"),
                look="danger",
                on_click=ShareDialogState.renew,
                aria_disabled=ShareDialogState.is_busy,
            ),
            class_name="actions",
        ),
        class_name="stack",
    )


def _closed_link() -> rx.Component:
    return rx.el.div(
        rx.el.p("Its link is closed: only you can watch this video."),
        rx.el.p(
            "Share it again, and the same link works, without limits.",
            class_name="soft",
        ),
        rx.cond(
            ShareDialogState.is_asking,
            _question(),
            _ways(button("Share again", look="main", on_click=ShareDialogState.limit({}))),
        ),
        class_name="stack",
    )
