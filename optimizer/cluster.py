"""Workers of a Dask cluster that take shares of a fleet's sites.

Every worker that is fit for it (`optimizer/cluster_workers.py`) keeps one share as a Dask actor: an object that lives on
that worker alone, is never copied or begun anew elsewhere, and is freed when the client that made it goes, however that
goes. So a plan that is killed at its deadline leaves nothing behind but the second of work, or the one site, under way.

What goes over the wire is pickled numbers and arrays. Whoever reaches the port of a cluster can run anything on it, so it
belongs on a private network or behind TLS (tls://host:port, with certificates where Dask's own settings say).
"""

import pickle
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from optimizer.blocks import Block
from optimizer.cluster_workers import REACH_S, ClusterError, connected, counted, in_words, left, shares
from optimizer.crew import LostError, Told, Words

SHARE_OF_TIME = 0.1
"""Of the time that there is for a plan, what each step towards a cluster may take."""
LOOK_S, SILENT_S = 1.0, 10.0
"""How often a worker that has not answered is looked at, and how long it may be out of touch with its scheduler."""


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
            self._words = f"; sites shared with {counted(self.size)} of {url}" + (f", not with {unfit}" if unfit else "")
            self._deal(fit, blocks, options)
        except Exception as error:  # whatever breaks in a cluster, there must be a plan
            left(self._client, self._patience_s)
            raise ClusterError(in_words(error)) from error

    def _deal(self, fit: dict[str, Any], blocks: Sequence[Block], options: dict[str, Any]) -> None:
        self._actors, self._addresses = dict(enumerate(fit.values(), 1)), dict(enumerate(fit, 1))
        self._seen: dict[int, tuple[float, float]] = {}
        self._cut_off_s: float | None = None
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
        left(self._client, self._patience_s)
        return self._words

    def _result(self, share: int, called: Any) -> Any:
        """Return what a call comes to, for as long as its worker is in touch with the scheduler."""
        self._seen.pop(share, None)
        while True:
            try:
                return called.result(timeout=LOOK_S)
            except TimeoutError:
                if not self._is_alive(share):
                    raise LostError from None
            except Exception as error:  # an actor raises what it pleases, and its sites are done again
                raise LostError(in_words(error)) from error

    def _is_alive(self, share: int) -> bool:
        """Say whether the scheduler has heard of a worker lately; clocks differ, so its word is compared with its last one."""
        now_s = time.monotonic()
        if self._cut_off_s is not None and now_s - self._cut_off_s >= SILENT_S:
            return False
        try:
            workers = self._client.sync(self._client.scheduler.identity, callback_timeout=LOOK_S)["workers"]
        except Exception:  # the scheduler itself is silent, or gone
            self._cut_off_s = self._cut_off_s or now_s
            return True
        self._cut_off_s = None
        if (worker := workers.get(self._addresses[share])) is None:
            return False
        if share not in self._seen or self._seen[share][0] != worker["last_seen"]:
            self._seen[share] = worker["last_seen"], now_s
        return now_s - self._seen[share][1] < SILENT_S


def _packed(*what: Any) -> bytes:
    return pickle.dumps(what, protocol=5)
