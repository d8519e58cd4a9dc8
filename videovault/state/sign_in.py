"""The sign-in and sign-up pages: the results of their native forms as text."""

from urllib.parse import quote

import reflex as rx
from reflex.event import EventSpec

from videovault.config import settings
from videovault.errors import Busy, DiskFull
from videovault.formatting import format_duration
from videovault.security import local_path
from videovault.services.accounts import accounts, passwords
from videovault.services.core import fields
from videovault.state.background import run_in_db_pool
from videovault.state.session import HOME, SessionState

PROBLEMS = {
    "wrong": accounts.WRONG_LOGIN,
    "invalid": "Please check what you entered.",
    "closed": "New accounts are not open here. Ask the admin for one.",
    "invitation": accounts.INVITATION_INVALID,
    "uninvited": accounts.INVITATION_REQUIRED,
    "spent": passwords.LINK_INVALID,
    "busy": Busy().public_message,
    "full": DiskFull().public_message,
}
FIELD_PROBLEMS = {
    "no-email": ("email", "Enter your e-mail address."),
    "no-password": ("password", passwords.MISSING),
    "taken": ("email", "There is an account with this e-mail address already. Sign in instead."),
    "email": ("email", fields.INVALID_EMAIL),
    "password": ("password", passwords.WRONG_LENGTH),
    "controls": ("password", passwords.CONTROLS),
    "common": ("password", passwords.TOO_COMMON),
}
DONE = {
    "deleted": "Your account and everything in it is deleted.",
    "ended": "You have been signed out. Sign in to continue where you were.",
    "reset": "Your password is changed. Sign in with it.",
    "sent": "If there is an account with this address, a link is on its way to it. It works for an hour.",
}


class SignInState(SessionState):
    problem: str = ""
    done: str = ""
    typed_email: str = ""
    next: str = HOME
    next_quoted: str = HOME  # for the link between the two pages
    # From the page's address, for its form to send.
    invitation: str = ""
    token: str = ""
    sends_mail: bool = False
    signup: accounts.SignupMode = "open"

    @rx.event
    def enter(self) -> EventSpec | None:
        """Show the sign-in page, or redirect users who are signed in."""
        return self._show_or_redirect()

    @rx.event
    async def enter_sign_up(self) -> EventSpec | None:
        """As ``enter`` for the sign-up page, which also shows who may create an account."""
        self.signup = await run_in_db_pool(accounts.signup_mode)
        return self._show_or_redirect()

    @rx.event
    def enter_recovery(self) -> EventSpec | None:
        """Show the page for a lost password, also to users who are signed in."""
        self.sends_mail = settings().smtp is not None
        return self._read()

    def _show_or_redirect(self) -> EventSpec | None:
        focus = self._read()
        return rx.redirect(self.next, replace=True) if self.is_signed_in else focus

    def _read(self) -> EventSpec | None:
        """Take errors, typed values and the next page from the address. Returns the focus for the first wrong field."""
        query = self.router.url.query_parameters
        self.next = local_path(query.get("next", ""), HOME)
        self.next_quoted = quote(self.next)
        self.typed_email = query.get("email", "")
        self.invitation, self.token = query.get("invitation", ""), query.get("token", "")
        self.done = DONE.get(query.get("done", ""), "")
        codes = query.get("error", "")
        focus = self._show_problems(codes, FIELD_PROBLEMS)
        self.problem = _problem(codes, query.get("wait", "")) if codes and not focus else ""
        return focus


def _problem(code: str, wait: str) -> str:
    if code == "slow":
        seconds = int(wait) if wait.isdecimal() and len(wait) < 6 else 60
        return f"Too many attempts. Try again in {format_duration(seconds)}."
    return PROBLEMS.get(code, PROBLEMS["invalid"])
