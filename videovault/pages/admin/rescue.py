"""The dialog that gives a stuck video the address of its finished file."""

import reflex as rx

from videovault.components.buttons import button
from videovault.components.dialog import dialog
from videovault.components.forms import field, text_input
from videovault.state import wording
from videovault.state.admin_rescue import AdminRescueState


def rescue_dialog() -> rx.Component:
    stuck = AdminRescueState.stuck
    return dialog(
        f"Store the file of “{stuck.title}”",
        rx.el.form(
            rx.el.p(
                "For a video that the generator finished without telling us. Paste the address of its file: "
                "it is stored for its owner, and nothing is paid for again.",
                class_name="soft",
            ),
            field(
                "videoUrl",
                "Address of the file",
                text_input("videoUrl", type="url", required=True, auto_complete="off"),
            ),
            rx.el.div(
                button(wording.NOT_NOW, on_click=AdminRescueState.close),
                button(
                    rx.cond(AdminRescueState.is_busy, wording.CHECKING, "Store it"),
                    look="main",
                    type="submit",
                    aria_disabled=AdminRescueState.is_busy,
                ),
                class_name="actions",
            ),
            on_submit=AdminRescueState.give,
            reset_on_submit=False,
            no_validate=True,
            class_name="stack",
        ),
        name="rescue",
        is_open=stuck.video_id != "",
        on_dismiss=AdminRescueState.close,
    )
