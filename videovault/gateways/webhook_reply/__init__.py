"""Reads what generators say: answers of both webhooks, polled statuses and reports, all by the same rules.

``vocabulary`` is the table of what is known; ``docs/connect/answers.md`` shows what becomes of each kind of answer.
"""

from videovault.gateways.webhook_reply.decoding import MAX_BYTES
from videovault.gateways.webhook_reply.script import Script
from videovault.gateways.webhook_reply.script import read as read_script
from videovault.gateways.webhook_reply.video import LONGEST_MINUTES, Field, Generation, fields, is_video, read

__all__ = [
    "LONGEST_MINUTES",
    "MAX_BYTES",
    "Field",
    "Generation",
    "Script",
    "fields",
    "is_video",
    "read",
    "read_script",
]
