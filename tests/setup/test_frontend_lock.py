"""The front end's packages come from the committed lock file, even if the registry has newer versions."""

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
LOCKED = re.compile(r'^ {4}"[^"]+": \["(@?[^"@]+)@([^"]+)", ""', re.MULTILINE)


def test_only_locked_versions_are_requested(tmp_path: Path) -> None:
    locked = set(LOCKED.findall((ROOT / "reflex.lock/bun.lock").read_text()))
    assert len(locked) > 50
    for name in ("bun.lock", "package.json"):
        shutil.copy(ROOT / "reflex.lock" / name, tmp_path)
    with _registry_of_newer_versions() as (url, requested):
        _install(tmp_path, url)
    assert requested
    assert {path for path in requested if not path.endswith(".tgz")} == set()
    assert set(requested) <= {
        f"/{name}/-/{name.rpartition('/')[2]}-{version}.tgz" for name, version in locked
    }


def test_a_package_that_is_not_locked_is_refused(tmp_path: Path) -> None:
    shutil.copy(ROOT / "reflex.lock/bun.lock", tmp_path)
    package = json.loads((ROOT / "reflex.lock/package.json").read_text())
    package["dependencies"]["left-pad"] = "*"
    (tmp_path / "package.json").write_text(json.dumps(package))
    with _registry_of_newer_versions() as (url, _):
        done = _install(tmp_path, url)
    assert done.returncode != 0
    assert "lockfile" in done.stderr


def _install(folder: Path, registry: str) -> subprocess.CompletedProcess[str]:
    """Run Reflex's install command (`frozen_lockfile`) with another registry and an empty cache."""
    return subprocess.run(
        [str(ROOT / ".venv/bin/bun"), "install", "--frozen-lockfile", "--registry", registry],
        cwd=folder,
        env=os.environ | {"BUN_INSTALL_CACHE_DIR": str(folder / "cache"), "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@contextmanager
def _registry_of_newer_versions() -> Iterator[tuple[str, list[str]]]:
    """A registry with only version 999.0.0 of every package; its address, and the requested paths."""
    requested: list[str] = []

    class Server(ThreadingHTTPServer):
        request_queue_size = 256  # bun opens many connections at once

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requested.append(self.path)
            version = {"name": self.path.strip("/"), "version": "999.0.0"}
            body = json.dumps({"dist-tags": {"latest": "999.0.0"}, "versions": {"999.0.0": version}}).encode()
            # A wrong file ends the installation at once; a 404 would be retried.
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Requests are recorded in ``requested``."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requested
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
