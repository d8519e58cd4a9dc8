"""The Dockerfile copies all that its stages need, and what it makes runs without root and on a read-only file system."""

import fnmatch
import http.server
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support.app import ROOT
from tests.support.dockerfile import FILE, copy_context, stages
from videovault.config import Settings
from videovault.embedded import frontend

STAGES = stages()
FINAL = STAGES["final"]
HADOLINT = Path(sys.executable).with_name("hadolint")


def run_in(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "1", **more}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_packages_are_installed_as_make_run_does() -> None:
    setup = re.search(r"^setup:\n\t@(.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert setup
    assert STAGES["packages"].commands == [setup[1]]
    copied = {source for _, source, _ in STAGES["packages"].copies}
    assert copied == {"pyproject.toml", "requirements.txt", "scripts/setup.sh"}


def test_pages_are_built_from_files_that_the_stage_copies() -> None:
    copied = [source for _, source, _ in STAGES["pages"].copies]
    for file in frontend.input_files():
        path = file.relative_to(ROOT)
        assert any(str(path) == source or source in map(str, path.parents) for source in copied), path
    assert STAGES["pages"].commands[-1] == ".venv/bin/python -m videovault build"


def test_what_is_copied_is_not_ignored() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    sent = [line.removeprefix("!") for line in lines if line.startswith("!")]
    for stage in STAGES.values():
        for origin, source, _ in stage.copies:
            assert origin or any(fnmatch.fnmatch(source, each) for each in sent), source
    assert "*" in lines
    assert not {"var", ".env", ".git"} & set(sent)


def test_pages_and_packages_come_from_their_stages() -> None:
    taken = {(origin, source) for origin, source, _ in FINAL.copies if origin}
    assert taken == {
        ("packages", "/app/.venv"),
        ("pages", "/app/.web/build/client"),
        ("pages", "/app/.web/backend"),
        ("pages", f"/app/.web/{frontend.STAMP}"),
    }


def test_image_runs_as_a_user_without_rights_and_says_whether_it_is_healthy() -> None:
    uid, _, gid = FINAL.last("USER").partition(":")
    assert int(uid) >= 10_000
    assert int(gid) >= 10_000
    assert FINAL.last("VOLUME") == FINAL.environment["DATA_DIR"]
    assert "deploy/healthcheck.py" in FINAL.last("HEALTHCHECK")
    assert FINAL.list_of("ENTRYPOINT") == ["python", "-m", "videovault"]
    known = {name.upper() for name in Settings.model_fields} | {
        "PATH",
        "PYTHONDONTWRITEBYTECODE",
        "WORKER_PORT",
    }
    assert FINAL.environment.keys() <= known


@pytest.mark.process
def test_final_stage_has_all_that_its_roles_import(tmp_path: Path) -> None:
    """In a clean folder: `migrate` creates the tables and writes into DATA_DIR only."""
    app, data = tmp_path / "app", tmp_path / "data"
    copy_context(FINAL, app)
    before = sorted(app.rglob("*"))
    done = run_in(app, "-m", "videovault", "migrate", DATA_DIR=str(data))
    assert (done.returncode, done.stderr) == (0, "")
    assert (data / "videovault.db").exists()
    assert sorted(app.rglob("*")) == before


@pytest.mark.parametrize("role", ["web", "worker"])
def test_health_check_tells_by_its_exit_status(role: str) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = {"web": "PORT", "worker": "WORKER_PORT"}[role]
        more = {port: str(server.server_address[1])}
        healthy = run_in(ROOT, "-S", "deploy/healthcheck.py", role, **more)
        server.shutdown()
    silent = run_in(ROOT, "-S", "deploy/healthcheck.py", role, **more)
    assert (healthy.returncode, silent.returncode) == (0, 1)
    assert "refused" in silent.stderr


def test_dockerfile_passes_hadolint() -> None:
    command = [str(HADOLINT), str(FILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")
