"""The way back for somebody who forgot the password: ask for a link, and follow it."""

import reflex as rx

from videovault.components.buttons import button
from videovault.components.forms import field, native_form, text_input
from videovault.pages.account import alert, new_password
from videovault.pages.layout import public_page
from videovault.state.account import AccountState


def forgot() -> rx.Component:
    return public_page(
        rx.el.h1("Forgot your password?", tab_index=-1, class_name="form-title"),
        rx.cond(
            AccountState.told != "",
            rx.el.p(AccountState.told, role="status"),
            rx.cond(AccountState.sends_mail, _ask(), _ask_admin()),
        ),
        _back(),
        look="slim",
    )


def reset() -> rx.Component:
    return public_page(
        rx.el.h1("Choose a new password", tab_index=-1, class_name="form-title"),
        native_form(
            alert(),
            new_password(),
            rx.el.input(type="hidden", name="token", value=AccountState.token),
            button("Change password", look="main wide", type="submit"),
            action="/api/auth/reset",
            method="post",
            class_name="stack",
        ),
        _back(),
        look="slim",
    )


def _ask() -> rx.Component:
    control = text_input("email", type="email", auto_complete="username", required=True, max_length=254)
    return native_form(
        alert(),
        field("email", "E-mail", control),
        button("Send me a link", look="main wide", type="submit"),
        action="/api/auth/forgot",
        method="post",
        class_name="stack",
    )


def _ask_admin() -> rx.Component:
    return rx.el.p("This installation sends no mail. Ask its admin for a link that sets a new password.")


def _back() -> rx.Component:
    return rx.el.p(rx.el.a("Sign in", href="/login"), class_name="soft below")
