"""What pages say in more than one place, each phrase named by what it means."""

from typing import Any

from videovault.state.wording.counting import (
    accounts,
    amount,
    budget,
    deleted,
    differences,
    field_chosen,
    found,
    news,
    not_deleted,
    objects,
    of_deleted,
    of_in_work_again,
    opened,
    opened_of,
    times,
    videos,
    with_warnings,
)
from videovault.state.wording.figures import (
    GB,
    WORDS_A_MINUTE,
    about,
    clock,
    code_apart,
    left,
    of_many,
    place,
    shortened,
    size,
)
from videovault.state.wording.playback import playback

__all__ = [
    "GB",
    "WORDS_A_MINUTE",
    "about",
    "accounts",
    "amount",
    "budget",
    "clock",
    "code_apart",
    "deleted",
    "differences",
    "field_chosen",
    "found",
    "left",
    "news",
    "not_deleted",
    "objects",
    "of_deleted",
    "of_in_work_again",
    "of_many",
    "opened",
    "opened_of",
    "place",
    "playback",
    "shortened",
    "size",
    "times",
    "videos",
    "with_warnings",
]

# What people do.
ADD_FROM_LINK = "Add from a link"
CANCEL = "Cancel"
CHANGE_PASSWORD = "Change password"  # noqa: S105 - a label
CLEAR = "Clear"
CLOSE = "Close"
CREATE_ACCOUNT = "Create account"
SIGN_OUT_EVERYWHERE = "Sign out everywhere"
DEACTIVATE, REACTIVATE = "Deactivate", "Reactivate"
DELETE = "Delete"
DELETE_ACCOUNT = "Delete my account"
DOWNLOAD = "Download"
FORGOT_PASSWORD = "Forgot your password?"  # noqa: S105 - a question
MEND = "Mend"
NEW_VIDEO = "New video"
NOT_NOW = "Not now"
OPEN = "Open"
SAVE = "Save"
SEARCH = "Search"
SHOW = "Show"
SHOW_OLDER = "Show older"
SIGN_IN, SIGN_OUT = "Sign in", "Sign out"
STORE_FILE = "Store its file"
TRY_AGAIN = "Try again"
FETCH_AGAIN, GENERATE_AGAIN, COPY_AGAIN = "Fetch again", "Generate again", "Make a copy again"
UNDO, REDO = "Undo", "Redo"

# What things are called.
ACCOUNT = "Account"
ACTIVITY = "Activity"
ADMIN = "Admin"
ALL_VIDEOS = "All videos"
AVATARS, ADD_AVATAR, AVATAR_ID = "Avatars", "Add avatar", "Avatar ID"
APPEARANCE = "Appearance"
DAY = "Day"
CLIENT_IP = "IP address"
EMAIL = "E-mail"
GALLERY = "Gallery"
NAME = "Name"
NAME_OR_EMAIL = "Name or e-mail"
NEW_PASSWORD = "New password"  # noqa: S105 - a label
NO_LIMIT = "No limit"
OPTIONAL = "optional"
PASSWORD = "Password"  # noqa: S105 - a label
PEOPLE = "People"
RESULTS = "Results"
STORAGE = "Storage"
STORED_PER_DAY = "Stored per day"
SYSTEM = "System"
TITLE = "Title"
VIDEOS = "Videos"
VIDEO_ADDRESS = "Address of the video"
# The columns of the admin's table, which it may be sorted by.
COLUMNS = {"title": TITLE, "owner": "Owner", "status": "Status", "size": "Size", "created": "Created"}

# How a video stands.
CANCELLED = "Cancelled"
DRAFT = "Draft"
FAILED = "Failed"
PROCESSING = "Processing"
READY = "Ready"
REQUESTED = "Requested"
PROGRESS = "Progress"
HANDING_OVER = "Handing it over"
WAITING_FOR_FILE = "Waiting for the file of the generator"
MAKING = "Making the video"
AWAITING = "Waiting for the generator"
FIELD_FORGOTTEN = "The address is looked for in the whole answer again."
UNREAD = "The generator's answer could not be read."
ANSWER = "Answer"
LEFT_EMPTY = "The script service left this part empty. Write it here."
WRITING = "Writing the script"
CHECKING = "Checking…"
DID_NOT_WORK = "This did not work"
LINK_IS_DEAD = "This link does not work any more"
NOTHING_HERE = "There is nothing here"
MISTYPED = "The address may be mistyped, or what was here has gone."
AGAIN = {
    "transfer": "Fetching it again costs nothing and continues where it stopped.",
    "generation": "Generating it again is a new order, which your generator may charge for.",
    "copy": "",  # what browsers make of the video says it already
}
REWRITTEN = {
    "hook": "The hook has been rewritten. You can undo it.",
    "body": "The body has been rewritten. You can undo it.",
    "conclusion": "The conclusion has been rewritten. You can undo it.",
}

EXAMPLE_TOPIC = "Three things that make a home ready to sell"
PASSWORD_LENGTH = "A password has 8 to 256 characters."  # noqa: S105 - a sentence

# How the installation is, and what webhooks were called for.
STATES = {"ok": "OK", "warning": "Warning", "broken": "Broken"}
VERDICTS = {
    "accepted": "Accepted",
    "duplicate": "Known already",
    "superseded": "Too late",
    "unread": "Not understood",
    "refused": "Refused",
}
CALLS = {
    ("out", "script"): "We asked for a script",
    ("out", "video"): "We asked for a video",
    ("out", "poll"): "We asked how far a video is",
    ("in", "status"): "A generator reported",
}
UNPROVEN = "Unverified report"

# Filled in by the browser as one types; see assets/js/meter.js.
METER = {
    "one": "1 word, {time} spoken",
    "many": "{words} words, {time} spoken",
    "seconds": "{seconds} s",
}
# What the browser says of selected videos by itself; {n}, {all} and {size} are filled in there.
SELECTION = {
    "name": "Selected videos",
    "selected": "{n} selected",
    "selected_size": "{n} selected, {size}",
    "every": "Select all shown",
    "none": CLEAR,
    "download": DOWNLOAD,
    "delete": DELETE,
    "downloading": "Downloading {n} of {all}",
    "downloaded": "Downloads started: {n}",
}


def to_delete(what: Any) -> str:
    return f"Delete {what}"


def to_download(title: Any) -> str:
    return f"Download {title}"


def to_select(title: Any) -> str:
    return f"Select {title}"


def works_until(moment: Any) -> str:
    return f"It works until {moment}."


def to_do(what: Any, title: Any) -> Any:
    return f"{what}: {title}"
