"""Which workers of a Dask cluster are fit for a share of a fleet's sites, and the share that they keep.

A worker is fit if it runs the same source of the optimiser and the same HiGHS, numpy, Dask and Python: only then are its
answers those that this process would give. Dask's own limits on time do not hold everywhere, so that every step towards a
cluster has one here: a scheduler that was stopped in the middle of a word kept a client waiting for as long as it was tried.
"""

import hashlib
import pickle
import platform
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import Thread
from typing import Any

from optimizer.crew import Told, Words
from optimizer.engine_url import host_and_port

REACH_S = 5.0
"""What each step towards a cluster may take at most."""
SLICE_S = 1.0
"""A worker works no longer without looking whether anybody still listens, but for the site that it is at."""
BUSY = "no answer in time, it is busy or out of touch"
MANY, MOST_WORDS, MOST_NAMED = 1_000, 140, 2
"""Workers that are looked at, letters of an error, workers that are not fit and named; the others are counted."""


class ClusterError(Exception):
    """No worker of a cluster can be used; the message says why."""


class Share:
    """The sites of one share, on the worker that keeps them."""

    def __init__(self) -> None:
        from optimizer.integers import Site

        self._site = Site
        self._sites: dict[int, Any] = {}
        self._what, self._left = "", list[tuple[int, Words]]()

    def begin(self, packed: bytes) -> None:
        """Take over some sites."""
        blocks, options = pickle.loads(packed)
        self._sites = {n: self._site(block, options) for n, block in blocks.items()}

    def ask(self, packed: bytes) -> bytes:
        """Begin with what some sites are asked; return the first answers."""
        self._what, asked = pickle.loads(packed)
        self._left = list(asked.items())
        return self.more()

    def more(self) -> bytes:
        """Go on with it; return the next answers."""
        told: Told = {}
        until_s = time.monotonic() + SLICE_S
        while self._left and (not told or time.monotonic() < until_s):
            n, words = self._left.pop(0)
            told[n] = getattr(self._sites[n], self._what)(*words)
        return pickle.dumps(told, protocol=5)


def connected(url: str, patience_s: float) -> Any:
    """Return a client of a cluster.

    Raises:
        ClusterError: nothing answers there in time, or nothing that is a cluster; or Dask is not installed here.
    """
    try:
        socket.create_connection(host_and_port(url), timeout=patience_s).close()
    except ValueError as error:
        raise ClusterError(f"{error}") from None
    except OSError as error:
        raise ClusterError(f"nothing answers there, {in_words(error)}") from None
    try:
        from distributed import Client
    except ImportError:
        raise ClusterError("Dask is not installed here, it is the extra `dask`") from None
    try:
        return within(patience_s, lambda: Client(url, timeout=patience_s, name="wattsplit"))
    except Exception as error:  # whatever listens there may break the talk in any way
        why = f"nothing within {patience_s:g} s" if isinstance(error, TimeoutError) else in_words(error)
        raise ClusterError(f"what listens there is no cluster that lets us in, {why}") from error


def shares(client: Any, most: int, patience_s: float) -> tuple[dict[str, Any], str]:
    """Return empty shares on workers that are fit, by address, and in words which are not.

    Raises:
        ClusterError: none is fit.
    """
    listed = within(patience_s, client.scheduler_info)["workers"]
    asked = {at: called(partial(client.run, versions, workers=[at])) for at in sorted(listed)[:most]}
    until_s = time.monotonic() + patience_s
    unfit = {at: why for at, told in asked.items() if (why := unlike(told, until_s - time.monotonic(), at))}
    how = {"actor": True, "allow_other_workers": False, "pure": False}
    made = {at: client.submit(Share, workers=[at], **how) for at in asked if at not in unfit}
    begun = {at: called(future.result) for at, future in made.items()}
    until_s = time.monotonic() + patience_s
    fit: dict[str, Any] = {}
    for at, told in begun.items():
        try:
            fit[at] = told.result(timeout=max(0.0, until_s - time.monotonic()))
        except Exception as error:  # a cluster raises what it pleases
            unfit[at] = BUSY if isinstance(error, TimeoutError) else in_words(error)
    named = ", ".join(f"{at}: {why}" for at, why in list(unfit.items())[:MOST_NAMED])
    words = named + (f" and {len(unfit) - MOST_NAMED} more" if len(unfit) > MOST_NAMED else "")
    if not fit:
        raise ClusterError(words or "it has no workers")
    return fit, words


def unlike(told: Future[dict[str, dict[str, str]]], patience_s: float, at: str) -> str:
    """Return in words why a worker would not answer as this process does; nothing where it would.

    Its versions were asked by `Client.run`, which hands back any error. A task or an actor whose code a worker lacks ends it.
    """
    try:
        here, there = versions(), told.result(timeout=max(0.0, patience_s))[at]
    except TimeoutError:
        return BUSY
    except Exception as error:  # a worker raises what it pleases
        return f"it lacks wattsplit, {in_words(error)}" if "ModuleNotFoundError" in str(error) else in_words(error)
    what = next((name for name in here if here[name] != there.get(name)), None)
    return f"its {what} is {there.get(what)}, here {here[what]}" if what else ""


def reached(url: str) -> str:
    """Return in words how many workers of a cluster are fit.

    Raises:
        ClusterError: none is.
    """
    client = connected(url, REACH_S)
    try:
        fit, unfit = shares(client, MANY, REACH_S)
    finally:
        left(client, REACH_S)
    return f"{counted(len(fit))} of {url}" + (f", not {unfit}" if unfit else "")


def left(client: Any, patience_s: float) -> None:
    """Leave a cluster, whatever becomes of it."""
    with suppress(Exception):
        within(patience_s, client.close)


def within(patience_s: float, do: Callable[[], Any]) -> Any:
    """Return what a call comes to; where it takes longer, nobody waits for it.

    Raises:
        TimeoutError: it takes longer; or whatever the call raises.
    """
    return called(do).result(timeout=patience_s)


def called(do: Callable[[], Any]) -> Future[Any]:
    """Begin a call in a thread of its own; return what will hold its result."""
    future: Future[Any] = Future()

    def call() -> None:
        try:
            future.set_result(do())
        except BaseException as error:
            future.set_exception(error)

    Thread(target=call, daemon=True).start()
    return future


@cache
def versions() -> dict[str, str]:
    """Return what the answers of a process depend on: Python, packages, and a digest of the optimiser's source."""
    folder = Path(__file__).resolve().parent
    source = b"".join(path.read_bytes() for path in sorted(folder.glob("*.py")))
    found = {"wattsplit": f"source {hashlib.sha256(source).hexdigest()[:12]}", "Python": platform.python_version()}
    for name in ("highspy", "numpy", "distributed"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found


def counted(workers: int) -> str:
    """Return how many, in words."""
    return "1 worker" if workers == 1 else f"{workers} workers"


def in_words(error: BaseException) -> str:
    """Return what an error says, short and in one line, or its kind where it says nothing."""
    if isinstance(error, ClusterError):
        return str(error)
    return (" ".join(str(error).split()) or type(error).__name__).replace("; ", ", ")[:MOST_WORDS]
