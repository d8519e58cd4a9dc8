"""A person's own account: name, storage, password, devices, API tokens, and the way out."""

from typing import Any

import reflex as rx

from videovault.components.forms import (
    button,
    described,
    field,
    handed_over,
    password,
    posted_form,
    text_input,
)
from videovault.components.progress import bar
from videovault.components.text import is_empty, local_time, sentence
from videovault.pages.layout import app_page, page_head
from videovault.pages.sign_in import PASSWORD_HINT
from videovault.state import wording
from videovault.state.account import DEVICES, TOKENS, AccountState
from videovault.state.session import SessionState

WHEN = "{dateStyle: 'medium', timeStyle: 'short'}"
DAY = "{dateStyle: 'medium'}"


def account() -> rx.Component:
    return app_page(
        page_head(wording.ACCOUNT, SessionState.email),
        rx.el.div(_person(), _storage(), _password(), _devices(), _tokens(), _closing(), class_name="stack"),
        active="/account",
        look="narrow",
    )


def _section(title: str, *children: rx.Component, text: Any = None, name: str = "") -> rx.Component:
    """Its heading takes the focus by ``name``."""
    heading = rx.el.h2(title, id=name, tab_index=-1) if name else rx.el.h2(title)
    said = [] if text is None else [rx.el.p(text, class_name="soft")]
    return rx.el.section(
        rx.el.div(heading, *said, class_name="stack close"), *children, class_name="panel stack"
    )


def _person() -> rx.Component:
    control = text_input("name", default_value=AccountState.name, auto_complete="name", max_length=100)
    return _section(
        "You",
        rx.el.form(
            field("name", wording.NAME, control, note=wording.OPTIONAL),
            rx.el.div(button(wording.SAVE, type="submit"), class_name="actions"),
            on_submit=AccountState.rename,
            reset_on_submit=False,
            no_validate=True,
            key=AccountState.name,
            class_name="stack",
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
            _whose(),
            password("currentPassword", label="Current password", auto_complete="current-password"),
            password(
                "newPassword", label=wording.NEW_PASSWORD, auto_complete="new-password", hint=PASSWORD_HINT
            ),
            rx.el.div(button(wording.CHANGE_PASSWORD, type="submit"), class_name="actions"),
            action="/api/auth/password",
            look="stack",
        ),
        text="Changing it signs you out on every other device. API tokens keep working.",
    )


def _whose() -> rx.Component:
    """For password managers, which otherwise cannot tell whose password it is."""
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
        rx.cond(is_empty(AccountState.more_devices), rx.fragment(), _more_devices()),
        text="Where you are signed in.",
        name=DEVICES,
    )


def _more_devices() -> rx.Component:
    return rx.el.details(
        rx.el.summary(f"More devices: {rx.Var.create(AccountState.more_devices).length()}"),
        rx.el.ul(rx.foreach(AccountState.more_devices, _device), class_name="lines"),
    )


def _device(shown: Any) -> rx.Component:
    return rx.el.li(
        rx.el.div(
            rx.el.strong(shown.name),
            rx.el.span(f"Last used {local_time(shown.seen_at, WHEN)}", class_name="soft small"),
            class_name="line-text",
        ),
        rx.cond(
            shown.is_current,
            rx.el.span("This device", class_name="soft small still"),
            button(
                wording.SIGN_OUT,
                on_click=AccountState.sign_out(shown.session_id),
                aria_label=f"Sign out {shown.name}",
            ),
        ),
        key=shown.session_id,
    )


def _tokens() -> rx.Component:
    return _section(
        "API tokens",
        rx.cond(
            is_empty(AccountState.tokens),
            rx.fragment(),
            rx.el.ul(rx.foreach(AccountState.tokens, _token), class_name="lines"),
        ),
        rx.el.div(rx.cond(AccountState.fresh_token != "", _fresh()), role="status"),
        rx.cond(AccountState.fresh_token == "", _token_form()),
        text=sentence(
            "For programs that work for you. A token can do all that you can, but not change this account. {how}",
            how=rx.el.a("How to use it", href="/api/docs", reload_document=True),
        ),
        name=TOKENS,
    )


def _token(shown: Any) -> rx.Component:
    used = rx.cond(
        shown.used_at != "", f"Last used {local_time(shown.used_at, DAY)}.", "It has not been used yet."
    )
    until = rx.cond(
        shown.expires_at != "",
        wording.works_until(local_time(shown.expires_at, DAY)),
        "It works until you revoke it.",
    )
    return rx.el.li(
        rx.el.div(
            rx.el.strong(shown.name),
            rx.el.span(shown.scope, class_name="soft small"),
            rx.el.span(until, class_name="soft small"),
            rx.el.span(used, class_name="soft small"),
            class_name="line-text",
        ),
        button("Revoke", on_click=AccountState.revoke(shown.token_id), aria_label=f"Revoke {shown.name}"),
        key=shown.token_id,
    )


def _fresh() -> rx.Component:
    return handed_over(
        "fresh-token",
        "Your new token",
        AccountState.fresh_token,
        rx.el.div(button("Done", on_click=AccountState.hide_token), class_name="actions"),
        hint="Copy it now. It is not shown again.",
    )


def _token_form() -> rx.Component:
    name = text_input("tokenName", placeholder="Nightly upload", max_length=100, required=True)
    return rx.el.form(
        field("tokenName", wording.NAME, name),
        rx.el.div(
            field(
                "scope",
                "What it may do",
                rx.el.select(
                    rx.el.option("Read only", value="read"),
                    rx.el.option("Read and write", value="write"),
                    **described("scope"),
                ),
            ),
            field(
                "days",
                "Works for",
                rx.el.select(
                    rx.el.option("30 days", value="30"),
                    rx.el.option("90 days", value="90"),
                    rx.el.option("A year", value="365"),
                    rx.el.option("Until revoked", value=""),
                    **described("days"),
                ),
            ),
            class_name="pair",
        ),
        rx.el.div(button("Make a token", type="submit", symbol="new"), class_name="actions"),
        on_submit=AccountState.create_token,
        reset_on_submit=False,
        no_validate=True,
        class_name="stack",
    )


def _closing() -> rx.Component:
    return _section(
        wording.DELETE_ACCOUNT,
        posted_form(
            _whose(),
            password("password", label="Your password", auto_complete="current-password"),
            rx.el.div(button(wording.DELETE_ACCOUNT, look="danger", type="submit"), class_name="actions"),
            action="/api/auth/delete-account",
            look="stack",
            is_farewell=True,
        ),
        text=sentence(
            "Deletes your account and everything in it, for good: {videos}, your drafts and your API tokens.",
            videos=rx.el.strong(AccountState.videos_and_storage),
        ),
    )
