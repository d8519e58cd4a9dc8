"""Brings a video to the stage at which its worker is killed.

Generator, source and S3 hold back what the worker waits for, so that no moment has to be guessed.
"""

import time
from contextlib import ExitStack
from dataclasses import dataclass, field

import httpx

from tests.support.generator import Order
from tests.support.generator_modes import Mode
from tests.support.misbehaving_server import MIB, ServerBehaviour, payload
from tests.support.product import House, Person, video_id_of
from tests.support.s3_proxy import Behaviour, Held, Refusal, Request
from tests.support.waiting import HANG_SECONDS
from videovault.services.transfer.engine.types import PART_BYTES

SMALL, TWO_PARTS, THREE_PARTS = MIB, PART_BYTES + MIB, 2 * PART_BYTES + 4 * MIB
ANSWER_SECONDS = 0.5


@dataclass
class RefusesOneDeletion(Behaviour):
    """Of this video; a refusal for whichever call is next could meet the worker's."""

    video_id: str
    is_done: bool = False

    def refuse(self, request: Request) -> Refusal | None:
        if self.is_done or request.operation != "DeleteObject" or self.video_id not in request.path:
            return None
        self.is_done = True
        return 403, "AccessDenied"


@dataclass
class Stages:
    """Each method but ``release`` gives the id of a video that stays where its name says."""

    house: House
    owners: dict[str, Person] = field(default_factory=dict)
    _served: dict[str, ServerBehaviour] = field(default_factory=dict)
    _requests_before: dict[str, int] = field(default_factory=dict)

    def before_the_generator_answers(self) -> str:
        return self._ordered("hang")

    def never_answered(self) -> str:
        return self._ordered("hang")

    def unanswered(self) -> str:
        return self._ordered("hang")

    def queued(self) -> str:
        """Both transfers of the user are taken by videos that stall."""
        person = self.house.new_person()
        for _ in range(2):
            stalls = self.wanted(person, ServerBehaviour(size=SMALL, stall_after=SMALL // 2))
            self.house.wait_for(stalls, "storing")
        waits = self.wanted(person, ServerBehaviour(size=SMALL))
        self.house.wait_for(waits, "queued")
        return waits

    def claimed(self) -> str:
        video_id = self.wanted(self.house.new_person(), ServerBehaviour(size=SMALL, no_answer=True))
        self.house.wait_for(video_id, "storing")
        return video_id

    def after_an_upload_was_begun(self) -> str:
        return self._held(ServerBehaviour(size=TWO_PARTS), "CreateMultipartUpload", answered=True)

    def after_two_parts(self) -> str:
        video_id = self._held(ServerBehaviour(size=THREE_PARTS), "UploadPart", ".*partNumber=3")
        parts = "SELECT number FROM upload_parts WHERE video_id = ?"
        self.house.until(lambda: len(self.house.rows(parts, video_id)) == 2)
        self._requests_before[video_id] = len(self._ranges(video_id))
        return video_id

    def after_complete(self) -> str:
        return self._held(ServerBehaviour(size=TWO_PARTS), "Complete", answered=True)

    def before_the_poster(self) -> str:
        return self._held(ServerBehaviour(body=self.house.world.film), "PutObject", ".*poster.webp")

    def before_the_sidecar(self) -> str:
        return self._held(ServerBehaviour(body=self.house.world.film), "PutObject", ".*video.json")

    def deleted_while_it_is_stored(self) -> str:
        person = self.house.new_person()
        video_id = self._held(ServerBehaviour(size=TWO_PARTS), "UploadPart", person=person)
        assert person.delete(video_id).status_code == 200
        return video_id

    def while_its_objects_are_deleted(self) -> str:
        """S3 refuses the owner's call, so that the worker has to continue it."""
        person = self.house.new_person()
        video_id = self.wanted(person, ServerBehaviour(size=SMALL))
        self.house.wait_for(video_id, "ready")
        held = self.house.world.proxy.hold("DeleteObject", video_id)
        self.house.world.proxy.behaviour = RefusesOneDeletion(video_id)
        assert person.delete(video_id).status_code == 502
        assert held.arrived.wait(HANG_SECONDS)
        return video_id

    def after_the_generator_answered(self, until_killed: ExitStack) -> str:
        """The worker has the response, but cannot record it while the database is locked."""
        video_id = self._ordered("answer_late")
        until_killed.enter_context(self.house.locked())
        self.house.world.generator.late.set()
        time.sleep(ANSWER_SECONDS)  # whether the worker has read it is not visible from outside
        return video_id

    def release(self) -> None:
        """Release everything that is held."""
        self.house.world.proxy.drop_held()
        self.house.world.proxy.behaviour = Behaviour()
        self.house.world.generator.choose = None
        for path, behaviour in self._served.items():
            self.house.world.source.serve(path, behaviour)

    def wanted(self, person: Person, behaviour: ServerBehaviour) -> str:
        """A video imported by ``person``; the source stalls until ``release``."""
        path = f"/{person.user_id}-{len(self._served)}.mp4"
        self._served[path] = ServerBehaviour(size=behaviour.size, body=behaviour.body)
        video_id = person.store(self.house.world.source.serve(path, behaviour))
        self.house.films[video_id] = behaviour.body or payload(behaviour.size)
        return video_id

    def positions_read_since(self, video_id: str) -> list[int]:
        """The first byte of each request to the source since ``after_two_parts``."""
        ranges = self._ranges(video_id)[self._requests_before[video_id] :]
        return [int((each or "bytes=0-").removeprefix("bytes=").partition("-")[0]) for each in ranges]

    def _ranges(self, video_id: str) -> list[str | None]:
        source, url = self.house.world.source, str(self.house.row(video_id)["source_url"])
        return source.ranges(url.removeprefix(source.origin))

    def _ordered(self, mode: Mode) -> str:
        generator, before = self.house.world.generator, len(self.house.world.generator.requests)
        generator.choose = lambda _order: mode
        person = self.house.new_person()
        video_id = video_id_of(person.generate())
        self.owners[video_id] = person
        self.house.films[video_id] = self.house.world.film
        self.house.until(lambda: len(generator.requests) > before)
        return video_id

    def _held(
        self,
        behaviour: ServerBehaviour,
        operation: str,
        name: str = "",
        *,
        answered: bool = False,
        person: Person | None = None,
    ) -> str:
        person = person or self.house.new_person()
        held: Held = self.house.world.proxy.hold(operation, person.user_id + name, answered=answered)
        video_id = self.wanted(person, behaviour)
        assert held.arrived.wait(HANG_SECONDS)
        return video_id


def being_rendered(house: House) -> Order:
    """An order of a new user that the generator has accepted."""
    house.world.generator.choose = lambda _order: "processing"
    video_id = video_id_of(house.new_person().generate())
    house.films[video_id] = house.world.film
    house.until(lambda: house.row(video_id)["estimated_minutes"])
    return order_of(house, video_id)


def order_of(house: House, video_id: str) -> Order:
    return next(order for order in house.world.generator.requests if order.get("videoId") == video_id)


def report_ready(house: House, order: Order) -> httpx.Response:
    """The generator's callback: the video is ready."""
    report = {"userId": order["userId"], "videoId": order["videoId"], "status": "ready"}
    return httpx.put(
        order["callbackUrl"],
        json=report | {"videoUrl": house.world.generator.video_url},
        headers={"Authorization": f"Bearer {order['callbackToken']}"},
        timeout=HANG_SECONDS,
    )
