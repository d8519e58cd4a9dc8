"""Sign in and sign up, by forms that the browser itself sends: password managers know them."""

from typing import Any

import reflex as rx

from videovault.components.buttons import button
from videovault.components.forms import field, native_form, text_input
from videovault.pages.layout import public_page
from videovault.state.account import AccountState


def login() -> rx.Component:
    return public_page(
        _form("Sign in", "/api/auth/login", _email("username"), _password("current-password")),
        rx.el.p(rx.el.a("Forgot your password?", href="/forgot"), class_name="below"),
        _other("New here?", "Create account", "/register"),
        look="slim",
    )


def register() -> rx.Component:
    return public_page(
        _form(
            "Create account",
            "/api/auth/register",
            _email("email"),
            new_password(),
            rx.el.input(type="hidden", name="invitation", value=AccountState.invitation),
        ),
        _other("You have an account?", "Sign in", "/login"),
        look="slim",
    )


def alert() -> rx.Component:
    """What is wrong with the form as a whole."""
    return rx.cond(
        AccountState.problem != "", rx.el.p(AccountState.problem, class_name="alert", role="alert")
    )


def new_password() -> rx.Component:
    return _password("new-password", hint="At least 8 characters.")


def _form(title: str, action: str, *fields: rx.Component) -> rx.Component:
    return rx.fragment(
        rx.el.h1(title, tab_index=-1, class_name="form-title"),
        native_form(
            rx.cond(AccountState.told != "", rx.el.p(AccountState.told, role="status")),
            alert(),
            *fields,
            rx.el.input(type="hidden", name="next", value=AccountState.next),
            button(title, look="main wide", type="submit"),
            action=action,
            method="post",
            class_name="stack",
        ),
    )


def _email(auto_complete: str) -> rx.Component:
    control = text_input(
        "email",
        type="email",
        auto_complete=auto_complete,
        default_value=AccountState.typed_email,
        required=True,
        max_length=254,
    )
    return field("email", "E-mail", control)


def _password(auto_complete: str, hint: str = "") -> rx.Component:
    control = text_input(
        "password",
        hinted=bool(hint),
        type=rx.cond(AccountState.shows_password, "text", "password"),
        auto_complete=auto_complete,
        required=True,
        **({"min_length": 8, "max_length": 256} if hint else {}),
    )
    return rx.el.div(
        field("password", "Password", control, hint=hint),
        rx.el.label(
            rx.el.input(
                type="checkbox",
                checked=AccountState.shows_password,
                on_change=AccountState.toggle_password,
            ),
            "Show password",
            class_name="check",
        ),
        class_name="stack close",
    )


def _other(question: str, text: str, path: str) -> rx.Component:
    link: Any = f"{path}?next={AccountState.next}"
    return rx.el.p(question, " ", rx.el.a(text, href=link), class_name="soft below")
