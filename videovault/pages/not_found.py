"""What stands where nothing is."""

import reflex as rx

from videovault.components.buttons import link_button
from videovault.pages.layout import public_page


def not_found() -> rx.Component:
    return public_page(nothing_here())


def nothing_here() -> rx.Component:
    return rx.el.div(
        rx.el.h1("There is nothing here", tab_index=-1),
        rx.el.p("The address may be mistyped, or what was here has gone.", class_name="soft"),
        link_button("To the start", "/", look="main"),
        class_name="empty bare",
    )
