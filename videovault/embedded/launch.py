"""Starts a program that ends with its parent process, even if that one is killed by SIGKILL.

Run as a separate script: in a process with threads, Python code between fork and exec can deadlock.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

PR_SET_PDEATHSIG = 1
POLL_SECONDS = 1.0


def command(argv: Sequence[str]) -> list[str]:
    """The command line that runs ``argv`` until the calling process ends."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *argv]


def end_with_parent(parent: int) -> None:
    """Have Linux send this process SIGTERM when its parent, of process id ``parent``, ends.

    Raises OSError when the kernel refuses, SystemExit when the parent has ended already.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:  # it ended before the call, so no signal will come
        sys.exit(1)


def run_until_parent_ends(parent: int, argv: Sequence[str]) -> int:
    """Run ``argv`` and stop it once ``parent`` has ended; for systems without PR_SET_PDEATHSIG."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # Only descriptors that were passed to this process are inheritable.
    with subprocess.Popen(argv, close_fds=False) as program:  # noqa: S603 - our own command lines
        try:
            while os.getppid() == parent:
                with suppress(subprocess.TimeoutExpired):
                    return program.wait(POLL_SECONDS)
        finally:
            program.terminate()
    return program.returncode


def main(parent: int, argv: list[str]) -> None:
    if sys.platform == "linux":
        end_with_parent(parent)
        os.execv(argv[0], argv)  # noqa: S606 - no shell is wanted
    sys.exit(run_until_parent_ends(parent, argv))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
