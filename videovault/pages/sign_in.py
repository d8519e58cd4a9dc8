"""Sign-in, sign-up and password reset: native forms, so that they work without scripts and with password managers."""

from typing import Any

import reflex as rx

from videovault.components.elements import button, field, password, posted_form, sentence, text_input
from videovault.pages.layout import sign_in_page
from videovault.state import wording
from videovault.state.sign_in import SignInState

FIRST = "This first account becomes the admin. You can invite others later under Admin, People."
UNINVITED = "You need an invitation to create an account. Ask the admin for an invitation link and open it."
PASSWORD_HINT = "At least 8 characters."  # noqa: S105 - a hint


def login() -> rx.Component:
    return sign_in_page(
        wording.SIGN_IN,
        _form(
            wording.SIGN_IN,
            "/api/auth/login",
            _email("username"),
            password("password", auto_complete="current-password"),
        ),
        rx.el.p(rx.el.a(wording.FORGOT_PASSWORD, href="/forgot"), class_name="below"),
        _other_page("New here? {link}", wording.CREATE_ACCOUNT, "/register"),
    )


def register() -> rx.Component:
    return sign_in_page(
        wording.CREATE_ACCOUNT,
        rx.match(
            SignInState.signup,
            ("closed", _refused("New accounts are closed. Ask the admin to open them.")),
            ("invite", rx.cond(SignInState.invitation != "", _new_account(), _refused(UNINVITED))),
            _new_account(),
        ),
        _other_page("Already have an account? {link}", wording.SIGN_IN, "/login"),
    )


def forgot() -> rx.Component:
    return sign_in_page(
        wording.FORGOT_PASSWORD,
        rx.cond(
            SignInState.done != "",
            _confirmation(),
            rx.cond(SignInState.sends_mail, _request_link(), _ask_admin()),
        ),
        _back_to_sign_in(),
    )


def reset() -> rx.Component:
    return sign_in_page(
        "Choose a new password",
        posted_form(
            _alert(),
            _new_password(),
            rx.el.input(type="hidden", name="token", value=SignInState.token),
            button(wording.CHANGE_PASSWORD, variant="main wide", type="submit"),
            action="/api/auth/reset",
            class_name="panel stack",
        ),
        _back_to_sign_in(),
    )


def _new_account() -> rx.Component:
    return _form(
        wording.CREATE_ACCOUNT,
        "/api/auth/register",
        rx.cond(SignInState.signup == "first", rx.el.p(FIRST, class_name="soft")),
        _email("email"),
        _new_password(),
        rx.el.input(type="hidden", name="invitation", value=SignInState.invitation),
    )


def _refused(text: str) -> rx.Component:
    return rx.el.div(rx.el.p(text), class_name="panel stack", role="status")


def _alert() -> rx.Component:
    """An error that concerns the whole form."""
    return rx.cond(SignInState.problem != "", rx.el.p(SignInState.problem, class_name="alert", role="alert"))


def _confirmation() -> rx.Component:
    """What the last request has done."""
    return rx.el.div(
        rx.cond(SignInState.done != "", rx.el.p(SignInState.done, class_name="alert good")), role="status"
    )


def _new_password() -> rx.Component:
    return password("password", auto_complete="new-password", hint=PASSWORD_HINT)


def _form(submit: str, action: str, *fields: rx.Component) -> rx.Component:
    return posted_form(
        _confirmation(),
        _alert(),
        *fields,
        rx.el.input(type="hidden", name="next", value=SignInState.next),
        button(submit, variant="main wide", type="submit"),
        action=action,
        class_name="panel stack",
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


def _other_page(question: str, text: str, path: str) -> rx.Component:
    link: Any = f"{path}?next={SignInState.next_quoted}"
    return rx.el.p(sentence(question, link=rx.el.a(text, href=link)), class_name="soft below")


def _request_link() -> rx.Component:
    return posted_form(
        _alert(),
        rx.el.p("We'll send you a link to choose a new password.", class_name="soft"),
        _email("username"),
        button("Send link", variant="main wide", type="submit"),
        action="/api/auth/forgot",
        class_name="panel stack",
    )


def _ask_admin() -> rx.Component:
    return rx.el.p("This installation sends no e-mail. Ask the admin for a reset link.", class_name="panel")


def _back_to_sign_in() -> rx.Component:
    return rx.el.p(rx.el.a("Back to sign-in", href="/login"), class_name="below")
