"""What a person sees when the page itself breaks: a sentence and a way on, never the exception."""

import reflex as rx
from reflex_components_core.base.error_boundary import error_boundary


def crash_screen(is_stateful: bool) -> rx.Component:
    """Wraps every page; ``is_stateful`` is whether errors can be reported to the server."""
    quiet = {} if is_stateful else {"on_error": rx.noop()}
    return error_boundary(fallback_render=rx.Var.create(_screen()), **quiet)


def _screen() -> rx.Component:
    return rx.el.main(
        rx.el.div(
            rx.el.h1("This page broke"),
            rx.el.p("Nothing you made is lost. Loading the page again usually helps.", class_name="soft"),
            rx.el.a("Load again", href="", reload_document=True, class_name="button main"),
            class_name="empty bare",
            role="alert",
        )
    )
