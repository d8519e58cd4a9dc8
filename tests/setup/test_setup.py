"""`scripts/setup.sh` with a package index that has a newer version of every locked package."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pip
import pytest
from packaging.markers import Marker

from tests.setup.package_index import LOCKED_LINE, PackageIndex, Wheel, empty_wheel, empty_wheel_of, serving

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parent.parent.parent
LOCKS = ("requirements.txt", "requirements-dev.txt")
OLDEST_PIP = ROOT / ".venv" / "oldest-pip"  # installed by `make test`
NEWEST_PIP = Path(pip.__file__).parent.parent
NEWER = "9999"
NO_INDEX = PackageIndex("http://127.0.0.1:1/simple")
SUPPORTED = "Python 3.11 to 3.14"


@dataclass(frozen=True)
class Locked:
    """A package of a lock file, with an empty wheel instead of the real one."""

    wheel: Wheel
    marker: str = ""

    @property
    def is_for_this_python(self) -> bool:
        return not self.marker or Marker(self.marker).evaluate()

    @property
    def text(self) -> str:
        condition = f" ; {self.marker}" if self.marker else ""
        return (
            f"{self.wheel.name}=={self.wheel.version}{condition} \\\n    --hash=sha256:{self.wheel.digest}\n"
        )


@pytest.fixture(scope="module")
def locks() -> dict[str, list[Locked]]:
    """The packages of each real lock file, with the metadata of the packages installed here."""
    return {name: list(_read_lock(ROOT / name)) for name in LOCKS}


def _read_lock(path: Path) -> Iterator[Locked]:
    for line in path.read_text().splitlines():
        if found := LOCKED_LINE.match(line):
            yield Locked(empty_wheel_of(found["name"], found["version"]), found["marker"] or "")


@pytest.fixture
def index(locks: dict[str, list[Locked]]) -> Iterator[PackageIndex]:
    """An index with the locked and a newer version of each package."""
    locked = [package.wheel for lock in locks.values() for package in lock]
    with serving([*locked, *(empty_wheel_of(wheel.name, NEWER) for wheel in locked)]) as index:
        yield index


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout with the real set-up script, without lock files."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/setup.sh", tmp_path / "scripts")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.fixture
def project_with_pip(project: Path) -> Path:
    """The same with an environment that contains only pip."""
    _create_environment(project, NEWEST_PIP)
    return project


@pytest.fixture
def python_with_pip(tmp_path: Path) -> str:
    """A Python whose venv module copies pip with its compiled files: installing it takes five seconds each time."""
    program = tmp_path / "python-with-pip"
    program.write_text(
        f"""#!/bin/sh
[ "$1 $2" = "-m venv" ] || exec {sys.executable} "$@"
{sys.executable} -m venv --without-pip "$3" && cp -rp {NEWEST_PIP / "pip"} "$3"/lib/python*/site-packages
"""
    )
    program.chmod(0o755)
    return str(program)


def _lock(project: Path, *wheels: Wheel) -> None:
    (project / "small.txt").write_text("".join(Locked(wheel).text for wheel in wheels))


def _set_up(
    project: Path, index: PackageIndex, locks: Sequence[str] = ("small.txt",), **environment: str
) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    pip_settings = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": index.url, "PIP_NO_CACHE_DIR": "1"}
    return subprocess.run(
        ["/bin/sh", "scripts/setup.sh", "test", *locks],
        cwd=project,
        env=kept | {"PYTHON": sys.executable} | pip_settings | environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def _create_environment(project: Path, pip_folder: Path) -> None:
    """A ``.venv`` with the pip in ``pip_folder``, as Python's own venv module would leave it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", project / ".venv"], check=True)
    packages = next(project.glob(".venv/lib/python*/site-packages"))
    (packages / "pip").symlink_to(pip_folder / "pip")  # compiled once, not in each environment
    program = project / ".venv/bin/pip"
    program.write_text(
        f"#!{project}/.venv/bin/python\nfrom pip._internal.cli.main import main\nraise SystemExit(main())\n"
    )
    program.chmod(0o755)


def _installed(project: Path) -> set[str]:
    packages = next(project.glob(".venv/lib/python*/site-packages"))
    return {folder.name.removesuffix(".dist-info") for folder in packages.glob("*.dist-info")}


@pytest.fixture(params=["the oldest pip", "the newest pip"])
def pip_folder(request: pytest.FixtureRequest) -> Path:
    """The folder of that package ``pip``; the newest is that of the lock, which `make lock` renews."""
    if request.param == "the newest pip":
        return NEWEST_PIP
    assert OLDEST_PIP.is_dir(), "run `make test`, which installs the oldest pip"
    return OLDEST_PIP


