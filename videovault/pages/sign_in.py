"""Sign in and sign up, by forms that the browser can send by itself: password managers know them."""

from typing import Any

import reflex as rx

from videovault.components.forms import button, field, password, posted_form, text_input
from videovault.components.text import sentence
from videovault.pages.layout import entrance
from videovault.state import wording
from videovault.state.sign_in import SignInState

FIRST = "This first account is the admin's. Afterwards, invite others on the page Admin, People."
UNINVITED = (
    "You need an invitation to create an account here. Ask the admin for an invitation link, then open it."
)
PASSWORD_HINT = "At least 8 characters."  # noqa: S105 - a hint


def login() -> rx.Component:
    return entrance(
        wording.SIGN_IN,
        _form(
            wording.SIGN_IN,
            "/api/auth/login",
            _email("username"),
            password("password", auto_complete="current-password"),
        ),
        rx.el.p(rx.el.a(wording.FORGOT_PASSWORD, href="/forgot"), class_name="below"),
        _other("New here? {link}", wording.CREATE_ACCOUNT, "/register"),
    )


def register() -> rx.Component:
    return entrance(
        wording.CREATE_ACCOUNT,
        rx.match(
            SignInState.signup,
            ("closed", _refused("New accounts are closed here. Ask the admin.")),
            ("invite", rx.cond(SignInState.invitation != "", _new_account(), _refused(UNINVITED))),
            _new_account(),
        ),
        _other("You have an account? {link}", wording.SIGN_IN, "/login"),
    )


def _new_account() -> rx.Component:
    return _form(
        wording.CREATE_ACCOUNT,
        "/api/auth/register",
        rx.cond(SignInState.signup == "first", rx.el.p(FIRST, class_name="soft")),
        _email("email"),
        new_password(),
        rx.el.input(type="hidden", name="invitation", value=SignInState.invitation),
    )


def _refused(text: str) -> rx.Component:
    return rx.el.div(rx.el.p(text), class_name="panel stack", role="status")


def alert() -> rx.Component:
    """What is wrong with the form as a whole."""
    return rx.cond(SignInState.problem != "", rx.el.p(SignInState.problem, class_name="alert", role="alert"))


def told() -> rx.Component:
    """What has been done for the person."""
    return rx.el.div(
        rx.cond(SignInState.done != "", rx.el.p(SignInState.done, class_name="alert good")), role="status"
    )


def new_password() -> rx.Component:
    return password("password", auto_complete="new-password", hint=PASSWORD_HINT)


def _form(submit: str, action: str, *fields: rx.Component) -> rx.Component:
    return posted_form(
        told(),
        alert(),
        *fields,
        rx.el.input(type="hidden", name="next", value=SignInState.next),
        button(submit, look="main wide", type="submit"),
        action=action,
        look="panel stack",
    )


def _email(auto_complete: str) -> rx.Component:
    control = text_input(
        "email",
        type="email",
        auto_complete=auto_complete,
        default_value=SignInState.typed_email,
        required=True,
        max_length=254,
    )
    return field("email", wording.EMAIL, control)


def _other(question: str, text: str, path: str) -> rx.Component:
    link: Any = f"{path}?next={SignInState.next_quoted}"
    return rx.el.p(sentence(question, link=rx.el.a(text, href=link)), class_name="soft below")


# The way back for somebody who forgot the password: ask for a link, and follow it.


def forgot() -> rx.Component:
    return entrance(
        wording.FORGOT_PASSWORD,
        rx.cond(SignInState.done != "", told(), rx.cond(SignInState.sends_mail, _ask(), _ask_admin())),
        _back(),
    )


def reset() -> rx.Component:
    return entrance(
        "Choose a new password",
        posted_form(
            alert(),
            new_password(),
            rx.el.input(type="hidden", name="token", value=SignInState.token),
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
        default_value=SignInState.typed_email,
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
