"""A network that passes nothing on between the product and S3: calls end, and work again afterwards."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from tests.support.frozen_proxy import FrozenProxy, frozen_proxy
from tests.support.installation import Configure
from videovault.errors import StorageError
from videovault.gateways import s3_client, storage

AT_ONCE = 8
LISTING = "tests/"


@pytest.fixture
def proxy(
    moto_s3: storage.Storage, moto_server: str, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FrozenProxy]:
    """The installation's S3 is behind it. Limits are short, since what is waited for never comes."""
    del moto_s3
    monkeypatch.setattr(s3_client, "READ_SECONDS", 0.5)
    address = urlsplit(moto_server)
    with frozen_proxy((str(address.hostname), address.port or 0)) as proxy:
        configure(AWS_ENDPOINT_URL_S3=f"http://127.0.0.1:{proxy.port}", S3_RETRY_SECONDS="1")
        yield proxy


def list_objects(connected: storage.Storage) -> int:
    return len(list(connected.objects(LISTING)))


def test_a_call_that_is_not_answered_ends_with_an_error(proxy: FrozenProxy) -> None:
    connected = storage.connected()
    assert list_objects(connected) == 0
    proxy.freeze()
    with pytest.raises(StorageError, match="could not be reached") as error:
        list_objects(connected)
    assert error.value.retryable


def test_one_timeout_replaces_all_half_open_connections(proxy: FrozenProxy) -> None:
    connected = storage.connected()
    with ThreadPoolExecutor(AT_ONCE) as threads:
        assert sum(threads.map(list_objects, [connected] * AT_ONCE * 4)) == 0
    proxy.freeze()
    proxy.abandon()
    assert list_objects(connected) == 0  # within S3_RETRY_SECONDS, which is too short for a second timeout


def test_joining_parts_and_copying_may_take_longer(proxy: FrozenProxy) -> None:
    del proxy
    waits: dict[str, object] = {}
    events = storage.connected()._s3.meta.events

    def note(params: dict[str, dict[str, object]], event_name: str, **_event: object) -> None:
        waits[event_name.rpartition(".")[2]] = params["context"].get("read_timeout")
        raise StorageError("not sent")

    for operation in ("CompleteMultipartUpload", "HeadBucket"):
        events.register_last(f"before-call.s3.{operation}", note)
    client = storage.connected()._s3
    for call in (
        lambda: client.complete_multipart_upload(Bucket="b", Key="k", UploadId="1"),
        lambda: client.head_bucket(Bucket="b"),
    ):
        with pytest.raises(StorageError):
            call()
    assert waits == {"CompleteMultipartUpload": s3_client.LONG_READ_SECONDS, "HeadBucket": None}
