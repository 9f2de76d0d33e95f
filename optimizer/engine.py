"""The engine for fleets of many sites: one bound, whole numbers site by site, one plan; then better ones while time lasts.

    top       prices of the meeting rows, and the bound that they prove: by price coordination where many sites meet, else by
              the whole model's relaxation, whose duals they are
    settle    whole numbers for every site alone, near what the relaxation wants of it; or those of the plan before, where
              they still hold and lose little: only sites that lose too much are settled anew
    join      the whole model with all whole numbers held: its flows are best possible, and it is a plan (`incumbent`)
    improve   where the gap is still too wide, the sites that lose most are looked at again: better whole numbers near those
              at hand, and lower ceilings (`looks`); of small fleets, the whole model goes on from there (`one_model`)

Every step ends by work (gap, nodes, rounds); the clock only stops it early. So the same problem, seed and asked gap give the
same plan, with any number of workers.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from optimizer.beginning import Beginning, worth_keeping
from optimizer.blocks import Blocks
from optimizer.compiled import Floats
from optimizer.coordinate import Bound, Shared, believed, bound_of, coordinate
from optimizer.highs_models import columns_of, highs_of, is_optimal
from optimizer.incumbent import Incumbent
from optimizer.integers import Effort
from optimizer.looks import Better, Look, hands_over, looks_at
from optimizer.strays import Strays
from optimizer.team import Team

MANY_MEET = 30
"""From so many sites that meet on, coordination is quicker than the whole model's relaxation (by the benchmark)."""
TOLERANCE_SHARE, LEAST_TOLERANCE = 0.05, 1e-5
"""Of the asked gap that the prices may leave."""
SITE_SHARE = 0.3
"""Of a site's share of the asked gap that its whole numbers may leave; sites that lose more are looked at again."""
LEAST_SHARE = 2e-4
"""Where less is asked, sites still share out so much: later looks shrink it."""
FIRST, FIRST_SHARE = (10, 1, 0), 1e-3
"""Nodes, width and reach of the first look at every site, and what all may leave then: more saves little, less costs trees."""
MENDS = 2.0
"""A site that is settled anew regains about half of what it loses."""
PARTS = 6
"""In which a fleet is improved before a plan is made of what was found."""
CHUNK = 8
"""Sites that are settled anew at once, at least."""

Say = Callable[..., None]


@dataclass(eq=False)
class Found:
    """What the engine came to: status, columns, objective and bound, prices of the meeting rows, and in words how."""

    status: str
    x: Floats
    objective_usd: float
    bound_usd: float
    prices: Floats
    how: str


def plan_fleet(
    blocks: Blocks, options: dict[str, Any], offset: float, workers: int, say: Say, prepare: Callable[[], None],
    warm: Beginning | None = None, url: str | None = None,
) -> Found | None:  # fmt: skip
    """Plan a fleet; nothing where one model must answer instead.

    Arguments:
        blocks: the model.
        options: of HiGHS; `mip_rel_gap` and `time_limit` are those of the whole plan.
        offset: of the objective. [USD]
        workers: processes that share out the sites.
        say: told `bound`; `objective` and `x` of each better plan; what is `doing`, as `optimizer.doing` names it.
        prepare: called first in every process that is forked.
        warm: what is known from the plan before.
        url: of a cluster whose workers share out the sites instead.
    """
    team = Team(blocks.sites, options, workers, prepare, lambda *doing: say(doing=doing), url)
    found = Engine(blocks, team, options, offset, say, warm).run()
    who = team.disband()
    return found and replace(found, how=found.how + who)


