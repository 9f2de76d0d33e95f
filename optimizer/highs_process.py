"""A contained child process: its parent owns the clock, the memory cap and the size of what it may say.

The child runs in a session of its own with a small clean environment. At the deadline, on too much memory or output, or
when its parent has heard enough, its whole process group is killed; descendants that left the group are found by a token
in their environment. Input is an unnamed temporary file, so nothing is left behind even if the parent is killed.
"""

import contextlib
import os
import resource
import secrets
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

TICK_S = 0.05
FAMILY_EVERY_S = 0.5
FAMILY_ROUNDS, FAMILY_WAIT_S = 30, 0.01
"""How often those that are left are killed, and how long each time they have to be gone: a killed process needs a core to die."""
STDERR_TAIL_BYTES = 4096
CHUNK_BYTES = 1 << 20
TOKEN = "WATTSPLIT_CHILD"

Why = Literal["exit", "signal", "deadline", "memory", "cancelled", "refused", "spawn"]


@dataclass(frozen=True)
class Caps:
    """What a child may take: wall time and memory of all its processes together."""

    deadline_s: float
    memory_bytes: int
    niceness: int = 0


@dataclass(frozen=True)
class Ended:
    """How a child ended, and what it took. `code` is its exit code, or minus the signal that ended it."""

    why: Why
    code: int
    said: str
    wall_s: float
    cpu_s: float
    peak_memory_bytes: int


def contain(
    program: Sequence[str],
    stdin: IO[bytes],
    caps: Caps,
    *,
    hear: Callable[[bytes], bool],
    tick: Callable[[float], None] = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Ended:
    """Run a program to its end or to a cap, whichever comes first; on return nothing of it is left.

    `hear` gets what it writes to stdout and returns whether to go on; `tick` gets the seconds since the start.
    """
    token = secrets.token_hex(16)
    begun_s = time.monotonic()
    try:
        process = subprocess.Popen(
            program, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=_environment(token), cwd="/", start_new_session=True, bufsize=0,
        )  # fmt: skip
    except OSError as error:
        return Ended("spawn", 0, str(error), time.monotonic() - begun_s, 0.0, 0)
    watch = _Watch(process, token, caps, begun_s)
    try:
        why = watch.until_end(hear, tick, cancelled)
    finally:
        usage = watch.bury()
    code = process.returncode
    if why == "exit" and code < 0:
        why = "signal"
    peak = watch.peak_bytes(usage)
    if why == "signal" and code in (-signal.SIGKILL, -signal.SIGABRT, -signal.SIGSEGV) and peak > 0.8 * caps.memory_bytes:
        why = "memory"
    said = watch.said.decode(errors="replace")
    return Ended(why, code, said, time.monotonic() - begun_s, usage.ru_utime + usage.ru_stime, peak)


def _environment(token: str) -> dict[str, str]:
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    dask = {name: value for name, value in os.environ.items() if name.startswith("DASK_")}  # where its certificates are
    return {**dask, **one_thread, "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1", TOKEN: token}


class _Watch:
    """One running child and what its parent knows of it."""

    def __init__(self, process: subprocess.Popen[bytes], token: str, caps: Caps, begun_s: float) -> None:
        self.said = b""
        self._process, self._caps, self._begun_s = process, caps, begun_s
        self._seen_bytes, self._parents_bytes = 0, _peak_bytes(resource.getrusage(resource.RUSAGE_SELF))
        self._mark = f"{TOKEN}={token}".encode()
        self._family_s = begun_s
        with contextlib.suppress(ProcessLookupError):
            # Set from outside: code between fork and exec is unsafe in a process that has threads.
            resource.prlimit(process.pid, resource.RLIMIT_AS, (caps.memory_bytes, caps.memory_bytes))
            resource.prlimit(process.pid, resource.RLIMIT_CORE, (0, 0))
            if caps.niceness:
                os.setpriority(os.PRIO_PROCESS, process.pid, os.getpriority(os.PRIO_PROCESS, process.pid) + caps.niceness)

    def until_end(self, hear: Callable[[bytes], bool], tick: Callable[[float], None], cancelled: Callable[[], bool]) -> Why:
        """Listen until the child ends, breaks a cap, or is not wanted any more."""
        stdout, stderr = self._process.stdout, self._process.stderr
        assert stdout is not None
        assert stderr is not None
        with selectors.DefaultSelector() as selector:
            for pipe in (stdout, stderr):
                os.set_blocking(pipe.fileno(), False)
                selector.register(pipe, selectors.EVENT_READ)
            while True:
                gone = self._gone()
                left_s = self._caps.deadline_s - (time.monotonic() - self._begun_s)
                ready = [key.fileobj for key, _ in selector.select(0 if gone else max(0.0, min(TICK_S, left_s)))]
                for pipe in (stdout, stderr):
                    if pipe not in ready:
                        continue
                    if not (chunk := pipe.read(CHUNK_BYTES)):
                        selector.unregister(pipe)
                    elif pipe is stderr:
                        self.said = (self.said + chunk)[-STDERR_TAIL_BYTES:]
                    elif not hear(chunk):
                        return "refused"
                if left_s <= 0:
                    return "deadline"
                if gone and not ready:
                    return "exit"
                if not selector.get_map() and not gone:
                    time.sleep(min(TICK_S / 10, left_s))
                if cancelled():
                    return "cancelled"
                self._look()
                if self._family_is_too_big():
                    return "memory"
                tick(time.monotonic() - self._begun_s)

    def bury(self) -> resource.struct_rusage:
        """Kill the group and whoever left it, reap the child, close the pipes; return what the child used."""
        process = self._process
        # The child is not reaped before this, so its number, and with it the group's, cannot belong to another.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        for _ in range(FAMILY_ROUNDS):
            if not (left := self._family()):
                break
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(FAMILY_WAIT_S)
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        return usage

    def peak_bytes(self, usage: resource.struct_rusage) -> int:
        """Return the most memory that the child held.

        Until a child becomes its program the kernel counts its parent's memory as its own: a figure that is no more than
        the parent's says nothing, and what was seen on the way stands instead.
        """
        counted = _peak_bytes(usage)
        return counted if counted > self._parents_bytes else self._seen_bytes

    def _look(self) -> None:
        """Note the most that the child has held since it became its program, where the kernel tells (Linux does)."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            status = Path(f"/proc/{self._process.pid}/status").read_bytes()
            held = status.partition(b"VmHWM:")[2].split(maxsplit=1)[0]
            self._seen_bytes = max(self._seen_bytes, 1024 * int(held))

    def _gone(self) -> bool:
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _family(self) -> list[int]:
        """Numbers of all living processes that carry the token."""
        found = []
        with contextlib.suppress(FileNotFoundError):
            for name in filter(str.isdecimal, os.listdir("/proc")):
                with contextlib.suppress(OSError), open(f"/proc/{name}/environ", "rb", buffering=0) as environ:
                    if self._mark in environ.read():
                        found.append(int(name))
        return found

    def _family_is_too_big(self) -> bool:
        """Whether all processes together hold more than the cap; the kernel caps each of them alone."""
        if time.monotonic() - self._family_s < FAMILY_EVERY_S:
            return False
        self._family_s = time.monotonic()
        pages = 0
        for pid in self._family():
            with contextlib.suppress(OSError, ValueError, IndexError):
                pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize() > self._caps.memory_bytes


def _peak_bytes(usage: resource.struct_rusage) -> int:
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
