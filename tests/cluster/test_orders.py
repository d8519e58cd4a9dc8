"""No paid answer is lost: workers are restarted and killed while generators render, and the queue goes away.

Real processes: the app, workers, PostgreSQL and Redis.
"""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import psycopg
import pytest

from tests.support.generator import Generator
from tests.support.misbehaving_server import MIB, ServerBehaviour
from tests.support.part import Part
from tests.support.product import PASSWORD, PLAIN_WORKER, House, Person, Worker, video_id_of
from tests.support.redis import running_redis
from tests.support.world import World, outside_world

pytestmark = pytest.mark.cluster

VIDEOS, RESTARTS = 40, 10
ANSWER_SECONDS = 4.0
DATABASE = "orders"
LIMITS = {"RUNNING_PER_USER": "0", "WEBHOOK_TIMEOUT_SECONDS": "60"}


@pytest.fixture(scope="module")
def world(mp4: bytes, moto_server: str) -> Iterator[World]:
    with outside_world(mp4, moto_server, "orders") as world:
        yield world


@pytest.fixture(scope="module")
def redis() -> Iterator[Part]:
    with running_redis() as server:
        yield server


@pytest.fixture(scope="module")
def database_url(postgres_server: str) -> str:
    with psycopg.connect(f"{_address(postgres_server)}/postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {DATABASE}".encode())
    return f"{postgres_server}/{DATABASE}"


@pytest.fixture(scope="module")
def house(
    world: World, tmp_path_factory: pytest.TempPathFactory, database_url: str, redis: Part
) -> Iterator[House]:
    """The app on PostgreSQL and Redis, without a worker."""
    limits = LIMITS | {"DATABASE_URL": database_url, "QUEUE_URL": f"{redis.url}/0"}
    house = House(world, tmp_path_factory.mktemp("house"), limits)
    house.start_app()
    try:
        yield house
    finally:
        house.stop()


@pytest.fixture
def generator(house: House) -> Iterator[Generator]:
    generator = house.world.generator
    yield generator
    generator.answer_seconds, generator.mode = 0.0, "direct"
    generator.late.set()


@contextmanager
def _workers(house: House, count: int) -> Iterator[Callable[[], Worker]]:
    """So many plain workers; each call starts one more."""
    with ExitStack() as running:

        def start() -> Worker:
            return running.enter_context(house.worker(transfers=4, command=PLAIN_WORKER))

        started = [start() for _ in range(count)]
        remaining = iter(started)
        yield lambda: next(remaining, None) or start()


@contextmanager
def _database_away(server: str) -> Iterator[None]:
    """All connections end, and no new ones are accepted, as while PostgreSQL restarts."""
    with psycopg.connect(f"{_address(server)}/postgres", autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {DATABASE} ALLOW_CONNECTIONS false".encode())
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [DATABASE])
        try:
            yield
        finally:
            admin.execute(f"ALTER DATABASE {DATABASE} ALLOW_CONNECTIONS true".encode())


def _address(server: str) -> str:
    return server.replace("+psycopg", "")


def _has_more_orders(generator: Generator, count: int) -> bool:
    return len(generator.requests) > count


def _statuses(person: Person) -> list[str]:
    gallery = person.api.get("/api/auth/video/gallery", params={"userId": person.user_id})
    return [video["status"] for video in gallery.json()["data"]["videos"]]


