"""Sentences and phrases with a number of things in them: each is whole for one and for several."""

from collections.abc import Sequence
from dataclasses import dataclass

from videovault.state.wording.figures import of_many, shortened, size

RESET = "You can make more after midnight UTC."


@dataclass(frozen=True)
class Counted:
    """Called with a number, it gives the words for it; ``{n}`` is where the number stands."""

    one: str
    many: str

    def __call__(self, number: int) -> str:
        return (self.one if number == 1 else self.many).format(n=f"{number:,}")


videos = Counted("1 video", "{n} videos")
accounts = Counted("1 account", "{n} accounts")
objects = Counted("1 object", "{n} objects")
differences = Counted("1 difference", "{n} differences")
with_warnings = Counted(
    "Everything works, with 1 warning.",
    "Everything works, with {n} warnings.",
)
in_work_again = Counted("1 video in work again.", "{n} videos in work again.")
gone_on = Counted("1 waiting video goes on.", "{n} waiting videos go on.")
all_deleted = Counted("1 video deleted.", "{n} videos deleted.")
times = Counted("once", "{n} times")
opened_so_often = Counted("Opened once.", "Opened {n} times.")
some_ready = Counted("1 video is ready", "{n} videos are ready")
some_failed = Counted("1 video failed", "{n} videos failed")
left_in_total = Counted("1 video left today for all accounts", "{n} videos left today for all accounts")
found_all = Counted("1 video found", "{n} videos found")
found_more = Counted("More than 1 video found", "More than {n} videos found")


def opened(times: int) -> str:
    return opened_so_often(times) if times else "Not opened yet."


def opened_of(times: int, most: int) -> str:
    return f"Views used: {of_many(times, most)}."


def budget(limit: int | None, left: int | None, in_total: int | None) -> str:
    """What may still be made today, by whichever limit is reached first; empty without limits."""
    if in_total is not None and (left is None or in_total < left):
        return left_in_total(in_total) if in_total else f"This installation has no videos left today. {RESET}"
    if left is None or limit is None:
        return ""
    noun = "video" if limit == 1 else "videos"
    return f"{of_many(left, limit)} {noun} left today" if left else f"You have no videos left today. {RESET}"


def news(ready: int, failed: int) -> str:
    """What became of several videos: ``2 videos are ready, 1 video failed``."""
    return ", ".join(say(number) for say, number in ((some_ready, ready), (some_failed, failed)) if number)


def amount(number: int, size_in_bytes: int) -> str:
    """``3 videos, 412 MB``; without the size where nothing is stored."""
    return f"{videos(number)}, {size(size_in_bytes)}" if size_in_bytes else videos(number)


def found(number: int, *, is_all: bool) -> str:
    """How many videos a search has found, as far as it has looked."""
    if not number:
        return "No videos found"
    return found_all(number) if is_all else found_more(number)


def deleted(titles: Sequence[str]) -> str:
    return (
        f"“{shortened(titles[0])}” is deleted."
        if len(titles) == 1
        else f"{len(titles):,} videos are deleted."
    )


def not_deleted(number: int, of: int) -> str:
    if of == 1:
        return "This video could not be deleted. Its card says why."
    return f"{number:,} of {of:,} videos could not be deleted. Their cards say why."


def of_deleted(done: int, total: int) -> str:
    """What became of deleting ``total`` videos."""
    if done == total:
        return all_deleted(total)
    return f"{of_many(done, total)} videos deleted. The others stay selected."


def of_in_work_again(done: int, total: int) -> str:
    """What became of trying ``total`` videos again."""
    if done == total:
        return in_work_again(total)
    return f"{of_many(done, total)} videos in work again. The others stay selected."


def field_chosen(setting: str, path: str, videos_going_on: int) -> str:
    """That answers are read from this field from now on, and how to keep that in the environment."""
    going_on = f" {gone_on(videos_going_on)}" if videos_going_on else ""
    return f"Addresses are read from {path} from now on.{going_on} To set it in .env: {setting}={path}"
