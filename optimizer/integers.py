"""One site of a fleet: what it does at given prices, and whole numbers for it near what the fleet wants of it.

At prices of the meeting rows a site is alone. Its relaxation is solved again and again while the prices settle, from the
basis of the last time. Its whole numbers come afterwards, out of a small programme of the site alone:

    maximise   cost at the prices @ x  -  above @ (what it brings to the meeting rows beyond what is wanted of it)
                                       -  below @ (what it brings less than that)

with each count held within `width` of its relaxed value where that is fractional, and within `reach` of it where it is whole.
What the site brings may so deviate where a whole block needs it, at firmness * |price|, which the rest of the fleet hardly ever
asks; or at what that is known to cost.
A site of very many counts is settled step by step instead, by `optimizer.dive`, each time it is asked in another way.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from optimizer.blocks import Block, Program, Sparse
from optimizer.compiled import Floats, Ints
from optimizer.dive import dived
from optimizer.exchange import improved, stepwise
from optimizer.highs_models import SITE_LP, begin_with, columns_of, found_plan, highs_of, is_optimal, solved
from optimizer.refit import refitted

LEAST_STIFFNESS = 0.02
"""Of the mean price, where a row's own price is nothing."""
WHOLE = 1e-6
WIDER, ANYWHERE = 3, 1 << 20
"""Where no whole numbers are found as near as that, farther ones are looked for."""
SITE_MIP: dict[str, Any] = {
    "mip_heuristic_run_rins": False,
    "mip_heuristic_run_root_reduced_cost": False,
    "mip_detect_symmetry": False,
    "mip_allow_restart": False,
}
"""What of HiGHS finds next to nothing in a site's tree and takes a quarter to two thirds of its time."""
AROUND: dict[str, Any] = {"mip_heuristic_run_rins": True, "mip_heuristic_run_rens": False}
"""Of a look around known counts: they are what RINS needs, and RENS does without."""
BOUND_ONLY: dict[str, Any] = {"mip_heuristic_run_rens": False, "mip_heuristic_effort": 0.0}
"""Nobody asks for whole numbers there, and to look for them takes nine tenths of the time of a root."""
MANY_COUNTS = 2_500
"""From so many on, a site is settled step by step: 288 steps of nine counts, but not 168 of fourteen."""
NARROWER = (1.0, 0.0)
"""How narrow the ramps of later steps are then, the first time and when the site is looked at again."""
LONG_FIRMNESS = 4.0
"""Of such sites: their ramps make all of them miss the same work at the same time, and nobody can make up for that."""
STEP_SHARE = 0.3
"""Of what a site may leave, which one step may lose before its other roundings are tried."""


@dataclass(frozen=True)
class Effort:
    """How hard a site's whole numbers are looked for: stop within so many USD of the best, or after so many nodes.

    width, reach: how far a count may be from its relaxed value where that is fractional, and where it is whole.
    moves: instead of all that, so many moves from the counts at hand are tried.
    window: or so many neighbouring steps are looked at together, where that could win `within_usd`.
    firmness: of what is wanted of the site, as a share of the price of missing it.
    """

    within_usd: float
    nodes: int
    width: int = 1
    reach: int = 0
    moves: int = 0
    window: int = 1
    firmness: float = 1.0


class Aim(NamedTuple):
    """What is wanted of a site, by meeting row: what it shall bring, and what a unit more or less is known to cost. [USD]"""

    brings: Floats
    above: Floats
    below: Floats

    @classmethod
    def at(cls, brings: Floats) -> "Aim":
        """Return an aim of which nothing is known but what it is."""
        return cls(brings, np.zeros(brings.size), np.zeros(brings.size))


@dataclass(eq=False)
class Answer:
    """What a site does at prices: columns, what they are worth without and with the prices, what it brings to the rows."""

    x: Floats
    worth_usd: float
    value_usd: float
    brings: Floats


