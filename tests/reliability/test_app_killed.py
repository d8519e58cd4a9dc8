"""The app killed by SIGKILL in the middle of calls: what it had committed goes on, and callers may ask again."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import pytest

from tests.reliability.evidence import APP, Witness
from tests.reliability.stages import being_rendered, order_of, report_ready
from tests.support.misbehaving_server import MIB, Manners, payload
from tests.support.product import House, Person, video_id_of
from tests.support.waiting import HANG_SECONDS

pytestmark = [pytest.mark.process]  # beside a heavy load

ASKED = "SELECT id FROM videos WHERE owner_id = ?"
FILM = Manners(size=MIB)
TOPIC = "A lamp that was thought of when the power went"
TAKEN_SECONDS = 0.5


@dataclass(frozen=True)
class Struck:
    """A person, the video of theirs that a call was about when the app died, if it had a row, and the call."""

    person: Person
    video_id: str
    call: "Future[httpx.Response]"


@pytest.fixture(scope="module")
def struck(house: House) -> Iterator[dict[str, Struck]]:
    """Five calls were being answered; the app is dead, another one answers, and a worker works."""
    with ThreadPoolExecutor() as callers, house.worker() as worker:
        calls = {
            "waiting": _waiting(house, callers),
            "deleting": _deleting(house, callers),
        }
        order, writer = being_rendered(house), house.new_person()
        worker.kill()  # so that nobody else is at the queue
        with house.locked("queue.db"):
            calls["committed"] = _committed(house, callers)
            with house.locked():
                calls["reported"] = Struck(
                    writer, order["videoId"], callers.submit(report_ready, house, order)
                )
                calls["scripted"] = _scripted(house, writer, callers)
                time.sleep(TAKEN_SECONDS)  # that it waits for the database cannot be seen from outside
                house.kill_app()
        house.world.generator.choose = None
        house.world.proxy.drop_held()
        house.world.source.serve("/waiting.mp4", FILM)
        house.leases_run_out()
        house.age("idempotency_keys", "lease_until")
        house.start_app()
        with house.worker():
            yield calls


def test_what_was_committed_but_not_enqueued_is_found_and_done(
    house: House, struck: dict[str, Struck], witness: Witness
) -> None:
    cut = struck["committed"]
    assert isinstance(cut.call.exception(), httpx.TransportError)
    house.wait_for(cut.video_id, "ready")
    witness.saw("generating: committed, not enqueued yet", APP, cut.video_id)


def test_a_callback_that_was_not_written_down_is_taken_when_it_comes_again(
    house: House, struck: dict[str, Struck], witness: Witness
) -> None:
    cut = struck["reported"]
    assert isinstance(cut.call.exception(), httpx.TransportError)
    assert house.row(cut.video_id)["status"] == "generating"
    assert report_ready(house, order_of(house, cut.video_id)).status_code == 202
    house.wait_for(cut.video_id, "ready")
    witness.saw(
        "generating: its callback is taken, not noted yet", APP, cut.video_id, "the callback came again"
    )


def test_a_script_that_was_answered_but_not_kept_is_written_when_it_is_asked_for_again(
    house: House, struck: dict[str, Struck], witness: Witness
) -> None:
    cut = struck["scripted"]
    assert isinstance(cut.call.exception(), httpx.TransportError)
    assert not house.rows(ASKED, cut.person.user_id)
    video_id = video_id_of(cut.person.write_script(TOPIC))
    assert house.rows(ASKED, cut.person.user_id) == [{"id": video_id}]
    witness.saw("script: answered, not kept yet", APP, video_id, "its owner asked for it again")


def test_who_waited_asks_again_with_the_same_key_and_gets_the_same_video(
    house: House, struck: dict[str, Struck], witness: Witness
) -> None:
    cut = struck["waiting"]
    assert isinstance(cut.call.exception(), httpx.TransportError)
    answer = _call(cut.person, house.world.source.origin + "/waiting.mp4")
    assert (answer.status_code, answer.json()["data"]["videoId"]) == (200, cut.video_id)
    assert len(house.rows(ASKED, cut.person.user_id)) == 1
    witness.saw(
        "storing: a caller waits for it",
        APP,
        cut.video_id,
        "the same Idempotency-Key answers with this video",
    )


def test_a_deletion_is_finished_by_the_worker(
    house: House, struck: dict[str, Struck], witness: Witness
) -> None:
    cut = struck["deleting"]
    assert isinstance(cut.call.exception(), httpx.TransportError)
    house.until(lambda: not house.row(cut.video_id))
    witness.saw("deleting: S3 is being asked to delete", APP, cut.video_id)


def _committed(house: House, callers: ThreadPoolExecutor) -> Struck:
    """The row is there, and the queue, which is locked, waits for its task."""
    person = house.new_person()
    return _struck(house, person, callers.submit(person.generate))


def _scripted(house: House, person: Person, callers: ThreadPoolExecutor) -> Struck:
    """The generator has written the script, and the database, which is locked, waits for it."""
    call = callers.submit(person.write_script, TOPIC)
    house.until(lambda: any(asked.get("topic") == TOPIC for asked in house.world.generator.requests))
    return Struck(person, "", call)


def _waiting(house: House, callers: ThreadPoolExecutor) -> Struck:
    person = house.new_person()
    url = house.world.source.serve("/waiting.mp4", Manners(size=MIB, stall_after=MIB // 2))
    struck = _struck(house, person, callers.submit(_call, person, url))
    house.films[struck.video_id] = payload(MIB)
    house.wait_for(struck.video_id, "storing")
    return struck


def _deleting(house: House, callers: ThreadPoolExecutor) -> Struck:
    person = house.new_person()
    video_id = person.store(house.world.source.serve("/deleting.mp4", FILM))
    house.wait_for(video_id, "ready")
    held = house.world.proxy.hold("DeleteObject", video_id)
    call = callers.submit(person.delete, video_id)
    assert held.arrived.wait(HANG_SECONDS)
    return Struck(person, video_id, call)


def _struck(house: House, person: Person, call: "Future[httpx.Response]") -> Struck:
    house.until(lambda: house.rows(ASKED, person.user_id))
    video_id = str(house.rows(ASKED, person.user_id)[0]["id"])
    house.films[video_id] = house.world.film
    return Struck(person, video_id, call)


def _call(person: Person, url: str) -> httpx.Response:
    """A program that waits until the video is stored."""
    body, key = {"videoUrl": url, "userEmail": person.email}, {"Idempotency-Key": "the one"}
    return person.api.post("/api/auth/video/download", json=body, headers=key)
