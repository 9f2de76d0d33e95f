"""What every child process of ours begins with, whatever it does: how it is started, and that it ends with its parent.

No solver is imported here: highspy and OR-Tools cannot share a process (google/or-tools#5246), and a child of either, as
those of forecasts and back-tests, begins with this.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1
ROOT = Path(__file__).resolve().parents[1]


def command(module: str, *arguments: object) -> tuple[str, ...]:
    """Return the command that calls `main(parent, *arguments)` of a module, isolated from environment and current folder.

    `parent` is the process that calls this: a child that has just been started cannot tell a parent that is gone already
    from the one that took its place.
    """
    told = ", ".join(map(repr, (os.getpid(), *arguments)))
    start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from {module} import main; main({told})"
    return (sys.executable, "-I", "-c", start)


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
