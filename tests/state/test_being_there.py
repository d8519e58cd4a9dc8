"""A session falls idle although its page is open: only what a person does keeps it alive."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from tests.state.conftest import Person, Server
from videovault import models, security
from videovault.db import reading, transaction
from videovault.models import Status, Video, now
from videovault.services.core import lifecycle
from videovault.state import session
from videovault.state.gallery import GalleryState
from videovault.state.live_updates import WorkState
from videovault.state.session import SessionState

AWAY = timedelta(days=13)


def seen(token: str) -> datetime:
    with reading() as database:
        return database.get_one(models.Session, security.token_hash(token)).last_seen_at


def test_an_open_page_and_what_it_shows_by_itself_are_no_signs_of_life(
    server: Server, person: Callable[[str], Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    for shared in (session._callers, session._noted):
        monkeypatch.setattr(shared, "_seconds", 0.0)
    ada = person("ada")
    with transaction() as database:
        video = lifecycle.new_video(ada.caller.user_id, Status.GENERATING, "Bread", requested_at=now())
        database.add(video)
    tab = server.tab(ada.token, address="/gallery")
    tab.send(GalleryState, "load")
    tab.start(WorkState, "watch")
    tab.waits_until(lambda: video.id in tab.sees(WorkState).works)

    with transaction() as database:
        row = database.get_one(models.Session, security.token_hash(ada.token))
        row.last_seen_at -= AWAY
        assert lifecycle.move(database, database.get_one(Video, video.id), Status.FAILED)
    tab.waits_until(lambda: tab.sees(GalleryState).cards[0].status == "failed")
    assert now() - seen(ada.token) > AWAY

    tab.send(SessionState, "arrive")
    assert now() - seen(ada.token) < timedelta(minutes=1)
