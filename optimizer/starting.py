"""How a contained child is started: as a command, or as a call that a fork server makes in a process of its own."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Protocol

from optimizer import fork_server
from optimizer.child import Buried, command
from optimizer.forked import ForkedChild


@dataclass(frozen=True)
class Call:
    """A child that calls `main(parent)` of a module; forked where that is possible, else started as a command."""

    module: str


Program = Sequence[str] | Call


class Child(Protocol):
    """What a parent can ask of a child; pid, stdout and stderr as usual.

    foreign_bytes: memory that the kernel may count as the child's and that was never its own.
    """

    pid: int
    stdout: IO[bytes]
    stderr: IO[bytes]
    foreign_bytes: int

    def is_gone(self) -> bool:
        """Whether it has ended; it keeps its number until it is buried."""
        ...

    def kill(self) -> None:
        """Kill it and its whole process group."""
        ...

    def bury(self) -> Buried:
        """Wait for the end of a child that was killed or has ended, and say how it ended and what it took."""
        ...


def start(program: Program, stdin: IO[bytes], environ: Mapping[str, str], mark: str, within_s: float) -> Child:
    """Start a child in a session of its own, in the root folder.

    Arguments:
        program: what it runs.
        stdin: what it reads.
        environ: its environment.
        mark: the variable of it, `NAME=value`, by which its family is found.
        within_s: how long it may take to start. [s]

    Raises:
        OSError, NoChildError: it could not be started.
    """
    if not isinstance(program, Call):
        return Commanded(program, stdin, environ)
    if fork_server.IS_POSSIBLE:
        return ForkedChild(program.module, stdin, environ, mark, within_s)
    return Commanded(command(program.module), stdin, environ)


class Commanded:
    """A child that runs a command; see `Child`."""

    def __init__(self, program: Sequence[str], stdin: IO[bytes], environ: Mapping[str, str]) -> None:
        """Start it; raises OSError where it cannot be."""
        self.foreign_bytes = peak_bytes(resource.getrusage(resource.RUSAGE_SELF))
        """Until it becomes its program the kernel counts its parent's memory as its own."""
        self._process = subprocess.Popen(
            program, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environ, cwd="/", start_new_session=True, bufsize=0,
        )  # fmt: skip
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self.pid, self.stdout, self.stderr = self._process.pid, self._process.stdout, self._process.stderr

    def is_gone(self) -> bool:
        """Whether it has ended."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def kill(self) -> None:
        """Kill its group: it is not buried yet, so its number, and with it the group's, cannot belong to another."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def bury(self) -> Buried:
        """Reap it."""
        _, status, usage = os.wait4(self.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        return Buried(self._process.returncode, usage.ru_utime + usage.ru_stime, peak_bytes(usage))


def peak_bytes(usage: resource.struct_rusage) -> int:
    """Return the most memory that a process held, whatever unit its system counts in."""
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
