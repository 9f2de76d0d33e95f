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
from functools import cache
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
MANY, MOST_WORDS, MOST_NAMED = 1_000, 200, 2
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

    def versions(self) -> dict[str, str]:
        """Return what the answers of this worker depend on."""
        return versions()

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
    except Exception as error:
        why = f"nothing within {patience_s:g} s" if isinstance(error, TimeoutError) else in_words(error)
        raise ClusterError(f"what listens there is no cluster that lets us in, {why}") from error


def shares(client: Any, most: int, patience_s: float) -> tuple[dict[str, Any], str]:
    """Return empty shares on workers that are fit, by address, and in words which are not.

    Raises:
        ClusterError: none is fit.
    """
    from distributed import wait

    listed = client.sync(client.scheduler.identity, callback_timeout=patience_s)["workers"]
    how = {"actor": True, "allow_other_workers": False, "pure": False}
    made = {at: client.submit(Share, workers=[at], **how) for at in sorted(listed)[:most]}
    with suppress(TimeoutError):
        wait(list(made.values()), timeout=patience_s)
    fit: dict[str, Any] = {}
    unfit: dict[str, str] = {}
    for at, future in made.items():
        try:
            fit[at] = proven(future, patience_s)
        except Exception as error:  # a worker that lacks our code raises what it pleases
            unfit[at] = in_words(error)
    named = ", ".join(f"{at}: {why}" for at, why in list(unfit.items())[:MOST_NAMED])
    words = named + (f" and {len(unfit) - MOST_NAMED} more" if len(unfit) > MOST_NAMED else "")
    if not fit:
        raise ClusterError(words or "it has no workers")
    return fit, words


def proven(future: Any, patience_s: float) -> Any:
    """Return a share whose worker answers as this process would.

    Raises:
        ClusterError: it would not, or is busy; whatever the worker itself raised.
    """
    if not future.done():
        raise ClusterError(f"it is busy, no answer within {patience_s:g} s")
    share = future.result(timeout=patience_s)
    here, there = versions(), share.versions().result(timeout=patience_s)
    if what := next((name for name in here if here[name] != there.get(name)), None):
        raise ClusterError(f"its {what} is {there.get(what)}, here {here[what]}")
    return share


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
    """Return what a call comes to; where it takes longer, nobody waits for it: Dask's own limits do not hold everywhere.

    Raises:
        TimeoutError: it takes longer; or whatever the call raises.
    """
    called: Future[Any] = Future()

    def call() -> None:
        try:
            called.set_result(do())
        except BaseException as error:
            called.set_exception(error)

    Thread(target=call, daemon=True).start()
    return called.result(timeout=patience_s)


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
    """Return the first line of an error, short, with its kind where it says nothing else."""
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return (line or type(error).__name__).replace("; ", ", ")[:MOST_WORDS]