def test_rolling_restarts_of_the_workers_lose_no_answer(house: House, generator: Generator) -> None:
    """40 videos whose answers take seconds: each is ready, and was rendered once."""
    generator.mode, generator.answer_seconds = "direct", ANSWER_SECONDS
    person, before = house.new_person(), generator.renders.copy()
    ordered: list[str] = []
    with _workers(house, 3) as next_worker:
        workers = [next_worker() for _ in range(3)]
        for place in islice(cycle(range(3)), RESTARTS):
            asked = len(generator.requests)
            ordered += [video_id_of(person.generate()) for _ in range(VIDEOS // RESTARTS)]
            house.until(partial(_has_more_orders, generator, asked))
            successor = next_worker()
            assert workers[place].stop() == 0
            workers[place] = successor
        house.until(lambda: _statuses(person).count("ready") == VIDEOS)
    rendered = generator.renders - before
    assert {key.partition(":")[0] for key in rendered} == set(ordered)
    assert (len(rendered), rendered.total()) == (VIDEOS, VIDEOS)
    print(f"{VIDEOS} videos ready, {rendered.total()} renders, {RESTARTS} restarts of workers")


def test_a_killed_call_is_reported_to_its_owner_who_orders_again(house: House, generator: Generator) -> None:
    generator.mode = "hang"
    person, before = house.new_person(), len(generator.requests)
    with _workers(house, 1) as next_worker:
        killed = next_worker()
        video_id = video_id_of(person.generate())
        house.until(lambda: len(generator.requests) > before)
        killed.kill()
        since = time.monotonic()
        next_worker()
        house.until(lambda: person.seen(video_id).get("retries") == ["generation"])
        print(f"reported {time.monotonic() - since:.1f} s after the worker was killed")
        assert person.seen(video_id)["status"] == "processing"
        generator.mode = "direct"
        person.retry(video_id)
        house.until(lambda: person.seen(video_id)["status"] == "ready")


def test_a_stopping_worker_releases_its_transfers_before_its_calls_end(
    house: House, generator: Generator
) -> None:
    generator.mode = "answer_late"
    generator.late.clear()
    person, before = house.new_person(), len(generator.requests)
    slow = house.world.source.serve("/slow.mp4", ServerBehaviour(size=4 * MIB, stall_after=MIB))
    with _workers(house, 1) as next_worker:
        stopping = next_worker()
        rendered = video_id_of(person.generate())
        house.until(lambda: len(generator.requests) > before)
        stored = person.store(slow)
        house.until(lambda: person.seen(stored)["progress"]["stage"] == "storing")
        stopping.process.send_signal(signal.SIGTERM)
        since = time.monotonic()
        house.until(lambda: person.seen(stored)["progress"]["stage"] == "queued")
        print(f"transfer released {time.monotonic() - since:.1f} s after SIGTERM")
        assert stopping.process.poll() is None
        generator.late.set()
        house.until(lambda: stopping.process.poll() is not None)
        assert stopping.process.returncode == 0
        house.world.source.serve("/slow.mp4", ServerBehaviour(size=4 * MIB))
        next_worker()
        house.until(lambda: {person.seen(each)["status"] for each in (rendered, stored)} == {"ready"})


def test_a_second_signal_ends_a_worker_at_once(house: House, generator: Generator) -> None:
    generator.mode = "hang"
    person, before = house.new_person(), len(generator.requests)
    with _workers(house, 1) as next_worker:
        stopping = next_worker()
        person.generate()
        house.until(lambda: len(generator.requests) > before)
        stopping.process.terminate()
        with pytest.raises(subprocess.TimeoutExpired):
            stopping.process.wait(5)
        assert stopping.stop() == 128 + signal.SIGTERM


def test_calls_during_an_outage_of_the_queue_are_accepted_and_done_once_it_is_back(
    house: House, generator: Generator, redis: Part
) -> None:
    generator.mode = "direct"
    person, before = house.new_person(), generator.renders.copy()
    with _workers(house, 2) as next_worker:
        for _ in range(2):
            next_worker()
        failed = video_id_of(person.generate())
        house.until(lambda: person.seen(failed)["status"] == "ready")
        redis.stop()
        rendered = [video_id_of(person.generate()) for _ in range(3)]
        stored = person.store(house.world.source.serve("/import.mp4", ServerBehaviour(body=house.world.film)))
        redis.start()
        since = time.monotonic()
        house.until(lambda: {person.seen(each)["status"] for each in (*rendered, stored)} == {"ready"})
        print(f"all ready {time.monotonic() - since:.1f} s after the queue was back")
    assert (generator.renders - before).total() == 4
    assert len(_statuses(person)) == 5


def test_an_answer_during_an_outage_of_the_database_is_recorded_afterwards(
    house: House, generator: Generator, postgres_server: str
) -> None:
    """Meanwhile calls are refused with the time to come back, and leave nothing behind."""
    generator.mode = "answer_late"
    generator.late.clear()
    person, asked, before = house.new_person(), len(generator.requests), generator.renders.copy()
    with _workers(house, 1) as next_worker:
        next_worker()
        video_id = video_id_of(person.generate())
        house.until(lambda: len(generator.requests) > asked)
        with _database_away(postgres_server):
            generator.late.set()
            refused = [
                person.generate(),
                person.api.get("/api/auth/me"),
                person.delete(video_id),
                person.api.post("/api/auth/login", json={"email": person.email, "password": PASSWORD}),
            ]
            house.until(lambda: any("not recorded yet" in log.read_text() for log in _worker_logs(house)))
        house.until(lambda: person.seen(video_id)["status"] == "ready")
    assert [answer.status_code for answer in refused] == [503] * 4
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
    assert ((generator.renders - before).total(), len(_statuses(person))) == (1, 1)


def _worker_logs(house: House) -> list[Path]:
    return [*house.data_dir.glob("worker-*.log")]
