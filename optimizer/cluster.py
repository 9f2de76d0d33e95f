"""Workers of a Dask cluster that take shares of a fleet's sites.

Every worker that is fit for it keeps one share as a Dask actor: an object that lives on that worker alone, is never copied
or begun anew elsewhere, and is freed when the client that made it goes, however that goes. So a plan that is killed at its
deadline leaves nothing behind: at most the second of work, or the one site, that was under way.

A worker is fit if it runs the same source of the optimiser and the same HiGHS and Dask: only then are its answers those
that this process would give. What goes over the wire is pickled numbers and arrays; whoever reaches the port of a cluster
can run anything on it, so it belongs on a private network or behind TLS.
"""

import hashlib
import pickle
import platform
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from optimizer.blocks import Block
from optimizer.crew import LostError, Told, Words
from optimizer.engine_url import host_and_port

REACH_S, SHARE_OF_TIME = 5.0, 0.1
"""What each step towards a cluster may take at most: seconds, and of the time that there is for the plan."""
SLICE_S = 1.0
"""A worker works no longer without looking whether anybody still listens, but for the site that it is at."""
LOOK_S, SILENT_S = 1.0, 15.0
"""How often a worker that has not answered is looked at, and how long it may be out of touch with its scheduler."""
MANY, MOST_WORDS = 1_000, 200
MOST_NAMED = 2
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


class Cluster:
    """The workers of a cluster that are fit, as a crew."""

    def __init__(self, url: str, blocks: Sequence[Block], options: dict[str, Any], time_s: float = float("inf")) -> None:
        """Deal out all shares but that of this process.

        Raises:
            ClusterError: no worker can be used.
        """
        self._patience_s = min(REACH_S, SHARE_OF_TIME * time_s)
        self._client = connected(url, self._patience_s)
        try:
            fit, unfit = shares(self._client, len(blocks) - 1, self._patience_s)
            self.size = len(fit)
            self._words = f"; sites shared with {self.size} workers of {url}" + (f", not with {unfit}" if unfit else "")
            self._deal(fit, blocks, options)
        except Exception as error:  # whatever breaks in a cluster, there must be a plan
            self._close()
            raise ClusterError(in_words(error)) from error

    def _deal(self, fit: dict[str, Any], blocks: Sequence[Block], options: dict[str, Any]) -> None:
        self._actors, self._addresses = dict(enumerate(fit.values(), 1)), dict(enumerate(fit, 1))
        self._seen: dict[int, tuple[float, float]] = {}
        self._asked: dict[int, Any] = {}
        self._open: dict[int, int] = {}
        every = self.size + 1
        packed = {k: _packed({n: blocks[n] for n in range(k, len(blocks), every)}, options) for k in self._actors}
        self._begun = {k: actor.begin(packed[k]) for k, actor in self._actors.items()}

    def ask(self, share: int, what: str, asked: dict[int, Words]) -> None:
        """Call the actor; the call comes back by itself."""
        try:
            if begun := self._begun.pop(share, None):
                self._result(share, begun)
            self._open[share] = len(asked)
            self._asked[share] = self._actors[share].ask(_packed(what, asked)) if asked else None
        except LostError:
            self._open[share], self._asked[share] = len(asked), None
        except Exception:  # Dask's word for a worker that is known to be lost
            self._asked[share] = None

    def hear(self, share: int) -> Iterator[Told]:
        """Yield answers a second's work at a time."""
        while self._open[share] > 0:
            if (called := self._asked.pop(share, None)) is None:
                raise LostError
            told: Told = pickle.loads(self._result(share, called))
            self._open[share] -= len(told)
            if self._open[share] > 0:
                with suppress(Exception):  # it is lost, which is found out above
                    self._asked[share] = self._actors[share].more()
            yield told

    def drop(self, share: int) -> None:
        """Free the actor, if its worker still lives."""
        self._actors.pop(share, None)

    def disband(self) -> str:
        """Leave the cluster, which frees what its workers keep for this plan."""
        self._actors.clear()
        self._close()
        return self._words

    def _close(self) -> None:
        with suppress(Exception):
            self._client.close(timeout=self._patience_s)

    def _result(self, share: int, called: Any) -> Any:
        """Return what a call comes to, for as long as its worker is in touch with the scheduler."""
        self._seen.pop(share, None)
        while True:
            try:
                return called.result(timeout=LOOK_S)
            except TimeoutError:
                if not self._is_alive(share):
                    raise LostError from None
            except Exception as error:
                raise LostError(in_words(error)) from error

    def _is_alive(self, share: int) -> bool:
        """Say whether the scheduler has heard of a worker lately; clocks differ, so its word is compared with its last one."""
        try:
            identity = self._client.sync(self._client.scheduler.identity, callback_timeout=self._patience_s)
        except Exception:  # the scheduler itself is silent, or gone
            identity = {"workers": {self._addresses[share]: {"last_seen": self._seen.get(share, (0.0, 0.0))[0]}}}
        if (worker := identity["workers"].get(self._addresses[share])) is None:
            return False
        now_s, before = time.monotonic(), self._seen.get(share)
        if before is None or before[0] != worker["last_seen"]:
            self._seen[share] = before = (worker["last_seen"], now_s)
        return now_s - before[1] < SILENT_S


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
        return Client(url, timeout=patience_s, name="wattsplit")
    except Exception as error:
        raise ClusterError(f"what answers there is no cluster that lets us in, {in_words(error)}") from error


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
        client.close(timeout=REACH_S)
    return f"{len(fit)} workers of {url}" + (f", not {unfit}" if unfit else "")


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


def in_words(error: BaseException) -> str:
    """Return the first line of an error, short, with its kind where it says nothing else."""
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return (line or type(error).__name__).replace("; ", ", ")[:MOST_WORDS]


def _packed(*what: Any) -> bytes:
    return pickle.dumps(what, protocol=5)
