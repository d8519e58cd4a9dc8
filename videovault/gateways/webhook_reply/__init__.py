"""Parses the messages of generators: replies of both webhooks, polled statuses and reports, all by the same rules.

``vocabulary`` is the table of known names and words; ``docs/connect/answers.md`` shows how each kind of reply is read.
"""

from videovault.gateways.webhook_reply.decoding import MAX_BYTES
from videovault.gateways.webhook_reply.script import Script
from videovault.gateways.webhook_reply.script import read as read_script
from videovault.gateways.webhook_reply.video import (
    MAX_MINUTES,
    UrlField,
    VideoReply,
    is_video,
    read,
    url_fields,
)

__all__ = [
    "MAX_BYTES",
    "MAX_MINUTES",
    "Script",
    "UrlField",
    "VideoReply",
    "is_video",
    "read",
    "read_script",
    "url_fields",
]