class Site:
    """One block of a fleet, with the HiGHS object that it keeps."""

    def __init__(self, block: Block, options: dict[str, Any]) -> None:
        self.block, self.options = block, options
        self._lp: Any = None
        self._answer: Answer | None = None
        self._is_long = block.counts.size > MANY_COUNTS and stepwise(block.program).size > 0
        self._narrower, self._within_usd = list(NARROWER), np.inf

    def price(self, prices: Floats) -> Answer | None:
        """Return the best that the site's relaxation can do at prices, or nothing where HiGHS fails."""
        block = self.block
        if self._answer is not None and not block.priced.size:
            return self._answer
        if not solved(self._at(prices)):
            return None
        x = columns_of(self._lp)
        value = float(self._lp.getInfo().objective_function_value)
        self._answer = Answer(x, float(block.program.cost @ x), value, block.meets.times(x))
        return self._answer

    def hold(self, prices: Floats, counts: Floats) -> float:
        """Return what the relaxation earns at prices with known counts (NaN: not known); -inf where they break a rule. [USD]"""
        program, lp = self.block.program, self._at(prices)
        known = np.flatnonzero(program.integer & np.isfinite(counts)).astype(np.int32)
        at, low, high = np.round(counts[known]), program.col_lower[known], program.col_upper[known]
        if ((at < low) | (at > high)).any():
            return -np.inf
        lp.changeColsBounds(known.size, known, at, at)
        lp.run()
        value = float(lp.getInfo().objective_function_value) if is_optimal(lp) else -np.inf
        lp.changeColsBounds(known.size, known, low, high)
        return value

    def _at(self, prices: Floats) -> Any:
        """Return the relaxation with the costs that prices leave."""
        block = self.block
        if self._lp is None:
            self._lp = highs_of(block.program, self.options | SITE_LP)
        if block.priced.size:
            self._lp.changeColsCost(block.priced.size, block.priced, block.cost_at(prices)[block.priced])
        return self._lp

    def forget(self) -> None:
        """Free the relaxation: a thousand of them weigh a GiB, and whole numbers do without."""
        self._lp = self._answer = None

    def settle(self, prices: Floats, aim: Aim, effort: Effort) -> Floats | None:
        """Return columns with whole numbers near the relaxed ones; nothing if there are none."""
        elastic = self._elastic(prices, aim, effort)
        if self._is_long:
            if not self._narrower:
                return None
            self._within_usd = min(self._within_usd, effort.within_usd)
            spare_usd, narrow = STEP_SHARE * self._within_usd, self._narrower.pop(0)
            if (found := dived(elastic, self.options, spare_usd, effort.nodes, narrow)) is not None:
                return found[0][: self.block.columns.size]
        return self._near_relaxed(elastic, effort)

    def resume(self, prices: Floats, aim: Aim, counts: Floats, effort: Effort) -> Floats | None:
        """Return columns with known counts; NaN where none is known: those are looked for.

        Nothing where the counts break a rule of the site.
        """
        program = self._elastic(prices, aim, effort)
        known = np.flatnonzero(self.block.program.integer & np.isfinite(counts))
        return self._near_relaxed(fixed(program, known, counts[known]), effort)

    def polish(self, prices: Floats, aim: Aim, counts: Floats, effort: Effort) -> Floats | None:
        """Return columns with the best counts found within `reach` of known ones."""
        if self._is_long:
            return self.settle(prices, aim, effort)
        program, start = self._elastic(prices, aim, effort), self._with_missed(aim, counts)
        whole = highs_of(held(program, start, 0, effort.reach), self._mip(effort) | AROUND, whole=True)
        begin_with(whole, start)
        whole.run()
        return columns_of(whole)[: self.block.columns.size] if found_plan(whole) else None

    def exchange(self, prices: Floats, aim: Aim, counts: Floats, effort: Effort) -> Floats | None:
        """Return columns with the best counts to which moves from known ones lead.

        Nothing where moves hardly ever help: of a site of very many counts.
        """
        if self._is_long:
            return None
        found = improved(self._elastic(prices, aim, effort), counts, self.options, effort.moves)
        return None if found is None else found[0][: self.block.columns.size]

    def refit(self, prices: Floats, aim: Aim, counts: Floats, effort: Effort) -> Floats | None:
        """Return columns with the best counts found a few steps at a time, the others as known.

        Nothing where that is worth no tree, and of a site of very many counts.
        """
        if self._is_long:
            return None
        program, start = self._elastic(prices, aim, effort), self._with_missed(aim, counts)
        found = refitted(program, start, self.options | SITE_MIP, effort.window, effort.within_usd, effort.nodes)
        return None if found is None else found[: self.block.columns.size]

    def tighten(self, prices: Floats, effort: Effort) -> float:
        """Return a bound on what the site's whole numbers can earn at prices; none, of a site of very many counts. [USD]."""
        if self._is_long:
            return np.inf
        program = self.block.program
        priced = Program(**{**vars(program), "cost": self.block.cost_at(prices)})
        whole = highs_of(priced, self._mip(effort) | BOUND_ONLY, whole=True)
        whole.run()
        bound = float(whole.getInfo().mip_dual_bound)
        return bound if np.isfinite(bound) else np.inf

    def _near_relaxed(self, program: Program, effort: Effort) -> Floats | None:
        """Return columns with whole numbers next to the relaxed ones, if need be farther from them; nothing without any."""
        lp = highs_of(program, self.options | SITE_LP)
        lp.run()
        if not is_optimal(lp):
            return None
        near = columns_of(lp)
        near_by = ((effort.width, effort.reach), (effort.width, effort.reach + 1))
        for width, reach in (*near_by, (WIDER, WIDER), (ANYWHERE, ANYWHERE)):
            whole = highs_of(held(program, near, width, reach), self._mip(effort), whole=True)
            whole.run()
            if found_plan(whole):
                return columns_of(whole)[: self.block.columns.size]
        return None

    def _mip(self, effort: Effort) -> dict[str, Any]:
        limits = {"mip_rel_gap": 0.0, "mip_abs_gap": effort.within_usd, "mip_max_nodes": effort.nodes}
        return self.options | SITE_MIP | limits

    def _with_missed(self, aim: Aim, counts: Floats) -> Floats:
        """Return columns of the site with those of `_elastic` that say by how much they miss what is wanted."""
        meets = self.block.meets
        missed = (meets.times(counts) - aim.brings)[np.unique(meets.row)]
        return np.concatenate([counts, np.maximum(0.0, missed), np.maximum(0.0, -missed)])

    def _elastic(self, prices: Floats, aim: Aim, effort: Effort) -> Program:
        """The site with rows that say by how much it misses what is wanted of it, above or below."""
        program, meets = self.block.program, self.block.meets
        rows = np.unique(meets.row)
        firmness = LONG_FIRMNESS if self._is_long else effort.firmness
        wanted, stiff = aim.brings[rows], firmness * stiffness(prices)
        above, below = np.maximum(stiff, aim.above)[rows], np.maximum(stiff, aim.below)[rows]
        width, more = program.cost.size, rows.size
        place = np.searchsorted(rows, meets.row)
        order, at = np.arange(more), np.full(2 * more, np.inf)
        row = np.concatenate([place, order, order])
        column = np.concatenate([meets.index, width + order, width + more + order])
        value = np.concatenate([meets.value, -np.ones(more), np.ones(more)])
        sort = np.lexsort((column, row))
        joined = Sparse(
            np.concatenate([program.matrix.start, program.matrix.start[-1] + np.cumsum(np.bincount(row, minlength=more))]),
            np.concatenate([program.matrix.index, column[sort]]), np.concatenate([program.matrix.value, value[sort]]),
            width + 2 * more,
        )  # fmt: skip
        return Program(
            joined, np.concatenate([self.block.cost_at(prices), -above, -below]),
            np.concatenate([program.col_lower, np.zeros(2 * more)]), np.concatenate([program.col_upper, at]),
            np.concatenate([program.row_lower, wanted]), np.concatenate([program.row_upper, wanted]),
            np.concatenate([program.integer, np.zeros(2 * more, dtype=np.bool_)]),
        )  # fmt: skip


