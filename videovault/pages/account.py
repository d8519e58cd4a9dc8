"""The account page: name, storage, password, devices, API tokens, and deleting the account."""

from typing import Any

import reflex as rx

from videovault.components.elements import (
    DATE,
    DATE_TIME,
    button,
    field,
    form,
    is_empty,
    local_time,
    one_time_secret,
    password,
    posted_form,
    select_field,
    sentence,
    text_input,
)
from videovault.components.progress import bar
from videovault.pages.layout import app_page, page_head
from videovault.pages.sign_in import PASSWORD_HINT
from videovault.state import wording
from videovault.state.account import DEVICES, TOKENS, AccountState
from videovault.state.session import SessionState

SCOPES = {"read": "Read only", "write": "Read and write"}
LIFETIMES = {"30": "30 days", "90": "90 days", "365": "1 year", "": "Never"}


def account() -> rx.Component:
    return app_page(
        page_head(wording.ACCOUNT, SessionState.email),
        rx.el.div(
            _profile(), _storage(), _password(), _devices(), _tokens(), _deletion(), class_name="stack"
        ),
        active="/account",
        variant="narrow",
    )


def _section(title: str, *children: rx.Component, text: Any = None, name: str = "") -> rx.Component:
    """``name`` is the heading's id, by which it can take the focus."""
    heading = rx.el.h2(title, id=name, tab_index=-1) if name else rx.el.h2(title)
    intro = [] if text is None else [rx.el.p(text, class_name="soft")]
    return rx.el.section(
        rx.el.div(heading, *intro, class_name="stack close"), *children, class_name="panel stack"
    )


def _profile() -> rx.Component:
    control = text_input("name", default_value=AccountState.name, auto_complete="name", max_length=100)
    return _section(
        "Profile",
        form(
            field("name", wording.NAME, control, note=wording.OPTIONAL),
            rx.el.div(button(wording.SAVE, type="submit"), class_name="actions"),
            on_submit=AccountState.rename,
            key=AccountState.name,
        ),
    )


def _storage() -> rx.Component:
    return _section(
        wording.STORAGE,
        rx.cond(AccountState.percent >= 0, bar(AccountState.percent, "Storage used")),
        text=AccountState.storage,
    )


def _password() -> rx.Component:
    return _section(
        wording.PASSWORD,
        posted_form(
            _username(),
            password("currentPassword", label="Current password", auto_complete="current-password"),
            password(
                "newPassword", label=wording.NEW_PASSWORD, auto_complete="new-password", hint=PASSWORD_HINT
            ),
            rx.el.div(button(wording.CHANGE_PASSWORD, type="submit"), class_name="actions"),
            action="/api/auth/password",
            class_name="stack",
        ),
        text="Changing your password signs you out on all other devices. API tokens keep working.",
    )


def _username() -> rx.Component:
    """Hidden field that tells password managers which account the password belongs to."""
    return rx.el.input(
        name="username",
        value=SessionState.email,
        auto_complete="username",
        read_only=True,
        hidden=True,
    )


def _devices() -> rx.Component:
    return _section(
        "Devices",
        rx.el.ul(rx.foreach(AccountState.devices, _device), class_name="lines"),
        rx.cond(~is_empty(AccountState.more_devices), _more_devices()),
        text="The devices on which you are signed in.",
        name=DEVICES,
    )


def _more_devices() -> rx.Component:
    return rx.el.details(
        rx.el.summary(f"More devices: {rx.Var.create(AccountState.more_devices).length()}"),
        rx.el.ul(rx.foreach(AccountState.more_devices, _device), class_name="lines"),
    )


def _device(device: Any) -> rx.Component:
    return rx.el.li(
        rx.el.div(
            rx.el.strong(device.name),
            rx.el.span(f"Last used {local_time(device.seen_at, DATE_TIME)}", class_name="soft small"),
            class_name="line-text",
        ),
        rx.cond(
            device.is_current,
            rx.el.span("This device", class_name="soft small still"),
            button(
                wording.SIGN_OUT,
                on_click=AccountState.sign_out(device.session_id),
                aria_label=f"Sign out {device.name}",
            ),
        ),
        key=device.session_id,
    )


def _tokens() -> rx.Component:
    return _section(
        "API tokens",
        rx.cond(
            ~is_empty(AccountState.tokens),
            rx.el.ul(rx.foreach(AccountState.tokens, _token), class_name="lines"),
        ),
        rx.el.div(rx.cond(AccountState.fresh_token != "", _new_token()), role="status"),
        rx.cond(AccountState.fresh_token == "", _token_form()),
        text=sentence(
            "For programs that act for you. A token can do everything you can, except change this account. {how}",
            how=rx.el.a("How to use it", href="/api/docs", reload_document=True),
        ),
        name=TOKENS,
    )


def _token(token: Any) -> rx.Component:
    used = rx.cond(token.used_at != "", f"Last used {local_time(token.used_at, DATE)}.", "Never used.")
    until = rx.cond(
        token.expires_at != "",
        wording.expires(local_time(token.expires_at, DATE)),
        "Never expires.",
    )
    return rx.el.li(
        rx.el.div(
            rx.el.strong(token.name),
            rx.el.span(token.scope, class_name="soft small"),
            rx.el.span(until, class_name="soft small"),
            rx.el.span(used, class_name="soft small"),
            class_name="line-text",
        ),
        button("Revoke", on_click=AccountState.revoke(token.token_id), aria_label=f"Revoke {token.name}"),
        key=token.token_id,
    )


def _new_token() -> rx.Component:
    return one_time_secret(
        "fresh-token",
        "Your new token",
        AccountState.fresh_token,
        rx.el.div(button("Done", on_click=AccountState.hide_token), class_name="actions"),
        hint="Copy it now. It will not be shown again.",
    )


def _token_form() -> rx.Component:
    name = text_input("tokenName", placeholder="Nightly upload", max_length=100, required=True)
    return form(
        field("tokenName", wording.NAME, name),
        rx.el.div(
            select_field("scope", "Permissions", SCOPES),
            select_field("days", "Expires after", LIFETIMES),
            class_name="pair",
        ),
        rx.el.div(button("Create token", type="submit", symbol="new"), class_name="actions"),
        on_submit=AccountState.create_token,
    )


def _deletion() -> rx.Component:
    return _section(
        wording.DELETE_ACCOUNT,
        posted_form(
            _username(),
            password("password", label="Your password", auto_complete="current-password"),
            rx.el.div(button(wording.DELETE_ACCOUNT, variant="danger", type="submit"), class_name="actions"),
            action="/api/auth/delete-account",
            class_name="stack",
            clears_storage=True,
        ),
        text=sentence(
            "This permanently deletes your account with {videos}, all drafts and all API tokens.",
            videos=rx.el.strong(AccountState.videos_and_storage),
        ),
    )
