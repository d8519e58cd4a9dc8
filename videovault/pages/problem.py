"""The page for unknown addresses, and the page that explains an API error to a person."""

import reflex as rx

from videovault.components.forms import link_button
from videovault.pages.layout import public_page
from videovault.state import wording
from videovault.state.problem import ProblemState


def not_found() -> rx.Component:
    return public_page(page_not_found())


def page_not_found() -> rx.Component:
    return rx.el.div(
        rx.el.h1(wording.PAGE_NOT_FOUND, tab_index=-1),
        rx.el.p(wording.MISTYPED, class_name="soft"),
        _home_link(),
        class_name="empty bare",
    )


def problem() -> rx.Component:
    """Browsers are sent here where a program gets an error as JSON."""
    return public_page(
        rx.el.div(
            rx.el.h1(ProblemState.what, tab_index=-1),
            rx.el.p(ProblemState.advice, class_name="soft"),
            _home_link(),
            class_name="empty bare",
        )
    )


def _home_link() -> rx.Component:
    return link_button("Go home", "/", variant="main")
