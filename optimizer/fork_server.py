"""Solver children forked from a process that has loaded what they need: one takes 5 ms of CPU to begin, a command 90.

Every process that plans has one such server, begun when it first wants one and forgotten by whatever is forked from it. A
server has one thread and a small clean environment, and every child gets its own. One that owes an answer for long is given
up with all its children; the next child comes from a new one.

It needs processes that can be waited for by others than their parents, which Linux has; elsewhere a child is a command
(`optimizer.starting`).
"""

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from array import array
from collections.abc import Mapping
from typing import Any, NoReturn

from optimizer.child import ONE_THREAD, ROOT, has_process_files
from optimizer.fork_server_child import LONGEST_BYTES, MARK_BYTES, MOST_LATE, READY, SPARE

IS_POSSIBLE = sys.platform == "linux" and has_process_files()
BEGINS_WITHIN_S, GIVEN_UP_AFTER_S = 60.0, 10.0
"""To load what children need takes a second, an answer milliseconds; a server that owes one for so long is stopped or lost."""
ENDS_WITHIN_S = 2.0


class NoChildError(Exception):
    """No child could be forked, and why.

    is_late: the time for it was over before the server was ready. was_sent: the server has been asked.
    """

    def __init__(self, why: str, *, is_late: bool = False) -> None:
        super().__init__(why)
        self.is_late, self.was_sent = is_late, False


