"""Users, generators, workers and the clock act in any order: every video ends and is paid for once.

ANY_ORDER=long runs more sequences, chosen at random each time.
"""

import os
from contextlib import suppress
from datetime import timedelta

import moto.s3.models
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test
from sqlmodel import col, select

from tests.services.any_order import invariants
from tests.services.any_order.actions import REFUSALS, Actions
from tests.services.any_order.fault_points import POINTS, Points
from tests.services.any_order.shared_installation import SharedInstallation
from tests.support.generator import Generator, Mode
from tests.support.installation import Configure
from tests.support.misbehaving_server import MisbehavingServer
from tests.support.server_behaviour import ServerBehaviour, payload
from videovault.db import reading
from videovault.gateways import storage
from videovault.gateways.storage import Storage
from videovault.models import Status, Video
from videovault.services.core.access import Caller
from videovault.services.generation import polling, scripts
from videovault.services.maintenance import repair
from videovault.services.transfer import cleanup, lease
from videovault.services.transfer.engine import types, uploads

pytestmark = pytest.mark.thorough

KIB = 1024
LONG = os.environ.get("ANY_ORDER") == "long"
RUNS, STEPS = (500, 50) if LONG else (25, 25)
MOST_ROUNDS = 6
MODES: tuple[Mode, ...] = (
    "direct",
    "processing",
    "poll",
    "poll_rejected",
    "cut",
    "malformed",
    "rejected",
    "busy",
)

which = st.integers(0, 7)
hooks = st.sampled_from(["Look", "Listen"])
paths = st.sampled_from(["/long.mp4", "/short.mp4", "/page.mp4", "/expired.mp4"])
films = st.sampled_from(["/long.mp4", "/short.mp4"])
modes = st.sampled_from(MODES)
points = st.sampled_from(POINTS)


class AnyOrder(Actions):
    """The actions as rules, and the invariants after each."""

    @initialize(hook=hooks)
    def begins_with_a_wish(self, hook: str) -> None:
        self.a_person_wishes_for_a_video(hook)

    # Users

    @rule(hook=hooks)
    def a_person_wishes_for_a_video(self, hook: str) -> None:
        self._request(hook)

    @rule(path=paths)
    def a_person_stores_an_address(self, path: str) -> None:
        self._store(path)

    @rule(number=which, hook=hooks)
    def a_person_orders_again(self, number: int, hook: str) -> None:
        self._order_again(self._video(number), hook)

    @rule(number=which, hook=hooks)
    def a_person_edits_the_script(self, number: int, hook: str) -> None:
        with suppress(*REFUSALS):
            scripts.update_draft(self.shared.anna, self._video(number), {"hook": hook})

    @rule(number=which)
    def a_person_tries_again(self, number: int) -> None:
        self._try_again(self._video(number))

    @rule(number=which)
    def a_person_cancels(self, number: int) -> None:
        self._cancel(self._video(number))

    @rule(number=which)
    def a_person_deletes(self, number: int) -> None:
        self._delete(self._video(number))

    @rule(number=which, path=paths)
    def an_admin_gives_an_address(self, number: int, path: str) -> None:
        self._rescue(self._video(number), path)

    # Generators

    @rule(
        number=which,
        status=st.sampled_from(["processing", "failed", "ready"]),
        path=paths,
        twice=st.booleans(),
    )
    def a_generator_reports(self, number: int, status: str, path: str, twice: bool) -> None:
        """On any order, even a superseded one."""
        orders = self.shared.generator.requests
        if orders:
            for _ in range(1 + twice):
                self._report(orders[number % len(orders)], status, path)

    @rule(number=which)
    def a_generator_is_asked_how_far_it_is(self, number: int) -> None:
        polling.poll(self._video(number), enqueue=self._queue.append)

    # Workers

    @rule(mode=modes)
    def a_worker_does_what_is_due(self, mode: Mode) -> None:
        self.shared.generator.mode = mode
        self._work()

    @rule(mode=modes, point=points, path=films)
    def a_worker_dies(self, mode: Mode, point: str, path: str) -> None:
        self._work_disturbed(mode, point, path, self._dies)

    @rule(mode=modes, point=points, path=films, data=st.data())
    def a_worker_does_what_is_due_while_others_act(
        self, mode: Mode, point: str, path: str, data: st.DataObject
    ) -> None:
        disturbances = self._disturbances(point)
        self._work_disturbed(mode, point, path, disturbances[data.draw(st.sampled_from([*disturbances]))])

    @rule()
    def repair_runs(self) -> None:
        repair.repair(enqueue=self._queue.append)

    # The clock

    @rule(number=which)
    def a_lease_runs_out(self, number: int) -> None:
        self._lapse(self._video(number))

    @rule(number=which)
    def a_deadline_passes(self, number: int) -> None:
        self._age(self._video(number), "deadline_at")

    @rule(number=which)
    def the_time_of_the_next_question_comes(self, number: int) -> None:
        self._age(self._video(number), "next_ask_at")

    # Invariants

    @invariant()
    def nothing_is_lost_or_paid_twice(self) -> None:
        self.shared.count["steps"] += 1
        invariants.check_always(self.shared.generator)

    def teardown(self) -> None:
        """Repair and workers alone bring every video to its end."""
        self.shared.generator.mode = "direct"
        before: object = None
        for _ in range(MOST_ROUNDS):
            if before == (before := invariants.states()) and invariants.are_at_rest():
                break
            self._age_all()
            repair.repair(enqueue=self._queue.append)
            for video_id in polling.due_video_ids():
                polling.poll(video_id, enqueue=self._queue.append)
            while self._queue:
                self._work()
        cleanup.abort_orphaned_uploads(timedelta(0))
        invariants.check_always(self.shared.generator)
        invariants.check_at_rest(self.shared.films)
        self.shared.count.update(f"ended {video.status}" for video in invariants.rows().values())


