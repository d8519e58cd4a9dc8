"""Connections to PostgreSQL end their waits when the server, or the network in between, is frozen."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import psycopg
import pytest
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import OperationalError

from tests.support.frozen_proxy import FrozenProxy, frozen_proxy
from tests.support.installation import Configure
from videovault import db, postgres, worker

pytestmark = [pytest.mark.postgres, pytest.mark.usefixtures("installation")]
SHORT = 0.3


@pytest.fixture
def proxy(postgres_server: str) -> Iterator[FrozenProxy]:
    url = make_url(postgres_server)
    with frozen_proxy((str(url.host), int(url.port or 0))) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is waited for never comes, so the tests need not wait as long as the product."""
    monkeypatch.setattr(postgres.BoundedConnection, "answer_seconds", SHORT)
    monkeypatch.setattr(postgres.QueueConnection, "answer_seconds", SHORT)
    monkeypatch.setattr(postgres, "PING_SECONDS", SHORT)
    monkeypatch.setattr(postgres, "OPTIONS", postgres.OPTIONS | {"connect_timeout": 2})


@pytest.fixture
def engine(configure: Configure, shared_postgres: str, proxy: FrozenProxy) -> Engine:
    """The application's engine, connected through the proxy."""
    configure(DATABASE_URL=through(proxy, shared_postgres))
    return db.engine()


def through(proxy: FrozenProxy, url: str) -> str:
    return make_url(url).set(host="127.0.0.1", port=proxy.port).render_as_string()


def ask(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT 1")).scalar_one())


def test_a_statement_that_is_not_answered_ends_with_an_error(engine: Engine, proxy: FrozenProxy) -> None:
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        proxy.freeze()
        with pytest.raises(OperationalError, match="not answered") as error:
            connection.execute(text("SELECT 2"))
    assert error.value.connection_invalidated


def test_a_new_connection_that_is_not_answered_ends_with_an_error(engine: Engine, proxy: FrozenProxy) -> None:
    proxy.freeze()
    with pytest.raises(OperationalError, match="timeout"):
        ask(engine)


def test_half_open_connections_are_replaced_before_their_next_use(engine: Engine, proxy: FrozenProxy) -> None:
    connections = [engine.connect() for _ in range(5)]
    for connection in connections:
        connection.close()  # back to the pool
    proxy.freeze()
    proxy.abandon()
    with ThreadPoolExecutor(5) as threads:
        assert list(threads.map(ask, [engine] * 5)) == [1] * 5


def test_a_frozen_server_that_continues_answers_what_it_was_asked(
    engine: Engine, proxy: FrozenProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres.BoundedConnection, "answer_seconds", postgres.ANSWER_SECONDS)
    with engine.connect() as connection, ThreadPoolExecutor(1) as thread:
        connection.execute(text("SELECT 1"))
        proxy.freeze()
        asked = thread.submit(connection.execute, text("SELECT 2"))
        proxy.thaw()
        assert asked.result().scalar_one() == 2


def test_the_queue_ends_its_waits_too_and_works_again(
    configure: Configure, shared_postgres: str, proxy: FrozenProxy
) -> None:
    configure(QUEUE_URL=through(proxy, shared_postgres).replace("+psycopg", ""))
    huey = worker.queue().huey
    huey.storage.flush_queue()
    proxy.freeze()
    with pytest.raises(psycopg.OperationalError, match="not answered"):
        huey.pending_count()
    proxy.abandon()
    assert huey.pending_count() == 0


def test_one_half_open_connection_of_the_queue_is_enough_to_replace_those_of_all_threads(
    configure: Configure, shared_postgres: str, proxy: FrozenProxy
) -> None:
    configure(QUEUE_URL=through(proxy, shared_postgres).replace("+psycopg", ""))
    huey, together = worker.queue().huey, Barrier(3)
    huey.storage.flush_queue()

    def count(_: int) -> int:
        together.wait()  # so that each thread has a connection of its own
        return int(huey.pending_count())

    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(count, range(3))) == [0] * 3
        proxy.abandon()
        with pytest.raises(psycopg.OperationalError, match="not answered"):
            huey.pending_count()
        assert list(threads.map(count, range(3))) == [0] * 3


def test_the_servers_own_limits_end_a_statement_first(engine: Engine) -> None:
    with engine.connect() as connection:
        shown = {name: connection.execute(text(f"SHOW {name}")).scalar() for name in postgres.SERVER_OPTIONS}
        assert shown["statement_timeout"] == f"{postgres.STATEMENT_SECONDS:.0f}s"
        assert shown["lock_timeout"] == f"{postgres.LOCK_SECONDS:.0f}s"
        connection.rollback()
        assert connection.execute(text("SHOW statement_timeout")).scalar() == shown["statement_timeout"]
    assert postgres.STATEMENT_SECONDS < postgres.ANSWER_SECONDS


def test_an_engine_for_long_statements_leaves_the_limits_of_others(engine: Engine) -> None:
    with db.engine_for_long_statements() as own, own.connect() as connection:
        assert connection.execute(text("SHOW statement_timeout")).scalar() == "1h"
    with engine.connect() as connection:
        limit = connection.execute(text("SHOW statement_timeout")).scalar()
    assert limit == postgres.SERVER_OPTIONS["statement_timeout"]


def test_options_of_the_address_replace_the_own_ones(shared_postgres: str) -> None:
    dsn = shared_postgres.replace("+psycopg", "")
    with postgres.connect(f"{dsn}?keepalives_idle=77") as connection:
        given = connection.info.get_parameters()
    assert given["keepalives_idle"] == "77"
    assert given["tcp_user_timeout"] == str(postgres.OPTIONS["tcp_user_timeout"])
