"""The words of every e-mail: of videos, and of a forgotten password."""

from videovault.config import settings
from videovault.gateways.mail import Letter
from videovault.models import OutboxMessage, User
from videovault.services import resets


def letter(message: OutboxMessage, to: User) -> Letter:
    return _new_password(message, to) if message.kind == resets.MAIL else _video(message, to)


def _new_password(message: OutboxMessage, to: User) -> Letter:
    link = resets.link_for(to).url
    text = (
        "Somebody, hopefully you, asked for a new password. Choose one within an hour:\n\n"
        f"{link}\n\nIf it was not you, do nothing: your password stays as it is.\n\n"
        f"-- \nVideoVault at {settings().base_url} sent this because somebody typed this address there.\n"
    )
    return Letter(message.id, message.created_at, to.email, "A new password for VideoVault", text)


def _video(message: OutboxMessage, to: User) -> Letter:
    video = message.payload["data"]
    title, reason = f"“{video['title']}”", video.get("error", {}).get("message", "")
    if reason:
        subject, said = f"{title} failed", f"{title} failed: {reason}"
        way_on = "Try again, or see what it was about:"
    else:
        subject, said = f"{title} is ready", f"{title} is ready, and kept in your gallery."
        way_on = "Watch or download it:"
    gallery = f"{settings().base_url}/gallery"
    sender = f"VideoVault at {settings().base_url} sent this because the video is yours."
    text = f"{said}\n\n{way_on}\n{gallery}?video={message.video_id}\n\n-- \n{sender}\n"
    return Letter(message.id, message.created_at, to.email, subject, text)
