"""An avatar's picture, or its initials where it has none."""

from typing import Any

import reflex as rx


def portrait(avatar: Any) -> rx.Component:
    """Decoration: its name stands beside it."""
    return rx.cond(
        avatar.picture_url != "",
        rx.el.img(src=avatar.picture_url, alt="", class_name="portrait"),
        rx.el.span(avatar.initials, class_name="portrait blank", aria_hidden="true"),
    )
