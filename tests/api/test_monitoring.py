"""Liveness, readiness, and the metrics of the web process."""

import asyncio

import httpx
import pytest

from tests.support.installation import Configure
from tests.support.scrape import OPENMETRICS, TOKEN, parse
from videovault import metrics
from videovault.api import monitoring
from videovault.config import settings
from videovault.errors import ConfigurationError

BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.mark.usefixtures("installation")
def test_healthz_needs_no_other_part(client: httpx.Client, configure: Configure) -> None:
    configure(DATABASE_URL="sqlite:////nowhere/at/all.db")
    assert client.get("/healthz").json() == {"status": "ok"}


@pytest.mark.usefixtures("moto_s3")
def test_readyz_checks_all_parts(client: httpx.Client) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    checks = dict.fromkeys(("database", "disk", "s3", "queue"), "ok")
    assert answer.json() == {"status": "ok", "checks": checks}


@pytest.mark.parametrize(
    ("setting", "value", "part"),
    [
        ("DATABASE_URL", "sqlite:///empty.db", "database"),
        ("AWS_S3_BUCKET_NAME", "there-is-no-such-bucket", "s3"),
        ("QUEUE_URL", "redis://127.0.0.1:1", "queue"),
    ],
)
@pytest.mark.usefixtures("moto_s3")
def test_readyz_names_the_part_that_fails(
    client: httpx.Client, configure: Configure, setting: str, value: str, part: str
) -> None:
    configure(**{setting: value})
    answer = client.get("/readyz")
    assert answer.status_code == 503
    checks = answer.json()["checks"]
    assert [name for name, said in checks.items() if said != "ok"] == [part]
    assert value not in checks[part]


@pytest.mark.usefixtures("moto_s3", "counting")
def test_prometheus_reads_the_metrics_with_the_token(client: httpx.Client, configure: Configure) -> None:
    configure(METRICS_TOKEN=TOKEN)

    async def scraped() -> httpx.Response:
        async with monitoring.collecting(lambda: 7):
            return await asyncio.to_thread(client.get, "/metrics", headers=BEARER | OPENMETRICS)

    answer = asyncio.run(scraped())
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    samples = parse(answer.content)
    assert samples["videovault_open_pages"] == 7
    assert samples["videovault_database_up"] == 1
    assert samples['videovault_work{stage="queued"}'] == 0
    assert samples['videovault_database_connections{state="in_use"}'] >= 0


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": f"Bearer {TOKEN[:-1]}"}, {"Authorization": "Basic é"}]
)
@pytest.mark.usefixtures("installation", "counting")
def test_without_the_token_nothing_is_shown(
    client: httpx.Client, configure: Configure, headers: dict[str, str]
) -> None:
    configure(METRICS_TOKEN=TOKEN)
    answer = client.get("/metrics", headers=httpx.Headers(headers, encoding="utf-8"))
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert b"videovault_" not in answer.content


@pytest.mark.usefixtures("installation", "counting")
def test_without_the_setting_there_is_no_such_page(client: httpx.Client) -> None:
    assert client.get("/metrics", headers=BEARER).status_code == 404


@pytest.mark.usefixtures("installation")
def test_without_the_setting_nothing_is_counted() -> None:
    async def collect() -> None:
        async with monitoring.collecting(lambda: 7):
            metrics.exposition()

    with pytest.raises(RuntimeError, match="not enabled"):
        asyncio.run(collect())


def test_a_guessable_token_is_refused(configure: Configure) -> None:
    configure(METRICS_TOKEN="password123")
    with pytest.raises(ConfigurationError, match="METRICS_TOKEN: is easy to guess"):
        settings()
