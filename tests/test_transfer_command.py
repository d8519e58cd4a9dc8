"""`python -m videovault transfer`: the engine without the app."""

import os
import re
import signal
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.installation import Configure
from tests.support.misbehaving_server import MIB, MisbehavingServer, ServerBehaviour, payload
from tests.support.s3_proxy import s3_proxy
from tests.support.waiting import HANG_SECONDS, eventually
from videovault.__main__ import main
from videovault.config import settings
from videovault.errors import InvalidInput
from videovault.gateways.storage import Storage
from videovault.services.transfer import standalone
from videovault.services.transfer.engine.types import PART_BYTES

ROOT = Path(__file__).parent.parent
SIZE = 3 * PART_BYTES


@pytest.fixture
def server() -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as running:
        yield running


@pytest.fixture
def allowed(server: MisbehavingServer, moto_s3: Storage, monkeypatch: pytest.MonkeyPatch) -> Storage:
    monkeypatch.setenv("SOURCE_ALLOW_HOSTS", f"127.0.0.1:{server.port}")
    settings.cache_clear()
    return moto_s3


def _started(*arguments: str) -> subprocess.Popen[str]:
    program = [sys.executable, "-m", "videovault", "transfer", *arguments]
    return subprocess.Popen(
        program,
        cwd=ROOT,
        env=os.environ,
        stderr=subprocess.PIPE,
        text=True,
        # Background processes of a shell ignore Ctrl-C, and so do their children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - sets a signal only
    )


@pytest.mark.process
def test_a_second_run_after_an_interruption_fetches_only_what_is_missing(
    allowed: Storage, server: MisbehavingServer, moto_server: str, configure: Configure
) -> None:
    url = server.serve("/long.mp4", ServerBehaviour(size=SIZE))
    with s3_proxy(moto_server) as proxy:
        configure(AWS_ENDPOINT_URL_S3=proxy.url)
        proxy.hold("UploadPart", "partNumber=[^1]")
        with _started(url, "mine/long.mp4") as first:
            eventually(lambda: _stored_parts(allowed))
            proxy.down = True
            proxy.drop_held()
            first.send_signal(signal.SIGINT)
            first.communicate(timeout=HANG_SECONDS)
            assert first.returncode == 130
        assert not list(allowed.keys())
        proxy.down = False
        before = server.bytes_sent("/long.mp4")
        with _started(url, "mine/long.mp4") as second:
            said = second.communicate(timeout=HANG_SECONDS)[1]
            assert second.returncode == 0, said
    assert server.bytes_sent("/long.mp4") - before < SIZE
    assert f"crc32 {zlib.crc32(payload(SIZE)):08x}" in said
    assert not list(allowed.uploads())
    assert not list((settings().data_dir / standalone.FOLDER).iterdir())


def _stored_parts(storage: Storage) -> int:
    return sum(len(storage.parts(each.key, each.upload_id) or []) for each in storage.uploads())


def test_a_list_is_processed_and_failures_are_named(
    allowed: Storage, server: MisbehavingServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = server.serve("/one.mp4", ServerBehaviour(size=MIB))
    two = server.serve("/two.mp4?secret=s3same", ServerBehaviour(size=MIB, seed=1))
    listed = tmp_path / "list.txt"
    listed.write_text(f"# mine\n{one} a/one.mp4\n\n{two}\n{server.origin}/none.mp4 b/none.mp4\n")
    assert main(["transfer", "--list", str(listed)]) == 2
    assert sorted(allowed.keys()) == sorted(["a/one.mp4", standalone.default_key(two)])
    said = capsys.readouterr().err
    assert "none.mp4: The link has expired" in said
    assert "1 of 3 were not transferred" in said
    assert "s3same" not in said


@pytest.mark.process
def test_without_an_app_the_embedded_s3_runs_during_the_transfer(
    installation: Path, server: MisbehavingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_ALLOW_HOSTS", f"127.0.0.1:{server.port}")
    settings.cache_clear()
    url = server.serve("/embedded.mp4", ServerBehaviour(size=13 * MIB))
    assert main(["transfer", url, "here.mp4"]) == 0
    kept = installation / "var" / "s3" / "videovault" / "here.mp4"
    assert kept.read_bytes() == payload(13 * MIB)


@pytest.mark.parametrize("arguments", [[], ["https://example.com/a.mp4", "--list", "list.txt"]])
def test_ambiguous_arguments_are_refused(
    installation: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    del installation
    assert main(["transfer", *arguments]) == 2
    assert "Specify a URL" in capsys.readouterr().err


@pytest.mark.parametrize("key", ["", "/a", "a//b", "../a", "a/./b", "a\nb", "x" * 1025])
def test_a_key_that_no_url_can_address_is_refused(key: str) -> None:
    with pytest.raises(InvalidInput):
        standalone.checked_key(key)


def test_the_default_key_of_a_url_is_plain_and_stable() -> None:
    url = "https://example.com/My%20%22Video%22.mp4?X-Amz-Signature=abc"
    assert re.fullmatch(r"transfers/[0-9a-f]{8}_[A-Za-z0-9.-]+\.mp4", standalone.default_key(url))
    assert standalone.default_key(url) == standalone.default_key(url) != standalone.default_key(url + "d")
