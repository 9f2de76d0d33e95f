"""What every child process of ours begins with, whatever it does: its command and environment, and that it ends with its parent.

No solver is imported here: highspy and OR-Tools cannot share a process (google/or-tools#5246), and a child of either, as
those of forecasts and back-tests, begins with this.
"""

import ctypes
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO

TOKEN = "WATTSPLIT_CHILD"
ONE_THREAD = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1",
}  # fmt: skip
PR_SET_PDEATHSIG = 1
ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Buried:
    """How a child ended, and what it took. `code` is its exit code, or minus the signal that ended it."""

    code: int
    cpu_s: float
    peak_bytes: int


def environment(token: str) -> dict[str, str]:
    """Return the small clean environment of a child, with the token by which its family is found."""
    dask = {name: value for name, value in os.environ.items() if name.startswith("DASK_")}  # where its certificates are
    return {**dask, **ONE_THREAD, TOKEN: token}


def command(module: str, *arguments: object) -> tuple[str, ...]:
    """Return the command that calls `main(parent, *arguments)` of a module, isolated from environment and current folder.

    `parent` is the process that calls this: a child that has just been started cannot tell a parent that is gone already
    from the one that took its place.
    """
    told = ", ".join(map(repr, (os.getpid(), *arguments)))
    start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from {module} import main; main({told})"
    return (sys.executable, "-I", "-c", start)


def has_process_files() -> bool:
    """Return whether processes can be held as open files here, and are let be: old sandboxes refuse what the kernel has."""
    try:
        number = os.pidfd_open(os.getpid())
        try:
            signal.pidfd_send_signal(number, 0)
        finally:
            os.close(number)
    except (AttributeError, OSError):
        return False
    return True


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent ends, however that ends; end at once where it has ended."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def keep_stdout_for_frames() -> IO[bytes]:
    """Return the real stdout for frames; whatever a library prints goes to stderr instead."""
    frames = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return frames
