"""The page that a browser gets instead of an API error: the code explained."""

import reflex as rx

from videovault.state import wording
from videovault.state.session import SessionState

LATER = "Nothing is lost. Please try again in a few minutes."
# By the API's error codes. Nothing else is shown, so that no link can put its own text on this page.
PROBLEMS = {
    "VIDEO_NOT_FOUND": ("There is no such video", "It may have been deleted, or belong to another account."),
    "NOT_FOUND": (wording.PAGE_NOT_FOUND, wording.MISTYPED),
    "METHOD_NOT_ALLOWED": (wording.PAGE_NOT_FOUND, "This address is for programs."),
    "WRONG_SECRET_KEY": (
        wording.LINK_IS_DEAD,
        "Check that it is complete, or ask for a new one.",
    ),
    "FORBIDDEN": (
        "This is not possible from here",
        "The link has expired, or it is not meant for your account. Open the video again.",
    ),
    "CONFLICT": (
        "This video is not ready",
        "It may still be in progress, or its file may be missing. The gallery shows which.",
    ),
    "RATE_LIMITED": ("Too many attempts", "Please wait a few minutes, then try again."),
    "STORAGE_FAILED": ("The video cannot be fetched right now", LATER),
    "UNAVAILABLE": ("The database does not answer", LATER),
    "DISK_FULL": ("The disk is full", "Watching and downloading still work. An admin can free space."),
    "TOO_LARGE": ("This was too large", "The address or what was sent is longer than is accepted here."),
}
UNKNOWN_PROBLEM = (wording.SOMETHING_WENT_WRONG, LATER)


class ProblemState(SessionState):
    what: str = ""
    advice: str = ""

    @rx.event
    def explain(self) -> None:
        """Explain the code in the address."""
        code = self.router.url.query_parameters.get("code", "")
        self.what, self.advice = PROBLEMS.get(code, UNKNOWN_PROBLEM)
