"""The words of the e-mail that tells of a video."""

from videovault.config import settings
from videovault.gateways.mail import Letter
from videovault.models import OutboxMessage


def letter(message: OutboxMessage, to: str) -> Letter:
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
    return Letter(message.id, message.created_at, to, subject, text)
