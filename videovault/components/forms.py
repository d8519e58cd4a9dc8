"""Form fields with label, hint and error; native forms; buttons and links."""

from typing import Any

import reflex as rx

from videovault.components.icons import icon
from videovault.components.text import has
from videovault.state import wording
from videovault.state.local_storage import PREFIX, storage_key
from videovault.state.session import SessionState

NOT_SENT = "This could not be sent. Check your connection and try again."


class NativeForm(rx.el.Div):  # type: ignore[misc] # Reflex ships its elements without types
    """A form that the browser submits: Reflex's own form always prevents that."""

    tag = "form"
    action: rx.Var[str]
    method: rx.Var[str]


class PostedForm(rx.Component):
    """A native form that, with scripts, keeps what was typed when the server returns an error.

    After success it removes the keys of localStorage that begin with ``clears``, unless that is empty.
    """

    library = "$/public/js/posted_form.js"
    tag = "PostedForm"
    action: rx.Var[str]
    method: rx.Var[str]
    send_error: rx.Var[str]
    clears: rx.Var[str]


class Autosave(rx.Component):
    """Sends what is typed into the form inside it after each pause.

    The browser keeps a copy at ``storage_key`` until the server has saved it; ``on_restore`` gets that copy when the
    form is shown again.
    """

    library = "$/public/js/autosave.js"
    tag = "Autosave"
    storage_key: rx.Var[str]
    on_save: rx.EventHandler[rx.event.passthrough_event_spec(dict[str, str])]  # type: ignore[type-arg,valid-type] # Reflex's spelling
    on_restore: rx.EventHandler[rx.event.passthrough_event_spec(dict[str, str])]  # type: ignore[type-arg,valid-type] # as above


class ClearStorage(rx.Component):
    """Removes the keys of localStorage that begin with ``prefix`` when the form inside it is submitted."""

    library = "$/public/js/clear_storage.js"
    tag = "ClearStorage"
    prefix: rx.Var[str]


class PasswordField(rx.Component):
    """A password field with an icon that toggles its visibility; ``label`` names the toggle."""

    library = "$/public/js/password_field.js"
    tag = "PasswordField"
    label: rx.Var[str]


class Copyable(rx.Component):
    """The field inside it, with a button that copies its value."""

    library = "$/public/js/copyable.js"
    tag = "Copyable"


native_form = NativeForm.create


def posted_form(*children: Any, action: str, class_name: str, clears_storage: bool = False) -> rx.Component:
    """``clears_storage``: after success nothing that the user typed stays in the browser."""
    return PostedForm.create(
        *children,
        action=action,
        method="post",
        send_error=NOT_SENT,
        clears=PREFIX if clears_storage else "",
        class_name=class_name,
    )


def form(*children: Any, on_submit: Any, class_name: str = "stack", **props: Any) -> rx.Component:
    """A form that a state handles; it keeps its values, and the server validates it."""
    return rx.el.form(
        *children,
        on_submit=on_submit,
        reset_on_submit=False,
        no_validate=True,
        class_name=class_name,
        **props,
    )


def autosave(child: rx.Component, *, name: Any, **props: Any) -> rx.Component:
    """``name`` becomes part of the key in localStorage, once the user is known."""
    owner = SessionState.email
    return Autosave.create(child, storage_key=rx.cond(owner != "", storage_key(owner, name), ""), **props)


def clearing_storage(child: rx.Component) -> rx.Component:
    """The form ``child``; on submit, everything that the user typed is removed from the browser."""
    return ClearStorage.create(child, prefix=PREFIX)


def password(name: str, *, label: str = wording.PASSWORD, auto_complete: str, hint: str = "") -> rx.Component:
    control = text_input(
        name,
        hinted=bool(hint),
        type="password",
        auto_complete=auto_complete,
        required=True,
    )
    hideable = PasswordField.create(control, icon("eye"), label="Show password", class_name="secret")
    return field(name, label, hideable, hint=hint)


def field(name: str, label: str, control: rx.Component, *, note: Any = None, hint: str = "") -> rx.Component:
    """A labelled control; ``note`` is shown beside the label, ``hint`` below the control."""
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
    return rx.el.input(**control_props(name, hinted), **props)


def text_area(name: str, *, hinted: bool = False, **props: Any) -> rx.Component:
    return rx.el.textarea(**control_props(name, hinted), **props)


def copyable(name: str, value: Any, *, hinted: bool = False) -> rx.Component:
    control = text_input(name, hinted=hinted, value=value, read_only=True)
    return Copyable.create(control, class_name="copyable")


def one_time_secret(name: str, label: str, value: Any, *below: Any, hint: str) -> rx.Component:
    """A secret that can be copied as long as it is shown."""
    return rx.el.div(
        field(name, label, copyable(name, value, hinted=True), hint=hint),
        *below,
        class_name="fresh stack close",
    )


def control_props(name: str, hinted: bool = False) -> dict[str, Any]:
    """Attributes that connect a control with its label, hint and error."""
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


def form_error(where: str) -> rx.Component:
    """An error that concerns a whole form or step."""
    return rx.cond(
        has(SessionState.errors, where),
        rx.el.p(SessionState.errors[where], class_name="alert", role="alert"),
    )


def button(text: Any, *, variant: str = "", symbol: str = "", **props: Any) -> rx.Component:
    """``variant``: main, danger or plain; the default if empty."""
    props.setdefault("type", "button")
    return rx.el.button(*_content(text, symbol), class_name=f"button {variant}".strip(), **props)


def icon_button(name: Any, symbol: str, **props: Any) -> rx.Component:
    """A button that shows an icon only; ``name`` is its accessible name."""
    return rx.el.button(
        icon(symbol), type="button", class_name="button plain square", aria_label=name, title=name, **props
    )


def link_button(text: Any, href: Any, *, variant: str = "", symbol: str = "", **props: Any) -> rx.Component:
    return rx.el.a(*_content(text, symbol), href=href, class_name=f"button {variant}".strip(), **props)


def download_button(video_id: Any, title: Any, *, variant: str = "") -> rx.Component:
    """A plain link, so that keyboard, middle click and download managers work as usual."""
    return link_button(
        wording.DOWNLOAD,
        f"/api/auth/video/{video_id}/download",
        variant=variant,
        symbol="download",
        reload_document=True,
        aria_label=wording.to_download(title),
    )


def _content(text: Any, symbol: str) -> list[Any]:
    return [icon(symbol, 18), text] if symbol else [text]
