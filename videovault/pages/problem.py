"""What stands where nothing is."""

import reflex as rx

from videovault.components.forms import link_button
from videovault.pages.layout import public_page
from videovault.state import wording
from videovault.state.problem import ProblemState


def not_found() -> rx.Component:
    return public_page(nothing_here())


def to_the_start() -> rx.Component:
    return link_button("Go to the home page", "/", look="main")


def nothing_here() -> rx.Component:
    return rx.el.div(
        rx.el.h1(wording.PAGE_NOT_FOUND, tab_index=-1),
        rx.el.p(wording.MISTYPED, class_name="soft"),
        to_the_start(),
        class_name="empty bare",
    )


# The API's errors as a page, for a person whose link or form did not work.


def problem() -> rx.Component:
    return public_page(
        rx.el.div(
            rx.el.h1(ProblemState.what, tab_index=-1),
            rx.el.p(ProblemState.advice, class_name="soft"),
            to_the_start(),
            class_name="empty bare",
        )
    )
