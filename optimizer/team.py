"""All sites of a fleet at work: in this process, and in the hands of a crew that has shares of them.

What a site answers depends on nothing but what it was asked before, so that a fleet comes to the same plan with any number
of workers, wherever they are. The sites of a worker that is lost are taken over by this process, which does what was asked of
them again, once; that is said, for without the old bases they may answer a little otherwise.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from optimizer.blocks import Block
from optimizer.compiled import Floats
from optimizer.crew import LostError, Words, hired
from optimizer.doing import What
from optimizer.integers import Aim, Answer, Effort, Site
from optimizer.looks import Better

Tell = Callable[[What, int, int, int], None]
"""Told what is asked, for the how manieth time, and how many of so many sites have answered."""
ASKED: dict[str, What] = {
    "price": "prices",
    "hold": "prices",
    "settle": "whole numbers",
    "resume": "whole numbers",
    "exchange": "whole numbers",
    "polish": "whole numbers",
    "refit": "whole numbers",
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
        url: str | None = None,
    ) -> None:
        """Share the sites out; `options` are those of the whole plan, `tell` is called after each answer.

        The rest is of the crew, as `optimizer.crew.hired` takes it.
        """
        self._count, self._tell = len(blocks), tell
        self._rounds: Counter[str] = Counter()
        self._blocks = blocks
        self._options = {name: value for name, value in options.items() if name not in ("mip_rel_gap", "time_limit")}
        self._crew = hired(blocks, self._options, workers, prepare, url, float(options.get("time_limit", "inf")))
        self.workers = self._crew.size + 1
        self._others = list(range(1, self.workers))
        self._lost = 0
        self._sites: dict[int, Site] = {}
        self._own(0)

    def price(self, prices: Floats) -> list[Answer | None]:
        """Return what each site's relaxation does at prices; nothing where HiGHS fails."""
        return list(self._ask("price", dict.fromkeys(range(self._count), (prices,))).values())

    def hold(self, prices: Floats, counts: dict[int, Floats]) -> dict[int, float]:
        """Return what the relaxations of some sites earn at prices with known counts; -inf where these break a rule. [USD]"""
        return self._ask("hold", {n: (prices, known) for n, known in counts.items()})

    def forget(self) -> None:
        """Free what all sites keep of their relaxations."""
        self._ask("forget", dict.fromkeys(range(self._count), ()))

    def settle(self, prices: Floats, wanted: dict[int, Aim], effort: Effort) -> dict[int, Floats | None]:
        """Return columns of some sites with whole numbers near relaxed ones; nothing where none are found."""
        return self._ask("settle", {n: (prices, aim, effort) for n, aim in wanted.items()})

    def resume(
        self, prices: Floats, wanted: dict[int, Aim], counts: dict[int, Floats], effort: Effort
    ) -> dict[int, Floats | None]:
        """Return columns of some sites with known counts, and the best of the rest; nothing where these break a rule."""
        return self._ask("resume", {n: (prices, wanted[n], known, effort) for n, known in counts.items()})

    def improve(
        self, how: Better, prices: Floats, wanted: dict[int, Aim], counts: dict[int, Floats], effort: Effort
    ) -> dict[int, Floats | None]:
        """Return columns of some sites with better counts than known ones; nothing where none are looked for or found."""
        return self._ask(how, {n: (prices, wanted[n], known, effort) for n, known in counts.items()})

    def tighten(self, prices: Floats, sites: Sequence[int], effort: Effort) -> dict[int, float]:
        """Return bounds on what the whole numbers of some sites can earn at prices; infinite where none is found. [USD]"""
        return self._ask("tighten", dict.fromkeys(sites, (prices, effort)))

    def disband(self) -> str:
        """Let the crew go and free what this process keeps; return in words who they were, and what went wrong with them."""
        self._sites.clear()
        lost = f"; {self._lost} of {self.workers} workers lost, their sites done again" if self._lost else ""
        return self._crew.disband() + lost

    def _own(self, share: int) -> None:
        """Begin with the sites of a share in this process."""
        self._sites |= {n: Site(self._blocks[n], self._options) for n in range(share, self._count, self.workers)}

    def _ask(self, what: str, asked: dict[int, Words]) -> dict[int, Any]:
        """Ask many sites one thing; the answers come by site, in the order in which they were asked, whoever gave them."""
        answers: dict[int, Any] = dict.fromkeys(asked)
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

        shares = {k: {n: words for n, words in asked.items() if n % self.workers == k} for k in self._others}
        for k, share in shares.items():
            self._crew.ask(k, what, share)
        do({n: words for n, words in asked.items() if n in self._sites})
        for k, share in shares.items():
            try:
                for told in self._crew.hear(k):
                    for n, answer in told.items():
                        answers[n] = answer
                        del share[n]
                    tell(len(told))
            except LostError:
                self._take_over(k)
                do(share)
        return answers

    def _take_over(self, share: int) -> None:
        """Do in this process, from now on, what a lost worker did."""
        self._others.remove(share)
        self._crew.drop(share)
        self._lost += 1
        self._own(share)
