"""Callers and videos for the services, without the API between."""

from collections.abc import Callable

import pytest

from videovault.db import reading
from videovault.models import Status, Video
from videovault.services import accounts, generation
from videovault.services.access import Caller

SCRIPT = {"hook": "Look", "body": "It is a thing.", "conclusion": "Buy it.", "avatar": "Anna"}

Row = Callable[[str], Video]


@pytest.fixture
def anna(installation: object) -> Caller:
    del installation
    signed_in = accounts.register("anna@example.com", "correct horse")
    return accounts.authenticate(signed_in.token)


@pytest.fixture
def bert(anna: Caller) -> Caller:
    del anna
    signed_in = accounts.register("bert@example.com", "correct horse")
    return accounts.authenticate(signed_in.token)


@pytest.fixture
def row() -> Row:
    """The row of a video as it is now."""

    def read(video_id: str) -> Video:
        with reading() as session:
            found = session.get(Video, video_id)
            assert found, "the row is gone"
            return found

    return read


@pytest.fixture
def generating(anna: Caller, row: Row) -> Callable[[], Video]:
    """A video that has been asked for and waits for its worker."""

    def request() -> Video:
        told: list[str] = []
        view = generation.request(anna, SCRIPT, enqueue=told.append)
        assert told == [view.video_id]
        video = row(view.video_id)
        assert video.status == Status.GENERATING
        return video

    return request
