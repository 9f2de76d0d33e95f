"""All sites of a fleet at work: in this process, or shared out over processes forked from it.

What a site answers depends on nothing but what it was asked before, so that a fleet comes to the same plan with any number
of workers. A worker keeps its sites for good, and with them the bases of their relaxations. The sites of a worker that is
killed are taken over by this process, which does what was asked of them again, once; that is said, for without the old bases
they may answer a little otherwise.
"""

import multiprocessing
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from optimizer.blocks import Block
from optimizer.compiled import Floats
from optimizer.doing import What
from optimizer.integers import Answer, Effort, Site

Words = tuple[Any, ...]
Tell = Callable[[What, int, int, int], None]
"""Told what is asked, for the how manieth time, and how many of so many sites have answered."""
ASKED: dict[str, What] = {
    "price": "prices",
    "settle": "whole numbers",
    "resume": "whole numbers",
    "exchange": "whole numbers",
    "tighten": "ceilings",
}


class Team:
    """The sites, by number, and who works on them."""

    def __init__(
        self,
        blocks: Sequence[Block],
        options: dict[str, Any],
        workers: int,
        prepare: Callable[[], None],
        tell: Tell = lambda *_: None,
    ) -> None:
        """Share the sites out; `prepare` is called first in every process that is forked, `tell` after each answer."""
        self._count, self._tell = len(blocks), tell
        self._rounds: Counter[str] = Counter()
        self.workers = max(1, min(workers, self._count))
        self._blocks, self._options = blocks, options
        self._pipes: dict[int, Connection] = {}
        self._forked = []
        self._lost = 0
        fork = multiprocessing.get_context("fork")
        for n in range(1, self.workers):
            ours, theirs = fork.Pipe()
            self._forked.append(fork.Process(target=_work, args=(blocks, n, self.workers, options, theirs, prepare), daemon=True))
            self._forked[-1].start()
            theirs.close()
            self._pipes[n] = ours
        self._sites: dict[int, Site] = {}
        self._own(0)

    def price(self, prices: Floats) -> list[Answer | None]:
        """Return what each site's relaxation does at prices."""
        return self._ask("price", dict.fromkeys(range(self._count), (prices,)))

    def forget(self) -> None:
        """Free what all sites keep of their relaxations."""
        self._ask("forget", dict.fromkeys(range(self._count), ()))

    def settle(self, prices: Floats, wanted: dict[int, Floats], effort: Effort) -> dict[int, tuple[Floats, float] | None]:
        """Return whole numbers for some sites near relaxed columns of theirs, and what they are worth."""
        told = self._ask("settle", {n: (prices, x, effort) for n, x in wanted.items()})
        return {n: told[n] for n in wanted}

    def resume(
        self, prices: Floats, wanted: dict[int, Floats], counts: dict[int, Floats], effort: Effort
    ) -> dict[int, tuple[Floats, float] | None]:
        """Return what known counts of some sites are worth, with the best of the rest."""
        told = self._ask("resume", {n: (prices, wanted[n], known, effort) for n, known in counts.items()})
        return {n: told[n] for n in counts}

    def exchange(
        self, prices: Floats, wanted: dict[int, Floats], counts: dict[int, Floats], effort: Effort
    ) -> dict[int, tuple[Floats, float] | None]:
        """Return what moves from known counts of some sites lead to."""
        told = self._ask("exchange", {n: (prices, wanted[n], known, effort) for n, known in counts.items()})
        return {n: told[n] for n in counts}

    def tighten(self, prices: Floats, sites: Sequence[int], effort: Effort) -> dict[int, float]:
        """Return bounds on what the whole numbers of some sites can earn at prices."""
        told = self._ask("tighten", dict.fromkeys(sites, (prices, effort)))
        return {n: told[n] for n in sites}

    def disband(self) -> str:
        """Let the other processes end and free what this one keeps; return in words what went wrong with them."""
        for pipe in self._pipes.values():
            with suppress(OSError):
                pipe.send(None)
        for process in self._forked:
            process.join()
        self._sites.clear()
        return f"; {self._lost} of {self.workers} workers lost, their sites done again" if self._lost else ""

    def _own(self, worker: int) -> None:
        """Begin with the sites of a worker in this process."""
        self._sites |= {n: Site(self._blocks[n], self._options) for n in range(worker, self._count, self.workers)}

    def _ask(self, what: str, asked: dict[int, Words]) -> list[Any]:
        """Ask many sites one thing; the answers stand at the sites' numbers."""
        answers: list[Any] = [None] * self._count
        at, done = ASKED.get(what), 0
        self._rounds[str(at)] += 1

        def tell(more: int) -> None:
            nonlocal done
            done += more
            if at is not None:
                self._tell(at, self._rounds[at], done, len(asked))

        tell(0)

        def do(mine: dict[int, Words]) -> None:
            for n, words in mine.items():
                answers[n] = getattr(self._sites[n], what)(*words)
                tell(1)

        shares = {k: {n: words for n, words in asked.items() if n % self.workers == k} for k in self._pipes}
        for k, pipe in self._pipes.items():
            with suppress(OSError):  # a lost worker is found out when it is heard
                pipe.send((what, shares[k]))
        do({n: words for n, words in asked.items() if n in self._sites})
        for k, pipe in list(self._pipes.items()):
            try:
                told = pipe.recv()
            except (EOFError, OSError):
                self._take_over(k)
                do(shares[k])
                continue
            for n, answer in told.items():
                answers[n] = answer
            tell(len(told))
        return answers

    def _take_over(self, worker: int) -> None:
        """Do in this process, from now on, what a lost worker did."""
        self._pipes.pop(worker).close()
        self._lost += 1
        self._own(worker)


def _work(
    blocks: Sequence[Block], first: int, every: int, options: dict[str, Any], pipe: Connection, prepare: Callable[[], None]
) -> None:
    """Answer for one's own sites until the pipe ends."""
    prepare()
    sites = {n: Site(blocks[n], options) for n in range(first, len(blocks), every)}
    while True:
        try:
            told = pipe.recv()
        except EOFError:
            return
        if told is None:
            return
        what, asked = told
        pipe.send({n: getattr(sites[n], what)(*words) for n, words in asked.items()})
