"""How far a comparison is can be seen from another thread, and it can be ended early."""

import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.services.maintenance.reconcile.conftest import Store
from tests.services.maintenance.reconcile.damages import leave_object, lose_sidecar
from tests.support.s3_proxy import s3_proxy
from videovault.gateways.storage import Listed, Storage
from videovault.services.core.access import Caller
from videovault.services.maintenance import reconcile
from videovault.services.maintenance.reconcile import Progress

pytestmark = pytest.mark.thorough

NO_AGE = timedelta(seconds=-60)
MANY = 50_000


def run(progress: Progress, *, repair: bool = False) -> reconcile.Report:
    return reconcile.reconcile(repair=repair, least_age=NO_AGE, progress=progress)


def test_what_was_looked_at_found_and_mended_is_counted(store: Store) -> None:
    store("Sound")
    lose_sidecar(store("Damaged"))
    progress = Progress()
    run(progress)
    assert progress == Progress(objects=5, videos=2, of_videos=2, found=1)
    progress = Progress()
    run(progress, repair=True)
    assert (progress.found, progress.mended) == (1, 1)


def test_one_that_is_stopped_touches_nothing_further(store: Store, vault: Storage) -> None:
    leave_object(store())
    before = list(vault.keys())
    progress = Progress()
    progress.stop()
    report = run(progress, repair=True)
    assert (report.objects, report.found) == (0, [])
    assert list(vault.keys()) == before
    assert run(Progress()).left == 1


@pytest.mark.parametrize("vault", ["moto_s3"], indirect=True)
def test_what_could_not_be_mended_comes_first_with_its_reason(
    store: Store, moto_server: str, configure: Callable[..., None]
) -> None:
    for title in ("One", "Two"):
        lose_sidecar(store(title))
    with s3_proxy(moto_server) as proxy:
        configure(AWS_ENDPOINT_URL_S3=proxy.url)
        proxy.refuse["PutObject"] = [(403, "AccessDenied")]
        [found] = run(Progress(), repair=True).found
    refused, mended = found.examples
    assert (refused.mended, "IAM permissions" in refused.why) == (False, True)
    assert (mended.mended, mended.why) == (True, "")


@pytest.mark.parametrize("vault", ["moto_s3"], indirect=True)
def test_a_large_bucket_takes_little_memory_and_tells_how_far_it_is(
    vault: Storage, anna: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    del vault
    seen: list[int] = []
    progress = Progress()

    def listing(_vault: Storage, prefix: str = "") -> Iterator[Listed]:
        for number in range(MANY):
            seen.append(progress.objects) if number % 1000 == 0 else None
            key = f"{prefix}{anna.user_id}/video_{1703123456789 + number // 4}_abc123def/{number}.mp4"
            yield Listed(key=key, size=1000, etag="", modified_at=datetime(2026, 1, 1, tzinfo=UTC))

    monkeypatch.setattr(Storage, "objects", listing)  # a real bucket of this size takes minutes to fill
    tracemalloc.start()
    report = run(progress)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (report.objects, report.left) == (MANY, MANY)
    assert len(report.found[0].examples) < 200
    assert peak < 20_000_000
    assert seen == sorted(seen)
    assert len(set(seen)) > 20
