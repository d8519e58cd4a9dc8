"""The callback inbox as an admin sees it: whole, but for secrets and the addresses of videos."""

import re
from typing import Literal

from videovault.gateways import reader
from videovault.models import Delivery
from videovault.services.recording import MASK, named_video
from videovault.services.views import Time, View

_ADDRESS = re.compile(r'(https?://[^/\s"?#\\]+)[^\s"\\]*', re.IGNORECASE)


class FieldView(View):
    """An address in an answer that was not understood; ``path`` is what VIDEO_RESULT_FIELD takes."""

    path: str
    address: str


class DeliveryView(View):
    """One webhook call. Of addresses only the host is shown: the rest often is a key to the video.

    ``kind`` is ``script``, ``video`` or ``poll`` for those we made, ``status`` for those that reached us;
    ``answer`` is what our own were answered with, ``outcome`` the video's state after one that reached us. ``title``
    is the video's as it is now, empty for one that is gone. ``address`` is the network that a call without a valid
    token or signature came from; such a call has no ``video_id``, whatever it names.
    ``fields`` are those that an admin can choose from, of an answer that was not understood.
    """

    id: str
    at: Time
    direction: Literal["in", "out"]
    kind: str
    video_id: str | None = None
    address: str = ""
    title: str = ""
    headers: dict[str, str]
    body: str
    answer: str
    verdict: str
    why: str
    http_status: int | None = None
    outcome: str
    can_be_replayed: bool
    fields: list[FieldView] = []

    @classmethod
    def of(cls, row: Delivery, title: str = "") -> "DeliveryView":
        return cls(
            id=str(row.id),
            at=row.at,
            direction="in" if row.direction == "in" else "out",
            kind=row.kind,
            video_id=row.video_id,
            address=row.address,
            title=title,
            headers={name: without_paths(value) for name, value in row.headers.items()},
            body=without_paths(row.body),
            answer=without_paths(row.answer),
            verdict=row.verdict,
            why=row.why,
            http_status=row.http_status,
            outcome=row.outcome,
            can_be_replayed=row.direction == "in"
            and not row.is_cut
            and (row.video_id is not None or _names_video(row)),
            fields=[
                FieldView(path=found.path, address=without_paths(found.url)) for found in choices_of(row)
            ],
        )


class DeliveriesView(View):
    """One page of the inbox, newest first."""

    deliveries: list[DeliveryView]
    next_cursor: str | None = None


def choices_of(row: Delivery) -> list[reader.Field]:
    """The addresses in an answer or a report that was not understood; none in any other."""
    return reader.fields(*said_in(row)) if row.verdict == "unread" else []


def said_in(row: Delivery) -> tuple[bytes, str]:
    """The generator's own words in a call, and their content type."""
    said = row.body if row.direction == "in" else row.answer
    return said.encode(), row.headers.get("content-type", "") if row.direction == "in" else ""


def _names_video(row: Delivery) -> bool:
    return bool(named_video(row.body.encode()))


def without_paths(text: str) -> str:
    """Of addresses, only the host: the rest often is a key to the video."""
    return _ADDRESS.sub(rf"\1/{MASK}", text)
