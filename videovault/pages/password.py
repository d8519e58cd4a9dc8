"""The way back for somebody who forgot the password: ask for a link, and follow it."""

import reflex as rx

from videovault.components.buttons import button
from videovault.components.forms import field, posted_form, text_input
from videovault.pages.account import alert, new_password, told
from videovault.pages.layout import entrance
from videovault.state import wording
from videovault.state.account import AccountState


def forgot() -> rx.Component:
    return entrance(
        wording.FORGOT_PASSWORD,
        rx.cond(AccountState.told != "", told(), rx.cond(AccountState.sends_mail, _ask(), _ask_admin())),
        _back(),
    )


def reset() -> rx.Component:
    return entrance(
        "Choose a new password",
        posted_form(
            alert(),
            new_password(),
            rx.el.input(type="hidden", name="token", value=AccountState.token),
            button(wording.CHANGE_PASSWORD, look="main wide", type="submit"),
            action="/api/auth/reset",
            look="panel stack",
        ),
        _back(),
    )


def _ask() -> rx.Component:
    control = text_input(
        "email",
        type="email",
        auto_complete="username",
        default_value=AccountState.typed_email,
        required=True,
        max_length=254,
    )
    return posted_form(
        alert(),
        rx.el.p("We send you a link to choose a new one.", class_name="soft"),
        field("email", wording.EMAIL, control),
        button("Send me a link", look="main wide", type="submit"),
        action="/api/auth/forgot",
        look="panel stack",
    )


def _ask_admin() -> rx.Component:
    return rx.el.p(
        "E-mail is not set up here. Ask the admin for a link to choose a new password.",
        class_name="panel",
    )


def _back() -> rx.Component:
    return rx.el.p(rx.el.a("Back to signing in", href="/login"), class_name="below")
