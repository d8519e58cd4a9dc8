"""Fields with their label, hint and error, and forms that the browser can send by itself."""

from typing import Any

import reflex as rx

from videovault.components.icons import icon
from videovault.components.text import has
from videovault.state import wording
from videovault.state.local_storage import PREFIX, storage_key
from videovault.state.session import SessionState

NOT_SENT = "This could not be sent. Check your connection and try again."


class NativeForm(rx.el.Div):  # type: ignore[misc] # Reflex ships its elements without types
    """A form that really posts: Reflex's own one always keeps the browser from it."""

    tag = "form"
    action: rx.Var[str]
    method: rx.Var[str]


class PostedForm(rx.Component):
    """One that posts as well, but keeps what was typed where the answer is an error.

    Where it is none, the browser forgets what it keeps under ``forgets``, if that is not empty.
    """

    library = "$/public/js/posted.js"
    tag = "PostedForm"
    action: rx.Var[str]
    method: rx.Var[str]
    trouble: rx.Var[str]
    forgets: rx.Var[str]


class Autosave(rx.Component):
    """Hands on what is typed into the form inside it, shortly after each pause.

    The browser keeps it at ``place`` as well, until the server takes it from there; ``on_restore`` gets what
    is found there when the form is shown again.
    """

    library = "$/public/js/autosave.js"
    tag = "Autosave"
    place: rx.Var[str]
    on_save: rx.EventHandler[rx.event.passthrough_event_spec(dict[str, str])]  # type: ignore[type-arg,valid-type] # Reflex's way
    on_restore: rx.EventHandler[rx.event.passthrough_event_spec(dict[str, str])]  # type: ignore[type-arg,valid-type] # as above


class Forget(rx.Component):
    """Clears what the browser keeps under ``prefix`` as the form inside it is sent."""

    library = "$/public/js/forget.js"
    tag = "Forget"
    prefix: rx.Var[str]


class Secret(rx.Component):
    """A password field, and a switch with a picture that shows what is in it; ``label`` names the switch."""

    library = "$/public/js/secret.js"
    tag = "Secret"
    label: rx.Var[str]


class Copyable(rx.Component):
    """The field inside it with a button that copies what it holds."""

    library = "$/public/js/copyable.js"
    tag = "Copyable"


native_form = NativeForm.create


def posted_form(*children: Any, action: str, look: str, is_farewell: bool = False) -> rx.Component:
    """After a farewell, nothing that its person typed stays in the browser."""
    return PostedForm.create(
        *children,
        action=action,
        method="post",
        trouble=NOT_SENT,
        forgets=PREFIX if is_farewell else "",
        class_name=look,
    )


def autosave(form: rx.Component, *, name: Any, **props: Any) -> rx.Component:
    """``name`` is what the browser keeps it as, once it is known for whom."""
    owner = SessionState.email
    return Autosave.create(form, place=rx.cond(owner != "", storage_key(owner, name), ""), **props)


def farewell(form: rx.Component) -> rx.Component:
    """A form after which nothing that its person typed stays in the browser."""
    return Forget.create(form, prefix=PREFIX)


def password(name: str, *, label: str = wording.PASSWORD, auto_complete: str, hint: str = "") -> rx.Component:
    control = text_input(
        name,
        hinted=bool(hint),
        type="password",
        auto_complete=auto_complete,
        required=True,
    )
    secret = Secret.create(control, icon("eye"), label="Show password", class_name="secret")
    return field(name, label, secret, hint=hint)


def field(name: str, label: str, control: rx.Component, *, note: Any = None, hint: str = "") -> rx.Component:
    """A labelled control; ``note`` stands at the label's right, ``hint`` below the control."""
    return rx.el.div(
        rx.el.label(
            label,
            *([] if note is None else [rx.el.span(note, class_name="soft small figures")]),
            html_for=name,
        ),
        control,
        *([rx.el.span(hint, class_name="soft small", id=f"{name}-hint")] if hint else []),
        field_error(name),
        class_name="field",
    )


def text_input(name: str, *, hinted: bool = False, **props: Any) -> rx.Component:
    return rx.el.input(**described(name, hinted), **props)


def text_area(name: str, *, hinted: bool = False, **props: Any) -> rx.Component:
    return rx.el.textarea(**described(name, hinted), **props)


def copyable(name: str, value: Any, *, hinted: bool = False) -> rx.Component:
    control = text_input(name, hinted=hinted, value=value, read_only=True)
    return Copyable.create(control, class_name="copyable")


def handed_over(name: str, label: str, value: Any, *below: Any, hint: str) -> rx.Component:
    """A secret that is shown while this is, to be copied and passed on."""
    return rx.el.div(
        field(name, label, copyable(name, value, hinted=True), hint=hint),
        *below,
        class_name="fresh stack close",
    )


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


def problem(where: str) -> rx.Component:
    """What went wrong with the whole form or step there."""
    return rx.cond(
        has(SessionState.errors, where),
        rx.el.p(SessionState.errors[where], class_name="alert", role="alert"),
    )


# Buttons and links that look like them.


def button(text: Any, *, look: str = "", symbol: str = "", **props: Any) -> rx.Component:
    """``look``: main, danger or plain; ordinary if empty."""
    props.setdefault("type", "button")
    return rx.el.button(*_content(text, symbol), class_name=f"button {look}".strip(), **props)


def icon_button(name: Any, symbol: str, **props: Any) -> rx.Component:
    """``name`` is what it is called, for it shows a symbol only."""
    return rx.el.button(
        icon(symbol), type="button", class_name="button plain square", aria_label=name, title=name, **props
    )


def link_button(text: Any, href: Any, *, look: str = "", symbol: str = "", **props: Any) -> rx.Component:
    return rx.el.a(*_content(text, symbol), href=href, class_name=f"button {look}".strip(), **props)


def download_button(video_id: Any, title: Any, *, look: str = "") -> rx.Component:
    """A plain link, so that keyboard, middle click and every download manager work as always."""
    return link_button(
        wording.DOWNLOAD,
        f"/api/auth/video/{video_id}/download",
        look=look,
        symbol="download",
        reload_document=True,
        aria_label=wording.to_download(title),
    )


def _content(text: Any, symbol: str) -> list[Any]:
    return [icon(symbol, 18), text] if symbol else [text]
