"""How fast one page's socket may send."""

import asyncio
import time

import pytest
from starlette.types import Message

from tests.support.installation import Configure
from videovault.api.middleware.connection_limits import OpenConnections
from videovault.api.middleware.websocket_limits import BURST, MESSAGES_PER_SECOND, _Bounded

PEER = ("127.0.0.1", 1)
LATE = 6  # messages beyond the burst


async def _seconds(count: int) -> float:
    """How long the server takes to read this many messages that have all arrived."""

    async def receive() -> Message:
        return {"type": "websocket.receive", "text": "2"}

    async def send(message: Message) -> None:
        del message

    counted = OpenConnections()
    counted.delivered[PEER] = 0
    socket = _Bounded(receive, send, PEER, counted, PEER[0])
    began = time.monotonic()
    for _ in range(count):
        await socket.receive()
    return time.monotonic() - began


@pytest.mark.usefixtures("installation")
def test_messages_beyond_the_burst_are_read_no_faster_than_the_pace() -> None:
    assert asyncio.run(_seconds(BURST + LATE)) >= (LATE - 1) / MESSAGES_PER_SECOND


def test_no_pace_is_kept_for_load_tests(configure: Configure) -> None:
    configure(RATE_LIMITS="off")
    endless = 20 * BURST  # 95 seconds at the pace
    assert asyncio.run(_seconds(endless)) < (endless - BURST) / MESSAGES_PER_SECOND
