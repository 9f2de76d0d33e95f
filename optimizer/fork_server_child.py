"""The program of a fork server: it loads what solver children need, and forks one whenever it is asked to.

It has one thread and solves nothing itself, so that what it forks begins as clean as a process of its own. Its only tie is
a socket to the process that started it: when that closes, it ends, and the kernel ends its children (`die_with_parent`).
"""

import contextlib
import ctypes
import gc
import json
import os
import resource
import signal
import socket
import sys
import traceback
from importlib import import_module
from typing import Any, NoReturn

LOADED = ("optimizer.highs_child", "optimizer.variant_child", "multiprocessing.context", "multiprocessing.connection")
"""What every child finds loaded; a module that is not among them is loaded by the child that is made of it."""
READY = b"ready"
LONGEST_BYTES, MOST_LATE = 1 << 16, 100
"""Of a request, and how many children it may name that are buried beside."""
SPARE, MARK_BYTES = "WATTSPLIT_SPARE", 32
"""A variable of the server's environment, and the length of its value: room for the mark of a child, see `_mark`."""


def main(number: int) -> NoReturn:
    """Serve the socket with a number until it closes."""
    asking = socket.socket(fileno=number)
    os.set_inheritable(number, False)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # who ignores it, and has it ignored by what he starts, cannot bury anybody
    for module in LOADED:
        import_module(module)
    gc.collect()
    gc.freeze()  # what is loaded is not copied by collections in the children
    with contextlib.suppress(ConnectionError):  # who asked has ended, in the middle of a word
        asking.send(READY)
        while True:
            told, given, _, _ = socket.recv_fds(asking, LONGEST_BYTES, 3)
            if not told:
                break
            asked = json.loads(told)
            answer = _answer(asking, asked, given)
            for pid in asked["late"]:
                os.wait4(pid, 0)
            asking.send(json.dumps(answer).encode())
    os._exit(0)


def _answer(asking: socket.socket, asked: dict[str, Any], given: list[int]) -> dict[str, Any]:
    """Do one thing that is asked: fork a child, bury one that has ended, or tell what all of them have used."""
    if asked["do"] == "fork":
        server = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            return {"error": str(error)}
        finally:
            if os.getpid() == server:
                for number in given:
                    os.close(number)
        if pid == 0:
            asking.close()
            _become(asked["module"], asked["environ"], asked["mark"], given, server)
        return {"pid": pid}
    if asked["do"] == "bury":
        _, status, usage = os.wait4(asked["pid"], 0)
        used_s = usage.ru_utime + usage.ru_stime
        return {"code": os.waitstatus_to_exitcode(status), "cpu_s": used_s, "peak_bytes": 1024 * usage.ru_maxrss}
    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    used_s = own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime
    return {"cpu_s": used_s, "peak_bytes": 1024 * own.ru_maxrss}


def _become(module: str, environ: dict[str, str], mark: str, given: list[int], server: int) -> NoReturn:
    """Be the child: a session, an environment, standard streams of its own; then call `main(parent)` of the module."""
    code: object = 0
    try:
        os.setsid()
        for stream, number in enumerate(given):
            os.dup2(number, stream)
            os.close(number)
        _mark(mark)
        os.environ.clear()
        os.environ.update(environ)
        import_module(module).main(server)
    except SystemExit as end:
        code = end.code
    except BaseException:
        code = 1
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def _mark(mark: str) -> None:
    """Write `NAME=value` over the spare variable, where the kernel shows the environment with which a process began.

    Who looks for the family of a child goes by that, and what is forked shows its server's.
    """
    library = ctypes.CDLL(None)
    library.getenv.restype = ctypes.c_void_p
    value = library.getenv(SPARE.encode())
    if value is not None and len(mark) == len(SPARE) + 1 + MARK_BYTES:
        ctypes.memmove(value - len(SPARE) - 1, mark.encode(), len(mark))