def stiffness(prices: Floats) -> Floats:
    """Return for each meeting row what it costs a site to miss what is wanted of it. [USD per unit of the row]"""
    return np.asarray(np.abs(prices) + LEAST_STIFFNESS * np.abs(prices).sum() / max(1, prices.size))


def fixed(program: Program, columns: Ints, at: Floats) -> Program:
    """Return a programme with some columns fixed; it has no solution where that is outside their bounds."""
    low, high = program.col_lower.copy(), program.col_upper.copy()
    low[columns] = np.maximum(low[columns], np.round(at))
    high[columns] = np.minimum(high[columns], np.round(at))
    return Program(**{**vars(program), "col_lower": low, "col_upper": high})


def held(program: Program, near: Floats, width: int, reach: int) -> Program:
    """Return a programme whose counts stay next to columns: within `reach` of whole ones, within `width` of the others."""
    low, high = program.col_lower.copy(), program.col_upper.copy()
    counts = np.flatnonzero(program.integer)
    relaxed = near[counts]
    broken = np.abs(relaxed - np.round(relaxed)) > WHOLE
    low[counts] = np.maximum(low[counts], np.where(broken, np.floor(relaxed) - width, np.round(relaxed) - reach))
    high[counts] = np.minimum(high[counts], np.where(broken, np.ceil(relaxed) + width, np.round(relaxed) + reach))
    return Program(**{**vars(program), "col_lower": low, "col_upper": high})
