"""Programs that end with their parent process, even if it is killed."""

import subprocess
import sys

import pytest

from tests.embedded.processes import SLEEPER, linux_only, wait_until_gone
from videovault.embedded import launch

pytestmark = pytest.mark.process

# Starts the command line given as argument, and waits to be killed.
PARENT = """
import subprocess, sys, time
from videovault.embedded import launch
subprocess.Popen(eval(sys.argv[1]))
time.sleep(600)
"""
WATCHER = """
import os, sys
from videovault.embedded import launch
sys.exit(launch.run_until_parent_ends(os.getppid(), sys.argv[1:]))
"""


def _kill_parent_of(command: str) -> tuple[int, int]:
    """Start ``command`` under a parent, kill that parent; the sleeper's process id, and its parent's."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT, command], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    sleeper, above = map(int, parent.stdout.readline().split())
    parent.kill()
    parent.communicate()
    return sleeper, above


def test_arguments_and_exit_code_are_passed_on() -> None:
    program = [sys.executable, "-c", "import sys; print(sys.argv[1:]); sys.exit(7)", "a b", "--c"]
    done = subprocess.run(launch.command(program), stdout=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stdout) == (7, "['a b', '--c']\n")


@linux_only
def test_the_program_ends_when_its_parent_is_killed() -> None:
    sleeper, _ = _kill_parent_of(f"launch.command({SLEEPER!r})")
    wait_until_gone(sleeper)


@linux_only
def test_a_program_whose_parent_has_ended_does_not_start() -> None:
    command = launch.command([sys.executable, "-c", "print('started')"])
    command[4] = "1"  # the process id of another parent than ours
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")


@linux_only
def test_without_prctl_a_watcher_ends_the_program() -> None:
    sleeper, watcher = _kill_parent_of(f"[sys.executable, '-c', {WATCHER!r}, *{SLEEPER!r}]")
    wait_until_gone(sleeper)
    wait_until_gone(watcher)


@linux_only
def test_a_watcher_passes_on_the_exit_code_and_the_signal() -> None:
    failing = [sys.executable, "-c", WATCHER, sys.executable, "-c", "raise SystemExit(3)"]
    assert subprocess.run(failing, check=False).returncode == 3
    with subprocess.Popen([sys.executable, "-c", WATCHER, *SLEEPER], stdout=subprocess.PIPE) as watcher:
        assert watcher.stdout
        sleeper = int(watcher.stdout.readline().split()[0])
        watcher.terminate()
        watcher.wait()
    wait_until_gone(sleeper)
