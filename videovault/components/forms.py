"""Fields with their label, hint and error, and forms that the browser itself sends."""

from typing import Any

import reflex as rx

from videovault.components.vars import has
from videovault.state.session import SessionState


class NativeForm(rx.el.Div):  # type: ignore[misc] # Reflex ships its elements without types
    """A form that really posts: Reflex's own one always keeps the browser from it."""

    tag = "form"
    action: rx.Var[str]
    method: rx.Var[str]


class Autosave(rx.Component):
    """Hands on what is typed into the form inside it, shortly after each pause."""

    library = "$/public/js/autosave.js"
    tag = "Autosave"
    on_save: rx.EventHandler[rx.event.passthrough_event_spec(dict[str, str])]  # type: ignore[type-arg,valid-type] # Reflex's way


native_form = NativeForm.create
autosave = Autosave.create


def field(name: str, label: str, control: rx.Component, *, note: Any = "", hint: str = "") -> rx.Component:
    """A labelled control; ``note`` stands at the label's right, ``hint`` below the control."""
    return rx.el.div(
        rx.el.label(label, rx.el.span(note, class_name="soft small figures"), html_for=name),
        control,
        *([rx.el.span(hint, class_name="soft small", id=f"{name}-hint")] if hint else []),
        field_error(name),
        class_name="field",
    )


def text_input(name: str, *, hinted: bool = False, **props: Any) -> rx.Component:
    return rx.el.input(**described(name, hinted), **props)


def text_area(name: str, *, hinted: bool = False, **props: Any) -> rx.Component:
    return rx.el.textarea(**described(name, hinted), **props)


def described(name: str, hinted: bool = False) -> dict[str, Any]:
    """What ties a control to its label, hint and error."""
    return {
        "id": name,
        "name": name,
        "class_name": "input",
        "dir": "auto",
        "aria_invalid": has(SessionState.errors, name),
        "aria_describedby": f"{name}-error {name}-hint" if hinted else f"{name}-error",
    }


def field_error(name: str) -> rx.Component:
    return rx.el.span(SessionState.errors[name], id=f"{name}-error", class_name="error", role="alert")


def problem(place: str) -> rx.Component:
    """What went wrong with the whole form or step at this place."""
    return rx.cond(
        has(SessionState.errors, place),
        rx.el.p(SessionState.errors[place], class_name="alert", role="alert"),
    )
