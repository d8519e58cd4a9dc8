"""Asks before videos are deleted, naming what exactly goes, and tells how far it is."""

import reflex as rx

from videovault.components.dialog import confirmation
from videovault.state.removal import RemovalState


def removal_dialog() -> rx.Component:
    return confirmation(
        RemovalState.question,
        rx.el.p(rx.el.strong(RemovalState.what)),
        rx.el.p(
            rx.cond(
                RemovalState.progress != "",
                f"Deleting {RemovalState.progress}",
                "This goes for good, with pictures, scripts and share links.",
            ),
            class_name="soft figures",
            role="status",
        ),
        name="removal",
        is_open=RemovalState.question != "",
        is_busy=RemovalState.is_busy,
        on_confirm=RemovalState.delete,
        on_dismiss=RemovalState.spare,
    )
