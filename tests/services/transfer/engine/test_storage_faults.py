"""Faults of S3: in the end the object is complete and verified, or neither object nor upload is left."""

from dataclasses import replace
from threading import Timer

import pytest
from botocore.retries.standard import ExponentialBackoff

from tests.services.transfer.engine.conftest import FAST_RETRIES, KEY, PART, Control, Engine, Stopped
from tests.support.misbehaving_server import MIB, MisbehavingServer, ServerBehaviour, payload
from tests.support.stores import ImplementsNoChecksums, ShowsLate
from videovault.errors import QuotaExceeded, StorageError
from videovault.gateways.storage import Description

pytestmark = pytest.mark.thorough

SIZE = 2 * PART + 700_001


@pytest.fixture
def url(server: MisbehavingServer) -> str:
    return server.serve("/steady.mp4", ServerBehaviour(size=SIZE))


@pytest.fixture
def _impatient_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 waits up to four seconds between its own attempts."""
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0.01)


@pytest.mark.usefixtures("_impatient_sdk")
@pytest.mark.parametrize("operation", ["CreateMultipartUpload", "UploadPart", "Complete", "HeadObject"])
@pytest.mark.parametrize("refusal", [(503, "SlowDown"), (500, "InternalError")])
def test_a_transient_fault_of_s3_is_retried(
    engine: Engine, url: str, operation: str, refusal: tuple[int, str]
) -> None:
    engine.proxy.refuse[operation] = [refusal] * 4
    engine.run(url)
    assert engine.holds() == payload(SIZE)


def test_a_transfer_waits_for_an_unavailable_s3(engine: Engine, url: str) -> None:
    back = Timer(3.0, lambda: setattr(engine.proxy, "down", False))

    def go_down(operation: str) -> None:
        if operation == "UploadPart" and not back.is_alive() and not back.finished.is_set():
            engine.proxy.down = True
            back.start()

    engine.proxy.before = go_down
    engine.run(url)
    back.join()
    assert engine.holds() == payload(SIZE)


@pytest.mark.parametrize("operation", ["CreateMultipartUpload", "UploadPart", "Complete"])
def test_a_final_refusal_fails_with_a_message_and_leaves_nothing(
    engine: Engine, url: str, operation: str
) -> None:
    engine.proxy.refuse[operation] = [(403, "AccessDenied")] * 3
    with pytest.raises(StorageError, match="denied access"):
        engine.run(url)
    assert engine.is_clean()
    assert engine.journal.upload is None


@pytest.mark.parametrize("operation", ["UploadPart", "Complete"])
@pytest.mark.parametrize("code", ["NoSuchUpload", "InvalidPart"])
def test_an_upload_that_s3_has_lost_is_started_again(
    engine: Engine, url: str, operation: str, code: str
) -> None:
    engine.proxy.refuse[operation] = [(404, code)]
    assert engine.run(url).fetched == SIZE
    assert engine.proxy.calls["CreateMultipartUpload"] == 2
    assert engine.holds() == payload(SIZE)
    assert not list(engine.storage.uploads())


def test_an_upload_that_s3_always_loses_fails(engine: Engine, url: str) -> None:
    engine.proxy.refuse["Complete"] = [(404, "NoSuchUpload")] * 10
    with pytest.raises(StorageError, match="lost"):
        engine.run(url)
    assert engine.proxy.calls["CreateMultipartUpload"] == 4
    assert engine.is_clean()


def test_a_completion_whose_response_is_lost_counts(engine: Engine, url: str) -> None:
    engine.proxy.lose_answer = {"Complete"}
    engine.proxy.refuse = {}
    stored = engine.run(url)
    assert engine.holds() == payload(SIZE)
    assert stored.size == SIZE


def test_a_completion_whose_response_is_lost_counts_even_if_the_store_shows_it_late(
    engine: Engine, url: str
) -> None:
    engine.proxy.lose_answer = {"Complete"}
    engine.proxy.behaviour = ShowsLate(2)
    assert engine.run(url).size == SIZE
    assert engine.proxy.calls["CreateMultipartUpload"] == 1
    assert engine.holds() == payload(SIZE)


def test_an_object_that_never_appears_is_an_error(engine: Engine, url: str) -> None:
    engine.proxy.behaviour = ShowsLate(1000)
    with pytest.raises(StorageError, match="does not hold"):
        engine.run(url, retry_policy=replace(FAST_RETRIES, visible_seconds=0.1))
    assert engine.is_clean()


def test_an_upload_lost_between_two_runs_is_started_again(engine: Engine, url: str) -> None:
    with pytest.raises(Stopped):
        engine.run(url, control=Control(stop_at=PART + MIB))
    assert engine.journal.upload
    engine.storage.abort_upload(KEY, engine.journal.upload.upload_id)
    assert engine.run(url).fetched == SIZE
    assert engine.holds() == payload(SIZE)


def test_a_part_that_only_the_journal_has_is_sent_again(engine: Engine, url: str) -> None:
    with pytest.raises(Stopped):
        engine.run(url, control=Control(stop_at=PART + MIB))
    upload = engine.journal.upload
    assert upload
    engine.storage.upload_part(KEY, upload.upload_id, 1, b"x" * PART, 0)
    assert engine.run(url).fetched == SIZE
    assert engine.holds() == payload(SIZE)


def test_without_permission_to_list_parts_the_journal_is_trusted(engine: Engine, url: str) -> None:
    with pytest.raises(Stopped):
        engine.run(url, control=Control(stop_at=PART + MIB))
    engine.proxy.refuse["ListParts"] = [(403, "AccessDenied")]
    assert engine.run(url).fetched < SIZE
    assert engine.holds() == payload(SIZE)


def test_a_crash_right_after_completion_fetches_nothing_again(
    engine: Engine, url: str, server: MisbehavingServer
) -> None:
    engine.run(url)
    assert engine.journal.upload  # as before the outcome is recorded
    before = len(server.seen("/steady.mp4"))
    stored = engine.run(url)
    assert (stored.fetched, stored.size) == (0, SIZE)
    assert len(server.seen("/steady.mp4")) == before
    assert engine.holds() == payload(SIZE)


@pytest.mark.parametrize("size", [PART, SIZE])
def test_an_object_that_is_not_what_was_sent_is_deleted(
    engine: Engine, server: MisbehavingServer, size: int
) -> None:
    """The object is overwritten between its upload and its verification."""
    url = server.serve(f"/swapped-{size}.mp4", ServerBehaviour(size=size))

    def swap(operation: str) -> None:
        if operation == "HeadObject":
            engine.proxy.before = lambda _operation: None
            engine.storage.put(KEY, payload(size, seed=9)[:-1], Description("video/mp4"))

    engine.proxy.before = swap
    with pytest.raises(StorageError, match="deleted"):
        engine.run(url)
    assert engine.is_clean()


def test_each_part_and_the_whole_carry_their_crc32(engine: Engine, url: str) -> None:
    stored = engine.run(url)
    assert "x-amz-checksum-crc32" in engine.proxy.headers["UploadPart"]
    assert engine.proxy.headers["UploadPart"]["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert engine.proxy.headers["Complete"]["x-amz-checksum-type"] == "FULL_OBJECT"
    found = engine.storage.info(KEY)
    assert found
    assert found.crc32 == stored.crc32


def test_a_store_without_checksums_is_used_without_them(engine: Engine, url: str) -> None:
    engine.proxy.behaviour = ImplementsNoChecksums()
    engine.run(url)
    assert "x-amz-checksum-crc32" not in engine.proxy.headers["UploadPart"]
    assert engine.holds() == payload(SIZE)


class Refusing(Control):
    """There is no space."""

    def begin(self, bytes_total: int | None) -> None:
        raise QuotaExceeded(f"{bytes_total} bytes are too many.")


def test_a_control_can_refuse_the_length_before_anything_is_sent(engine: Engine, url: str) -> None:
    with pytest.raises(QuotaExceeded, match=f"{SIZE} bytes"):
        engine.run(url, control=Refusing())
    assert not {"PutObject", "CreateMultipartUpload"} & set(engine.proxy.calls)
    assert engine.is_clean()


def test_an_unavailable_s3_keeps_the_parts_that_it_has(engine: Engine, url: str) -> None:
    engine.proxy.refuse["Complete"] = [(503, "SlowDown")] * 100
    with pytest.raises(StorageError):
        engine.run(url, retry_policy=replace(FAST_RETRIES, storage_seconds=0.1))
    engine.proxy.refuse.clear()
    assert engine.run(url).fetched == 0
