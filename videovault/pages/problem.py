"""The API's errors as a page, for a person whose link or form did not work."""

import reflex as rx

from videovault.pages.layout import public_page
from videovault.pages.not_found import to_the_start
from videovault.state.problem import ProblemState


def problem() -> rx.Component:
    return public_page(
        rx.el.div(
            rx.el.h1(ProblemState.what, tab_index=-1),
            rx.el.p(ProblemState.advice, class_name="soft"),
            to_the_start(),
            class_name="empty bare",
        )
    )
