"""The small parts of all pages: icons, texts, form fields with label, hint and error, buttons and links."""

import re
from collections.abc import Mapping
from typing import Any

import reflex as rx

from videovault.state import wording
from videovault.state.session import STORAGE_PREFIX, SessionState, storage_key

# Line icons as SVG paths: an icon library would add far more to the page than all of these.
PATHS = {
    "play": "M8 5.5v13l10.5-6.5z",
    "download": "M12 4v11m0 0 4.5-4.5M12 15l-4.5-4.5M5 19.5h14",
    "delete": "M4.5 7h15M9.5 7V4.5h5V7m-8 0 .8 12.5h9.4L17.5 7m-7.5 4v5m4-5v5",
    "close": "M6 6l12 12M18 6 6 18",
    "share": "M12 15V4m0 0L7.5 8.5M12 4l4.5 4.5M8 11.5H5.5V20h13v-8.5H16",
    "new": "M12 5v14M5 12h14",
    "again": "M19.5 12a7.5 7.5 0 1 1-2.2-5.3L19.5 9M19.5 4.5V9H15",
    "back": "M8.5 5 4.5 9l4 4M5 9h8.5a5.25 5.25 0 0 1 0 10.5H9",
    "check": "M5 12.5 10 17.5 19.5 7",
    "eye": "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12zm12.25 0a2.75 2.75 0 1 1-5.5 0 2.75 2.75 0 0 1 5.5 0z",
    "script": "M5 6.5h14M5 11h14M5 15.5h9M5 20h5",
    "vault": "M4.5 4.5h15v13.5h-15zM7.5 18v2m9-2v2M12 14.25a3 3 0 1 0 0-6 3 3 0 0 0 0 6zm0-6v-1m0 8v-1m3-2h1m-9 0h1",
    "rename": "M5 19.5 6 15 16 5l3.5 3.5-10 10zM13.5 7.5 17 11",
    "link": "M10 14a4 4 0 0 0 5.7 0l3.1-3.1a4 4 0 0 0-5.7-5.7L12 6.3M14 10a4 4 0 0 0-5.7 0l-3.1 3.1a4 4 0 0 0 5.7 5.7l1.1-1.1",
    "up": "M12 19V5.5m0 0L6.5 11M12 5.5 17.5 11",
    "down": "M12 5v13.5m0 0L6.5 13m5.5 5.5L17.5 13",
    "search": "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zm5-2 4.5 4.5",
    "contrast": "M12 20a8 8 0 1 0 0-16 8 8 0 0 0 0 16zm0-16v16m3-15.4v14.8m3-12.7v10.6",
    "info": "M12 20a8 8 0 1 0 0-16 8 8 0 0 0 0 16zm0-9v5m0-8.2v.4",
    "person": "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zm-7.5 8a7.5 7.5 0 0 1 15 0",
}
FILLED = {"play"}
# Options of Intl.DateTimeFormat.
DATE = "{dateStyle: 'medium'}"
DATE_TIME = "{dateStyle: 'medium', timeStyle: 'short'}"
PLACEHOLDER = re.compile(r"\{(\w+)\}")
NOT_SENT = "This could not be sent. Check your connection and try again."


def icon(name: str, size: int = 20) -> rx.Component:
    """Hidden from screen readers: it always belongs to an element with a name."""
    return rx.el.svg(
        rx.el.path(d=PATHS[name]),
        view_box="0 0 24 24",
        width=str(size),
        height=str(size),
        class_name="icon filled" if name in FILLED else "icon",
        aria_hidden="true",
    )


def portrait(avatar: Any) -> rx.Component:
    """An avatar's picture, or its initials; decorative, since its name is next to it."""
    return rx.cond(
        avatar.picture_url != "",
        rx.el.img(src=avatar.picture_url, alt="", class_name="portrait"),
        rx.el.span(avatar.initials, class_name="portrait blank", aria_hidden="true"),
    )


def has(mapping: Any, key: Any) -> rx.Var[bool]:
    """Whether a dict var has this key."""
    return rx.Var.create(mapping).to(dict).contains(key)


def is_empty(values: Any) -> rx.Var[bool]:
    return rx.Var.create(values).to(list).length() == 0


def local_time(moment: Any, options: str) -> rx.Var[str]:
    """An ISO time in the browser's time zone and locale; ``options`` are those of Intl.DateTimeFormat."""
    return _script(moment, f"new Date({moment!s}).toLocaleString(undefined, {options})")


def _script(source: Any, expression: str) -> rx.Var[str]:
    data = rx.Var.create(source)._get_all_var_data()  # noqa: SLF001 - the new var must carry its source's data
    return rx.Var(expression, _var_type=str, _var_data=data)


def sentence(template: str, **parts: Any) -> rx.Component:
    """The sentence with a component, such as a link, in place of each ``{name}``."""
    texts = PLACEHOLDER.split(template)
    shown = [parts[text] if number % 2 else text for number, text in enumerate(texts)]
    return rx.fragment(*(part for part in shown if not isinstance(part, str) or part))


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


class RemoveStored(rx.Component):
    """Removes ``storage_keys`` from localStorage whenever ``removal`` is a new id."""

    library = "$/public/js/remove_stored.js"
    tag = "RemoveStored"
    removal: rx.Var[str]
    storage_keys: rx.Var[list[str]]


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
remove_stored = RemoveStored.create


def posted_form(*children: Any, action: str, class_name: str, clears_storage: bool = False) -> rx.Component:
    """``clears_storage``: after success nothing that the user typed stays in the browser."""
    return PostedForm.create(
        *children,
        action=action,
        method="post",
        send_error=NOT_SENT,
        clears=STORAGE_PREFIX if clears_storage else "",
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
    return ClearStorage.create(child, prefix=STORAGE_PREFIX)


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


def url_input(**props: Any) -> rx.Component:
    return text_input("videoUrl", hinted=True, type="url", input_mode="url", auto_complete="off", **props)


def options(texts: Mapping[str, Any]) -> list[rx.Component]:
    """Of a select, by value."""
    return [rx.el.option(text, value=value) for value, text in texts.items()]


def select_field(name: str, label: str, texts: Mapping[str, Any], **props: Any) -> rx.Component:
    return field(name, label, rx.el.select(*options(texts), **props, **control_props(name)))


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