class Engine:
    """One fleet's blocks, who works on them, and what is known so far."""

    def __init__(
        self, blocks: Blocks, team: Team, options: dict[str, Any], offset: float, say: Say, warm: Beginning | None = None
    ) -> None:
        self.blocks, self.team, self.offset, self.say, self.warm = blocks, team, offset, say, warm
        self.asked, self._until_s = float(options["mip_rel_gap"]), time.monotonic() + float(options["time_limit"])
        self.options = {name: value for name, value in options.items() if name not in ("mip_rel_gap", "time_limit")}
        self.best = Incumbent(blocks.whole, self.options, offset, lambda x, usd: say(bound=self.bound.usd, x=x, objective=usd))

    def run(self) -> Found | None:
        """Return the best plan within the asked gap or the time, or nothing where one model must answer instead."""
        is_done = self.warm is not None and self._is_good_already(self.warm)
        if is_done or not self._top():
            return self._found(0) if is_done else None
        self.say(bound=self.bound.usd)
        share = max(self.asked, LEAST_SHARE) * abs(self.bound.usd) / len(self.blocks.sites)
        if not self._begin(self._first_effort()):
            return None
        counts = int(self.blocks.whole.integer.sum())
        for looks, look in enumerate(looks_at(counts)):
            if self._is_good() or not self._has_time():
                return self._found(looks)
            before_usd, short_usd = self.best.objective_usd, self._short_usd()
            self._improve(look, share)
            if hands_over(counts, look, self.best.objective_usd - before_usd, short_usd):
                break
        return self._found(looks + 1)

    def _first_effort(self) -> Effort:
        return Effort(SITE_SHARE * FIRST_SHARE * abs(self.bound.usd) / len(self.blocks.sites), *FIRST)

    def _begin(self, effort: Effort) -> bool:
        """Make a first plan, with counts of the plan before as far as they are good; say whether there is one."""
        if self.warm is not None and self._go_on(self.warm):
            self.team.forget()
            self.how += "; counts of the plan before"
            self._mend(effort, range(len(self.blocks.sites)))
            return True
        resumed = {} if self.warm is None else self._kept(self.warm, effort.within_usd)
        self.team.forget()
        if resumed:
            self._resume(resumed, effort)
        if not self._settle(np.flatnonzero(np.isinf(self.all.worth_usd)).tolist(), effort) or not self._join():
            return False
        self._mend(effort, list(resumed))
        return True

    def _found(self, looks: int) -> Found:
        status, best = "Optimal" if self._is_good() else "WorkLimit" if self._has_time() else "TimeLimit", self.best
        return Found(status, best.x, best.objective_usd, self.bound.usd, self.prices, f"{self.how}; {looks} further looks")

    # --- the bound ----------------------------------------------------------------------------------------------------

    def _top(self) -> bool:
        """Find prices, the bound that they prove, and relaxed columns; say whether that succeeded."""
        meet = sum(block.priced.size > 0 for block in self.blocks.sites)
        return (meet >= MANY_MEET and self._by_coordination(meet)) or self._by_relaxation()

    def _by_coordination(self, meet: int) -> bool:
        tolerance = max(LEAST_TOLERANCE, TOLERANCE_SHARE * self.asked)

        def goes_on(bound_usd: float) -> bool:
            self.say(bound=bound_usd)
            return self._has_time()

        known = None if self.warm is None else self.warm.prices[self.blocks.meeting]
        found = coordinate(self.blocks, self.team, self.options, self.offset, tolerance, prices=known, goes_on=goes_on)
        if found is None or not np.isfinite(found.bound_usd):
            return False
        self.prices, self.all = found.prices, Strays(self.blocks, found.prices, found.x)
        self.bound = Bound(found.bound_usd, found.ceilings_usd, found.rest_usd)
        self.how = f"prices of {self.blocks.meeting.size} rows for {meet} sites in {found.rounds} rounds"
        return True

    def _by_relaxation(self) -> bool:
        highs = highs_of(self.blocks.whole, self.options, offset=self.offset)
        highs.run()
        if not is_optimal(highs):
            return False
        self.prices = self.blocks.bounded(np.array(highs.getSolution().row_dual)[self.blocks.meeting])
        if not (bound := self._bound_at(self.prices)):
            return False
        self.bound, self.how = bound, "relaxation of the whole model"
        self.all = Strays(self.blocks, self.prices, columns_of(highs))
        return True

    def _bound_at(self, prices: Floats) -> Bound | None:
        """Return the bound that prices prove, or nothing where it has no end or HiGHS fails."""
        shared = Shared(self.blocks.shared, self.options)
        bound = bound_of(self.blocks, self.team.price(prices), shared, prices, self.offset)
        return bound if bound is not None and np.isfinite(bound.usd) else None

    # --- whole numbers ------------------------------------------------------------------------------------------------

    def _is_good_already(self, warm: Beginning) -> bool:
        """Say whether counts and prices of the plan before are within the asked gap, if all prices are known."""
        prices = believed(self.blocks, warm.prices[self.blocks.meeting])
        if not warm.is_of_these_steps or not np.isfinite(prices).all() or not (bound := self._bound_at(prices)):
            return False
        self.prices, self.bound, self.how = prices, bound, f"prices of {prices.size} rows and counts of the plan before"
        if not self._holds(warm):
            return False
        self.all = Strays(self.blocks, prices, self.best.x)
        if not self._is_good() and self._go_on(warm):  # once, before new prices are looked for
            self._mend(self._first_effort(), range(len(self.blocks.sites)), rounds=1)
        return self._is_good()

    def _go_on(self, warm: Beginning) -> bool:
        """Begin with the counts of the plan before, if it is of the same steps; say if they hold."""
        if not warm.is_of_these_steps:
            return False
        if not np.isfinite(self.best.objective_usd) and not self._holds(warm):
            return False
        self.all.keep({n: self.best.x[site.columns] for n, site in enumerate(self.blocks.sites)})
        return True

    def _holds(self, warm: Beginning) -> bool:
        """Hold the counts of the plan before at all sites at once; say if they keep every rule."""
        return self.best.hold(warm.counts, self.asked, max(0.1, self._until_s - time.monotonic()))

    def _kept(self, warm: Beginning, spare_usd: float) -> dict[int, Floats]:
        """Return the counts of the plan before at those sites that lose little with them, by what they lose at the prices."""
        counts = {n: warm.counts[site.columns] for n, site in enumerate(self.blocks.sites)}
        counts = {n: known for n, known in counts.items() if np.isfinite(known).any()}
        lost_usd = {n: self.bound.ceilings_usd[n] - value for n, value in self.team.hold(self.prices, counts).items()}
        return {n: counts[n] for n in worth_keeping(lost_usd, self.asked * abs(self.bound.usd), spare_usd)}

    def _resume(self, counts: dict[int, Floats], effort: Effort) -> None:
        """Begin with known counts at some sites."""
        self.all.keep(self.team.resume(self.prices, self.all.wanted(list(counts)), counts, effort), effort.firmness)
        self.how += f"; counts of the plan before at {len(counts)} sites"

    def _settle(self, sites: Sequence[int], effort: Effort) -> bool:
        """Look for whole numbers at some sites and keep what is better for the fleet; say whether every site has some."""
        self.all.keep(self.team.settle(self.prices, self.all.wanted(sites), effort), effort.firmness)
        return bool(np.isfinite(self.all.worth_usd).all())

    def _join(self) -> bool:
        """Make one plan of the whole numbers of all sites, and learn from it what they miss; say if it is one."""
        is_one = self.best.join(self.all.at)
        if is_one:
            self.all.learn(self.best.worth[self.blocks.meeting], self._short_usd())
        return is_one

    def _is_good(self, gain_usd: float = 0.0) -> bool:
        """Whether the gap is as asked, or would be if the plan earned so much more."""
        return self._short_usd() <= gain_usd

    def _short_usd(self) -> float:
        """What the plan earns too little for the asked gap."""
        return self.bound.usd - self.best.objective_usd - self.asked * abs(self.best.objective_usd)

    def _has_time(self) -> bool:
        return time.monotonic() < self._until_s

    # --- better ones --------------------------------------------------------------------------------------------------

    def _mend(self, effort: Effort, sites: Sequence[int], rounds: int = 1_000) -> None:
        """Settle anew those of some sites that lose most with the counts of the plan before, as many at once as should do."""
        losses = self.bound.ceilings_usd - self.all.worth_usd
        worst = sorted(sites, key=lambda n: (-losses[n], n))
        while rounds and worst and not self._is_good() and self._has_time():
            rounds -= 1
            enough = int(np.searchsorted(np.cumsum(losses[worst]), MENDS * self._short_usd())) + 1
            count = max(enough, CHUNK)  # to join them costs as much as a chunk
            self._settle(worst[:count], effort)
            del worst[:count]
            self._join()

    def _improve(self, look: Look, share_usd: float) -> None:
        """Look again at the sites that lose most."""
        losses = self.bound.ceilings_usd - self.all.worth_usd
        worst = [n for n in np.argsort(-losses, kind="stable").tolist() if losses[n] > SITE_SHARE * share_usd]
        effort = replace(look.effort, within_usd=look.leaves * share_usd)
        joined_usd, since = self.all.together_usd(), 0
        for first in range(0, len(worst), look.at_once):
            if self._is_good() or not self._has_time():
                return
            chunk = worst[first : first + look.at_once]
            if look.how == "tighten":
                self._lower(self.team.tighten(self.prices, chunk, effort))
                continue
            self._better(look.how, chunk, effort)
            since += len(chunk)
            gained_usd = self.all.together_usd() - joined_usd
            if self._is_good(gained_usd) or (gained_usd > 0 and since * PARTS > losses.size):
                self._join()
                joined_usd, since = self.all.together_usd(), 0
        if self.all.together_usd() != joined_usd:
            self._join()

    def _better(self, how: Better, sites: Sequence[int], effort: Effort) -> None:
        """Look for better whole numbers from those at hand, and keep what is better for the fleet."""
        at = {n: self.all.at[self.blocks.sites[n].columns] for n in sites}
        self.all.keep(self.team.improve(how, self.prices, self.all.wanted(sites), at, effort), effort.firmness)

    def _lower(self, ceilings_usd: Mapping[int, float]) -> None:
        """Lower the ceilings of some sites, and with them the bound."""
        for site, ceiling_usd in ceilings_usd.items():
            gained = max(0.0, self.bound.ceilings_usd[site] - ceiling_usd)
            self.bound.ceilings_usd[site] -= gained
            self.bound.usd -= gained
        self.say(bound=self.bound.usd)
