"""Everybody who may call."""

from pathlib import Path

import pytest

from tests.api.matrix.world import World, populated
from tests.support.generator import Generator
from tests.support.installation import Configure
from tests.support.jobs import working
from tests.support.people import MakeClient, MakeUser
from videovault.gateways.storage import Storage


@pytest.fixture
def world(
    installation: Path,
    configure: Configure,
    moto_s3: Storage,
    generator: Generator,
    make_user: MakeUser,
    make_client: MakeClient,
) -> World:
    configure(RATE_LIMITS="off", GENERATE_WAIT_SECONDS=0, STORE_WAIT_SECONDS=20)
    database = installation / "var" / "videovault.db"
    with working():
        made = populated(make_user, generator, moto_s3, database, make_client)
    configure(STORE_WAIT_SECONDS=0)  # nobody is at work any more
    return made
