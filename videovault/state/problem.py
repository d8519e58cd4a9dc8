"""The page that a browser is sent to where a program gets an error: the error's code in words."""

import reflex as rx

from videovault.state import wording
from videovault.state.session import SessionState

LATER = "Nothing is lost. Please try again in a few minutes."
# By the API's codes. Only these sentences are shown: a link must not be able to put words into this page.
PROBLEMS = {
    "VIDEO_NOT_FOUND": ("There is no such video", "It may have been deleted, or belong to another account."),
    "NOT_FOUND": (wording.NOTHING_HERE, wording.MISTYPED),
    "METHOD_NOT_ALLOWED": (wording.NOTHING_HERE, "This address is for programs."),
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
        "It may still be in the making, or its file may be missing. The gallery says more.",
    ),
    "RATE_LIMITED": ("Too many attempts", "Please wait a few minutes, then try again."),
    "STORAGE_FAILED": ("The video cannot be fetched right now", LATER),
    "DISK_FULL": ("The disk is full", "Watching and downloading still work. The admin can make room."),
    "TOO_LARGE": ("This was too large", "The address or what was sent is longer than is accepted here."),
}
OTHERWISE = (wording.DID_NOT_WORK, LATER)


class ProblemState(SessionState):
    what: str = ""
    advice: str = ""

    @rx.event
    def tell(self) -> None:
        """Say what the code in the address means."""
        code = self.router.url.query_parameters.get("code", "")
        self.what, self.advice = PROBLEMS.get(code, OTHERWISE)