def test_newer_releases_in_the_index_are_ignored(
    project: Path, index: PackageIndex, pip_folder: Path, locks: dict[str, list[Locked]]
) -> None:
    for name, packages in locks.items():
        (project / name).write_text("".join(package.text for package in packages))
    _create_environment(project, pip_folder)
    done = _set_up(project, index, LOCKS)
    assert done.returncode == 0, done.stdout + done.stderr
    expected = [package.wheel for lock in locks.values() for package in lock if package.is_for_this_python]
    assert len(expected) > 100
    assert _installed(project) == {wheel.file_name.removesuffix("-py3-none-any.whl") for wheel in expected}
    assert not [name for name in index.fetched if f"-{NEWER}-" in name]


SERVER = empty_wheel("server", "1.0")


def test_a_lock_without_a_required_package_is_refused_with_its_name(
    project_with_pip: Path, python_with_pip: str
) -> None:
    product = empty_wheel("product", "1.0", requires=["server>=1"])
    _lock(project_with_pip, product)
    with serving([product]) as index:
        done = _set_up(project_with_pip, index, PYTHON=python_with_pip)
    assert done.returncode == 1
    assert "product 1.0 requires server, which is not installed" in done.stderr
    assert "The lock files (small.txt) do not fit together" in done.stderr


def test_a_file_with_another_hash_is_not_installed(project_with_pip: Path) -> None:
    _lock(project_with_pip, SERVER)
    changed = Wheel(SERVER.name, SERVER.version, SERVER.content + b"more")
    with serving([changed]) as index:
        done = _set_up(project_with_pip, index)
    assert done.returncode == 1
    assert "is not the one that the lock file names" in done.stderr
    assert changed.digest in done.stderr
    assert "server-1.0" not in _installed(project_with_pip)


def test_without_an_index_the_error_is_short_and_the_next_attempt_succeeds(project_with_pip: Path) -> None:
    alone = empty_wheel("alone", "1.0")
    _lock(project_with_pip, alone)
    away = _set_up(project_with_pip, NO_INDEX, PIP_RETRIES="1")
    assert away.returncode == 1
    assert "could not be reached" in away.stderr
    assert len(away.stderr.splitlines()) < 12
    assert "Retrying" not in away.stderr
    with serving([alone]) as index:
        done = _set_up(project_with_pip, index)
        assert "alone-1.0" in _installed(project_with_pip), done.stderr
        again = _set_up(project_with_pip, index)
    assert (again.returncode, again.stdout) == (0, "")
    assert index.fetched == [alone.file_name]


def test_conflicting_packages_of_an_older_lock_are_removed(project: Path, python_with_pip: str) -> None:
    obstacle = empty_wheel("obstacle", "1.0", requires=["server<2"])
    newer = empty_wheel("server", "2.0")
    with serving([SERVER, obstacle, newer]) as index:
        _lock(project, SERVER, obstacle)
        before = _set_up(project, index, PYTHON=python_with_pip)
        _lock(project, newer)
        after = _set_up(project, index, PYTHON=python_with_pip)
    assert (before.returncode, after.returncode) == (0, 0), before.stderr + after.stderr
    installed = _installed(project)
    assert "server-2.0" in installed
    assert "obstacle-1.0" not in installed


def test_an_unsupported_python_is_refused_with_the_supported_versions(project: Path, tmp_path: Path) -> None:
    old = tmp_path / "old-python"
    old.write_text('#!/bin/sh\ncase "$2" in *sys.exit*) exit 1 ;; *) echo 3.9.18 ;; esac\n')
    old.chmod(0o755)
    chosen = _set_up(project, NO_INDEX, PYTHON=str(old))
    assert chosen.returncode == 1
    assert f"VideoVault needs {SUPPORTED}. PYTHON={old} is 3.9.18." in chosen.stderr
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "sed", "cat", "cksum", "dirname"):
        (programs / name).symlink_to(str(shutil.which(name)))
    (programs / "python3").symlink_to(old)
    found = _set_up(project, NO_INDEX, PYTHON="", PATH=str(programs))
    assert found.returncode == 1
    assert f"VideoVault needs {SUPPORTED}, but python3 is 3.9.18." in found.stderr
    assert "apt install python3 python3-venv" in found.stderr


def test_the_readme_names_the_supported_versions() -> None:
    assert SUPPORTED in (ROOT / "README.md").read_text()
