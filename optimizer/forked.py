"""A child that the server of this process forks: how it is asked for, watched, killed and buried."""

import contextlib
import os
import signal
from collections.abc import Mapping
from typing import IO, Any

from optimizer.child import Buried
from optimizer.fork_server import NoChildError, Server, is_readable, running

BURIES_WITHIN_S = 0.4


class ForkedChild:
    """A child that a server has forked; see `optimizer.starting.Child`."""

    foreign_bytes = 0

    def __init__(self, module: str, stdin: IO[bytes], environ: Mapping[str, str], mark: str, within_s: float) -> None:
        """Fork it.

        Arguments:
            module: whose `main(parent)` it calls.
            stdin: what it reads.
            environ: its environment.
            mark: the variable of it, `NAME=value`, by which its family is found.
            within_s: how long a server may take to be ready. [s]

        Raises:
            NoChildError: it could not be.
        """
        with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
            pipes, writes = [], []
            for _ in range(2):
                read, write = os.pipe()
                theirs.callback(os.close, write)
                pipes.append(ours.enter_context(open(read, "rb", buffering=0)))
                writes.append(write)
            self.stdout: IO[bytes] = pipes[0]
            self.stderr: IO[bytes] = pipes[1]
            asked = {"do": "fork", "module": module, "environ": dict(environ), "mark": mark}
            self._server, self.pid = _forked(asked, within_s, (stdin.fileno(), *writes))
            try:
                self._exit = os.pidfd_open(self.pid)
            except OSError:
                os.kill(self.pid, signal.SIGKILL)
                self._server.unburied.append(self.pid)
                raise
            ours.pop_all()

    def is_gone(self) -> bool:
        """Whether it has ended."""
        return is_readable(self._exit, 0.0)

    def kill(self) -> None:
        """Kill it and its group; of a server that is gone it is dying already, and its number may be another's soon."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._exit, signal.SIGKILL)
            if self._server.is_alive:
                os.killpg(self.pid, signal.SIGKILL)

    def bury(self) -> Buried:
        """Wait until it is gone and say what it took; nothing is known of one whose server does not answer."""
        is_readable(self._exit, None)
        os.close(self._exit)
        try:
            return Buried(**self._server.ask({"do": "bury", "pid": self.pid}, BURIES_WITHIN_S))
        except NoChildError as error:
            if not error.was_sent:
                self._server.unburied.append(self.pid)
            return Buried(-signal.SIGKILL, 0.0, 0)


def _forked(asked: Mapping[str, Any], within_s: float, files: tuple[int, ...]) -> tuple[Server, int]:
    """Have a child forked; by another server where one that others lost was never asked."""
    try:
        server = running()
        return server, server.ask(asked, within_s, files)["pid"]
    except NoChildError as error:
        if error.is_late or error.was_sent:
            raise
    server = running()
    return server, server.ask(asked, within_s, files)["pid"]
