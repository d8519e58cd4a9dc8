"""The owner's dialog for a share link: copy it, limit it, stop sharing, or reset the link."""

from typing import Any

import reflex as rx

from videovault.components.elements import DATE_TIME, button, copyable, field, form, local_time, text_input
from videovault.components.overlays import dialog
from videovault.state import wording
from videovault.state.share_dialog import ShareDialogState

RESET = "Reset link"


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
            hint="Anyone with the link can watch and download. No account needed.",
        ),
        rx.el.div(rx.el.p(_until(link)), rx.el.p(link.views_used), class_name="stack close soft figures"),
        rx.cond(ShareDialogState.is_asking, _reset_question(), _settings()),
        class_name="stack",
    )


def _settings() -> rx.Component:
    """Hidden while a question is asked, whose answers would be below the edge of a phone otherwise."""
    return rx.el.div(
        _limits(),
        rx.el.hr(),
        _actions(button("Stop sharing", on_click=ShareDialogState.stop)),
        class_name="stack",
    )


def _until(link: Any) -> rx.Component:
    return rx.cond(
        link.expires_at == "",
        "Works until you stop sharing.",
        wording.expires(local_time(link.expires_at, DATE_TIME)),
    )


def _limits() -> rx.Component:
    return form(
        rx.el.div(
            _limit("expiresInDays", "Expires", ShareDialogState.link.days, note="in days"),
            _limit("mostViews", "View limit", ShareDialogState.link.most_views),
            class_name="pair",
            key=ShareDialogState.form_number,
        ),
        rx.el.div(button("Save limits", type="submit"), class_name="actions"),
        on_submit=ShareDialogState.limit,
    )


def _limit(name: str, label: str, value: Any, note: str | None = None) -> rx.Component:
    control = text_input(
        name, default_value=value, input_mode="numeric", placeholder=wording.NO_LIMIT, max_length=9
    )
    return field(name, label, control, note=note)


def _actions(other: rx.Component) -> rx.Component:
    return rx.el.div(button(RESET, on_click=ShareDialogState.ask), other, class_name="actions")


def _reset_question() -> rx.Component:
    return rx.el.div(
        rx.el.p(
            "All links that you have shared stop working. Send the new link to everyone who should keep access.",
            role="alert",
        ),
        rx.el.div(
            button(wording.CANCEL, on_click=ShareDialogState.cancel, auto_focus=True),
            button(
                rx.cond(ShareDialogState.is_busy, "Resetting…", RESET),
                variant="danger",
                on_click=ShareDialogState.renew,
                aria_disabled=ShareDialogState.is_busy,
            ),
            class_name="actions",
        ),
        class_name="stack",
    )


def _closed_link() -> rx.Component:
    return rx.el.div(
        rx.el.p("Sharing is off. Only you can watch this video."),
        rx.el.p(
            "Share again to reactivate the same link, without limits.",
            class_name="soft",
        ),
        rx.cond(
            ShareDialogState.is_asking,
            _reset_question(),
            _actions(button("Share again", variant="main", on_click=ShareDialogState.limit({}))),
        ),
        class_name="stack",
    )
