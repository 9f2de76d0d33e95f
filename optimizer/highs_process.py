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
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from optimizer.child import TOKEN, Buried, environment
from optimizer.fork_server import NoChildError
from optimizer.starting import Child, Program, start

TICK_S = 0.05
FAMILY_EVERY_S = 0.5
FAMILY_ROUNDS, FAMILY_WAIT_S = 30, 0.01
"""How often those that are left are killed, and how long each time they have to be gone: a killed process needs a core to die."""
STDERR_TAIL_BYTES = 4096
CHUNK_BYTES = 1 << 20

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
    program: Program,
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
    if cancelled():
        return Ended("cancelled", 0, "", 0.0, 0.0, 0)
    try:
        child = start(program, stdin, environment(token), f"{TOKEN}={token}", caps.deadline_s)
    except (OSError, NoChildError) as error:
        why: Why = "deadline" if isinstance(error, NoChildError) and error.is_late else "spawn"
        return Ended(why, 0, str(error), time.monotonic() - begun_s, 0.0, 0)
    watch = _Watch(child, token, caps, begun_s)
    try:
        why = watch.until_end(hear, tick, cancelled)
    finally:
        buried = watch.bury()
    code, peak = buried.code, watch.peak_bytes(buried)
    if why == "exit" and code < 0:
        why = "signal"
    if why == "signal" and code in (-signal.SIGKILL, -signal.SIGABRT, -signal.SIGSEGV) and peak > 0.8 * caps.memory_bytes:
        why = "memory"
    said = watch.said.decode(errors="replace")
    return Ended(why, code, said, time.monotonic() - begun_s, buried.cpu_s, peak)


class _Watch:
    """One running child and what its parent knows of it."""

    def __init__(self, child: Child, token: str, caps: Caps, begun_s: float) -> None:
        self.said, self._seen_bytes = b"", 0
        self._child, self._caps, self._begun_s = child, caps, begun_s
        self._mark = f"{TOKEN}={token}".encode()
        self._family_s = begun_s
        with contextlib.suppress(ProcessLookupError):
            # Set from outside: code between fork and exec is unsafe in a process that has threads.
            _lower(child.pid, resource.RLIMIT_AS, caps.memory_bytes)
            _lower(child.pid, resource.RLIMIT_CORE, 0)
            if caps.niceness:
                os.setpriority(os.PRIO_PROCESS, child.pid, os.getpriority(os.PRIO_PROCESS, child.pid) + caps.niceness)

    def until_end(self, hear: Callable[[bytes], bool], tick: Callable[[float], None], cancelled: Callable[[], bool]) -> Why:
        """Listen until the child ends, breaks a cap, or is not wanted any more."""
        stdout, stderr = self._child.stdout, self._child.stderr
        with selectors.DefaultSelector() as selector:
            for pipe in (stdout, stderr):
                os.set_blocking(pipe.fileno(), False)
                selector.register(pipe, selectors.EVENT_READ)
            while True:
                gone = self._child.is_gone()
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

    def bury(self) -> Buried:
        """Kill the group and whoever left it, reap the child, close the pipes; return what the child used."""
        self._child.kill()
        buried = self._child.bury()
        for _ in range(FAMILY_ROUNDS):
            if not (left := self._family()):
                break
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(FAMILY_WAIT_S)
        for pipe in (self._child.stdout, self._child.stderr):
            pipe.close()
        return buried

    def peak_bytes(self, buried: Buried) -> int:
        """Return the most memory that the child held; what was seen on the way where what is counted may be another's."""
        return buried.peak_bytes if buried.peak_bytes > self._child.foreign_bytes else self._seen_bytes

    def _look(self) -> None:
        """Note the most that the child has held since it became its program, where the kernel tells (Linux does)."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            status = Path(f"/proc/{self._child.pid}/status").read_bytes()
            held = status.partition(b"VmHWM:")[2].split(maxsplit=1)[0]
            self._seen_bytes = max(self._seen_bytes, 1024 * int(held))

    def _family(self) -> list[int]:
        """Numbers of all living processes that carry the token."""
        found = []
        with contextlib.suppress(OSError):  # there is no such folder, or it is not ours to read
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


def _lower(pid: int, what: int, most: int) -> None:
    """Hold a process to a limit, or to the one that it has, where that is lower: nobody may raise it again."""
    own = resource.prlimit(pid, what)[1]
    limit = most if own == resource.RLIM_INFINITY else min(most, own)
    resource.prlimit(pid, what, (limit, limit))