class Server:
    """A running server and the one socket to it; requests of several threads go one after the other."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._turn, self._is_ready = threading.Lock(), False
        self._owes_since_s: float | None = time.monotonic()
        """Since when an answer, or at first that it is ready, has been waited for in vain."""
        self._inbox: list[bytes] = []
        """What has been received and not yet been heard: a handler of signals may raise at any time."""
        self.unburied: list[int] = []
        """Children that have ended, and are buried with the next request: there was no time to ask for that alone."""
        start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from optimizer.fork_server_child import main"
        with theirs, contextlib.ExitStack() as ours:
            ours.callback(self.end)
            self._process = subprocess.Popen(
                (sys.executable, "-I", "-c", f"{start}; main({theirs.fileno()})"),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=(theirs.fileno(),),
                env={**ONE_THREAD, SPARE: "0" * MARK_BYTES}, cwd="/", start_new_session=True,
            )  # fmt: skip
            ours.pop_all()

    @property
    def is_alive(self) -> bool:
        """Whether it has neither ended nor been given up."""
        return self._socket.fileno() >= 0 and self._process.poll() is None

    def ask(self, request: Mapping[str, Any], within_s: float, files: tuple[int, ...] = ()) -> dict[str, Any]:
        """Send a request; return the answer.

        Arguments:
            request: what is asked.
            within_s: how long the answer may take, what others asked before included. [s]
            files: numbers of open files that go with it.

        Raises:
            NoChildError: there was no time, or no answer.
        """
        until_s, mine = time.monotonic() + within_s, list[bool]()
        try:
            mine.extend(map(self._turn.acquire, (True,), (max(0.0, within_s),)))  # at once: no signal comes between the two
            if True not in mine:
                raise NoChildError("others were waiting for children", is_late=True)
            if not self.is_alive:
                self._give_up("has ended")
            self._await_ready(until_s)
            self._await_what_is_owed(until_s)
            self._send(request, files)
            try:
                answer = self._heard(until_s)
            except NoChildError as error:
                error.was_sent = True
                raise
        except ConnectionError:  # it is dying, and cannot be waited for yet
            self._give_up("has ended")
        except OSError as error:
            raise NoChildError(f"the server of children does not answer: {error}") from None
        finally:
            if True in mine:
                self._turn.release()
        if "error" in answer:
            raise NoChildError(str(answer["error"]))
        return answer

    def end(self) -> None:
        """Have no more to do with it: its socket closes, so that it ends, and its children with it."""
        self._socket.close()

    def wait(self) -> None:
        """Wait until an ended one is gone."""
        try:
            self._process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _await_ready(self, until_s: float) -> None:
        if not self._is_ready:
            if self._received(until_s) != READY:
                self._give_up("could not begin")
            self._is_ready, self._owes_since_s = True, None
            self._inbox.clear()

    def _await_what_is_owed(self, until_s: float) -> None:
        """Take the answer that whoever asked before had no time to hear; a child that nobody waits for is ended."""
        if self._owes_since_s is not None and "pid" in (answer := self._heard(until_s)):
            os.kill(answer["pid"], signal.SIGKILL)
            self._send({"do": "bury", "pid": answer["pid"]})
            self._heard(until_s)

    def _send(self, request: Mapping[str, Any], files: tuple[int, ...] = ()) -> None:
        late = self.unburied[:MOST_LATE]
        told = json.dumps({**request, "late": late}).encode()
        if len(told) > LONGEST_BYTES:
            words = "bytes with the DASK_ variables, at most"
            raise NoChildError(f"its environment is too long: {len(told)} {words} {LONGEST_BYTES}")
        message, beside = [told], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", files))] if files else []
        self._owes_since_s = time.monotonic()  # until it is heard, whatever interrupts that
        try:
            self._socket.sendmsg(message, beside)
        except OSError:
            self._owes_since_s = None
            raise
        del self.unburied[: len(late)]

    def _heard(self, until_s: float) -> dict[str, Any]:
        answer = dict(json.loads(self._received(until_s)))
        self._owes_since_s = None
        self._inbox.clear()
        return answer

    def _received(self, until_s: float) -> bytes:
        if self._inbox:
            return self._inbox[0]
        assert self._owes_since_s is not None
        lost_s = self._owes_since_s + (GIVEN_UP_AFTER_S if self._is_ready else BEGINS_WITHIN_S)
        if not is_readable(self._socket.fileno(), min(until_s, lost_s) - time.monotonic()):
            if time.monotonic() >= lost_s:
                self._give_up("does not answer")
            raise NoChildError("the server of children had no answer in the time", is_late=True)
        self._inbox.extend(map(self._socket.recv, (LONGEST_BYTES,)))
        return self._inbox[0] or self._give_up("has ended")

    def _give_up(self, why: str) -> NoReturn:
        self.end()
        self._process.kill()  # one that was stopped would not see that its socket is closed
        raise NoChildError(f"the server of children {why}")


def begin() -> None:
    """Begin a server of this process, if there is none, without waiting for it."""
    if IS_POSSIBLE:
        with contextlib.suppress(OSError):
            running()


def used() -> tuple[float, int]:
    """Return CPU seconds of this process's server with all its children that have ended, and the most bytes it held itself."""
    if not IS_POSSIBLE or os.getpid() not in _servers:
        return 0.0, 0
    told = running().ask({"do": "tell"}, GIVEN_UP_AFTER_S)
    return told["cpu_s"], told["peak_bytes"]


_servers: dict[int, Server] = {}
"""By the process that has it: what is forked from this one has the sockets of its parents closed and begins its own."""
_choosing = threading.Lock()


def running() -> Server:
    """Return the server of this process; a new one where there is none, or none that is alive."""
    with _choosing:
        known = _servers.get(os.getpid())
        if known is None or not known.is_alive:
            if known is not None:
                known.end()
                known.wait()
            known = _servers[os.getpid()] = Server()
        return known


def _forget() -> None:
    """Close, in a process that has just been forked, what belongs to its parent."""
    global _choosing
    _choosing = threading.Lock()
    for server in _servers.values():
        server.end()


def _end() -> None:
    if known := _servers.get(os.getpid()):
        known.end()
        known.wait()


def is_readable(number: int, within_s: float | None) -> bool:
    """Wait until a file can be read or has come to its end, for ever or for so long; say whether that is so."""
    waiting = select.poll()
    waiting.register(number, select.POLLIN)
    return bool(waiting.poll(None if within_s is None else 1000 * max(0.0, within_s)))


os.register_at_fork(after_in_child=_forget)
atexit.register(_end)
