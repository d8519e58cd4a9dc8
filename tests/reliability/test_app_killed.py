"""The app killed by SIGKILL during calls: what was committed continues, and callers may retry."""

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

pytestmark = [pytest.mark.process]  # under heavy load

ASKED = "SELECT id FROM videos WHERE owner_id = ?"
FILM = Manners(size=MIB)
TOPIC = "A lamp that was thought of when the power went"
TAKEN_SECONDS = 0.5


@dataclass(frozen=True)
class Struck:
    """A user, the video of their call when the app died, if it had a row, and the call."""

    person: Person
    video_id: str
    call: "Future[httpx.Response]"


@pytest.fixture(scope="module")
def struck(house: House) -> Iterator[dict[str, Struck]]:
    """Five calls were in progress; the app is dead, a new one and a worker are running."""
    with ThreadPoolExecutor() as callers, house.worker() as worker:
        calls = {
            "waiting": _waiting(house, callers),
            "deleting": _deleting(house, callers),
        }
        order, writer = being_rendered(house), house.new_person()
        worker.kill()  # so that no other process uses the queue
        with house.locked("queue.db"):
            calls["committed"] = _committed(house, callers)
            with house.locked():
                calls["reported"] = Struck(
                    writer, order["videoId"], callers.submit(report_ready, house, order)
                )
                calls["scripted"] = _scripted(house, writer, callers)
                time.sleep(TAKEN_SECONDS)  # whether it waits for the database is not visible from outside
                house.kill_app()
        house.world.generator.choose = None
        house.world.proxy.drop_held()
        house.world.source.serve("/waiting.mp4", FILM)
        house.leases_run_out()
        house.age("idempotency_keys", "lease_until")
        house.start_app()
        with house.worker():
            yield calls


def test_a_video_committed_but_not_enqueued_is_processed(
    house: House, struck: dict[str, Struck], witness: Witness
) -> None:
    cut = struck["committed"]
    assert isinstance(cut.call.exception(), httpx.TransportError)
    house.wait_for(cut.video_id, "ready")
    witness.saw("generating: committed, not enqueued yet", APP, cut.video_id)


def test_a_callback_that_was_not_committed_is_accepted_when_repeated(
    house: House, struck: dict[str, Struck], witness: Witness
) -> None:
    cut = struck["reported"]
    assert isinstance(cut.call.exception(), httpx.TransportError)
    assert house.row(cut.video_id)["status"] == "generating"
    assert report_ready(house, order_of(house, cut.video_id)).status_code == 202
    house.wait_for(cut.video_id, "ready")
    witness.saw(
        "generating: its callback is accepted, not recorded yet", APP, cut.video_id, "the callback came again"
    )


def test_a_script_that_was_not_committed_is_written_on_the_next_request(
    house: House, struck: dict[str, Struck], witness: Witness
) -> None:
    cut = struck["scripted"]
    assert isinstance(cut.call.exception(), httpx.TransportError)
    assert not house.rows(ASKED, cut.person.user_id)
    video_id = video_id_of(cut.person.write_script(TOPIC))
    assert house.rows(ASKED, cut.person.user_id) == [{"id": video_id}]
    witness.saw("script: answered, not recorded yet", APP, video_id, "its owner asked for it again")


def test_a_repeated_request_with_the_same_key_returns_the_same_video(
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
    """The row is committed, and the task waits for the locked queue."""
    person = house.new_person()
    return _struck(house, person, callers.submit(person.generate))


def _scripted(house: House, person: Person, callers: ThreadPoolExecutor) -> Struck:
    """The generator has written the script, which waits for the locked database."""
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
    """A client that waits until the video is stored."""
    body, key = {"videoUrl": url, "userEmail": person.email}, {"Idempotency-Key": "the one"}
    return person.api.post("/api/auth/video/download", json=body, headers=key)
