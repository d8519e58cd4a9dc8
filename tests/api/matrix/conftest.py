"""The population that all matrix tests share."""

from pathlib import Path

import pytest

from tests.api.matrix.population import Population, populate
from tests.support.generator import Generator
from tests.support.installation import Configure
from tests.support.jobs import working
from tests.support.people import MakeClient, MakeUser
from tests.support.scrape import TOKEN
from videovault.gateways.storage import Storage


@pytest.fixture
def population(
    installation: Path,
    configure: Configure,
    moto_s3: Storage,
    generator: Generator,
    make_user: MakeUser,
    make_client: MakeClient,
    probed_once: None,
) -> Population:
    del probed_once
    configure(RATE_LIMITS="off", GENERATE_WAIT_SECONDS=0, STORE_WAIT_SECONDS=20, METRICS_TOKEN=TOKEN)
    database = installation / "var" / "videovault.db"
    with working():
        made = populate(make_user, generator, moto_s3, database, make_client)
    configure(STORE_WAIT_SECONDS=0)  # no worker is running any more
    return made
