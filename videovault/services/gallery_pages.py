"""A gallery of any length, read a page at a time: thousands of videos take no more memory than two hundred."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, or_
from sqlalchemy.sql.operators import desc_op
from sqlmodel import select

from videovault.db import reading
from videovault.models import Video
from videovault.services import limiting, videos
from videovault.services.access import Caller, check_user
from videovault.services.videos import ORDERS, GalleryQuery
from videovault.services.views import GalleryView, VideoView

PAGE = 200
Place = Sequence[Any]


def read(caller: Caller, user_id: str, query: GalleryQuery) -> Iterator[GalleryView]:
    """First the counts with the first videos, then further videos in views whose other fields say nothing new.

    With a limit there is one view. Raises as ``videos.gallery`` does.
    """
    if query.limit is not None or query.cursor:
        yield videos.gallery(caller, user_id, query)
        return
    check_user(caller, user_id)
    limiting.check(limiting.LINKS, "links", caller.user_id)
    with reading() as session:
        counts = videos.counts_of(session, user_id)
    noted = False
    for shown in _pages(user_id, query):
        if not noted and any(video.download_url for video in shown):
            videos.note_links(caller, user_id)
            noted = True
        yield videos.view(shown, counts)


def _pages(user_id: str, query: GalleryQuery) -> Iterator[list[VideoView]]:
    """At least one page, which may be empty."""
    order = ORDERS[query.sort]
    keys = [_key(ordered) for ordered in order]
    page = select(Video, *keys).where(*videos.wanted(user_id, query)).order_by(*order).limit(PAGE)
    after: ColumnElement[bool] | None = None
    while True:
        with reading() as session:
            found = session.exec(page if after is None else page.where(after)).all()
        yield videos.linked_all([row[0] for row in found])
        if len(found) < PAGE:
            return
        after = _behind(order, found[-1][1:])


def _behind(order: Sequence[Any], place: Place) -> ColumnElement[bool]:
    """What stands behind the row whose keys are ``place``, in this order."""
    (first, *others), (value, *values) = order, place
    further = _key(first) < value if _falls(first) else _key(first) > value
    return or_(further, and_(_key(first) == value, _behind(others, values))) if others else further


def _falls(ordered: Any) -> bool:
    return getattr(ordered, "modifier", None) is desc_op


def _key(ordered: Any) -> Any:
    return ordered.element if _falls(ordered) else ordered