def _storing() -> str:
    """The video that was claimed last."""
    with reading() as session:
        claimed = select(Video.id).where(Video.status == Status.STORING)
        return session.exec(claimed.order_by(col(Video.heartbeat_at).desc())).first() or ""


@pytest.fixture
def mp4() -> bytes:
    """The generator's own film: of several parts, and without ranges."""
    return payload(150 * KIB, 3)


@pytest.fixture
def shared(
    anna: Caller,
    generator: Generator,
    server: MisbehavingServer,
    mp4: bytes,
    moto_s3: Storage,
    configure: Configure,
    monkeypatch: pytest.MonkeyPatch,
) -> SharedInstallation:
    del moto_s3
    films = {"/long.mp4": payload(200 * KIB, 1), "/short.mp4": payload(40 * KIB, 2)}
    served = {server.serve(path, ServerBehaviour(body=film)): film for path, film in films.items()}
    server.serve("/page.mp4", ServerBehaviour(body=b"<!doctype html>", content_type="text/html"))
    server.serve("/expired.mp4", ServerBehaviour(status=403))
    own = generator.url.removeprefix("http://")
    configure(RATE_LIMITS="off", SOURCE_ALLOW_HOSTS=f"{own},127.0.0.1:{server.port}")
    for module, name, value in (
        (types, "MIB", KIB),
        (types, "PART_BYTES", 64 * KIB),
        (types, "FAR_PART_BYTES", 64 * KIB),
        (moto.s3.models, "S3_UPLOAD_PART_MIN_SIZE", KIB),
        (uploads, "UPLOADERS", 1),
        (lease, "HEARTBEAT_SECONDS", 60),  # a held worker must not stay alive through its heartbeat thread
    ):
        monkeypatch.setattr(module, name, value)
    points = Points()
    points.watch(monkeypatch, _storing)
    films_by_url = served | {generator.video_url: mp4}
    return SharedInstallation(anna, storage.connected(), generator, films_by_url, server.origin, points)


def test_every_video_ends_whatever_happens_in_any_order(shared: SharedInstallation) -> None:
    bound = type("AnyOrderHere", (AnyOrder,), {"shared": shared})
    chosen = settings(
        max_examples=RUNS,
        stateful_step_count=STEPS,
        deadline=None,
        derandomize=not LONG,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    run_state_machine_as_test(bound, settings=chosen)
    print(dict(shared.count))
    assert shared.count["ended ready"]
    assert not set(POINTS) - set(shared.count), "a fault point was never reached"
