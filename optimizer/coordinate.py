r"""Price coordination: the relaxation of a fleet, site by site (Dantzig and Wolfe, 1960), with a bound at every round.

Each round asks every site what it would do at prices of the meeting rows. A small programme, the master, mixes the answers
so far as the meeting rows allow, and its duals are the next prices:

    maximise   shared cost @ r + sum over answers a of worth[a] * share[a]
               - (reach - centre) @ above - (reach + centre) @ below
    subject to shared rows of r
               low <= shared meets @ r + sum over a of brings[a] * share[a] + above - below <= high         (prices)
               sum over the answers of one site of share == 1

For *any* prices, sum over sites of (best value at the prices) + best value of the shared block + prices @ right-hand sides
is a bound on the whole fleet. Prices are smoothed towards those of the best bound (Wentges, 1997), without which they
swing. What a row misses, `above` or `below`, keeps the master feasible, and its cost keeps the duals within `reach` of
`centre`: of nothing, and as far as no price should ever be; or, where prices are known from a plan before, in a narrow box
around them (du Merle and others, 1999). Where the mix still leans on that at the end, the reach grows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from optimizer.blocks import Block, Blocks, Program, Sparse
from optimizer.compiled import Floats
from optimizer.highs_models import SITE_LP, columns_of, highs_of, solved
from optimizer.integers import Answer
from optimizer.team import Team

SMOOTHING = 0.3
"""Of the next prices that those of the best bound are; the rest are the master's duals."""
FIRST_GUESS = 0.5
"""Of the price at which the shared block breaks even."""
REACH = 4.0
"""Of the highest such price of a row: as far as its price should ever be from nothing."""
BOX = 0.02
"""Of that reach: how far prices may at first be from known ones."""
WIDER = 10.0
"""By how much the reach of a row grows on which the mix still leans."""
MOST_ROUNDS = 80
"""A guard: 7 to 10 are usual, and the best bound so far is one however many there were."""
PRIMAL_SIMPLEX = 4
"""HiGHS' number of it: new answers are new columns, with which the last basis stays feasible."""
NOTHING = 1e-12
"""Smaller shares and amounts are rounding."""


@dataclass(eq=False)
class Coordinated:
    """Prices of the meeting rows, the bound that they prove, the mixed columns, and how it came about.

    ceilings_usd: for each site the most that it can earn at the prices. rest_usd: the rest of the bound.
    """

    prices: Floats
    bound_usd: float
    ceilings_usd: Floats
    rest_usd: float
    x: Floats
    rounds: int
    gap: float


def coordinate(
    blocks: Blocks, team: Team, options: dict[str, Any], offset: float, tolerance: float,
    *, prices: Floats | None = None, goes_on: Callable[[float], bool] = lambda _: True,
) -> Coordinated | None:  # fmt: skip
    """Return prices within `tolerance` of the best; where HiGHS fails, the best so far, or nothing if there is none.

    prices: to begin with, such as those of the plan before; NaN where none is known. goes_on: told each bound; says
    whether there is still time.
    """
    master, shared = _Master(blocks, options, prices), Shared(blocks.shared, options)
    prices = master.first_prices
    best, best_prices, gap, rounds, duals = Bound(np.inf, np.zeros(0), np.inf), prices, np.inf, 0, None
    while rounds < MOST_ROUNDS:
        rounds += 1
        prices = blocks.bounded(prices)
        answers = team.price(prices)
        bound = bound_of(blocks, answers, shared, prices, offset)
        if bound is None:
            break
        if bound.usd < best.usd:
            best, best_prices = bound, prices
        news = master.take(answers, duals)
        if not master.solve():
            break
        gap = (best.usd - master.objective_usd - offset) / max(1.0, abs(best.usd))
        if not goes_on(best.usd) or (gap <= tolerance and not master.reach_farther()):
            break
        if not news and duals is not None and prices is duals:
            break
        duals = master.prices
        prices = SMOOTHING * best_prices + (1 - SMOOTHING) * duals if news else duals
    if not np.isfinite(best.usd) or not master.has_mix:
        return None
    return Coordinated(best_prices, best.usd, best.ceilings_usd, best.rest_usd, master.mixed(), rounds, gap)


@dataclass(eq=False)
class Bound:
    """What a fleet can earn at most: `usd` is the sum of the sites' ceilings and of the rest."""

    usd: float
    ceilings_usd: Floats
    rest_usd: float


def bound_of(blocks: Blocks, answers: list[Answer | None], shared: "Shared", prices: Floats, offset: float) -> Bound | None:
    """Return the bound that prices prove, or nothing where HiGHS failed at a site."""
    values = [answer.value_usd for answer in answers if answer is not None]
    if len(values) < len(answers):
        return None
    rest = shared.best_usd(prices) + blocks.sides_usd(prices) + offset
    return Bound(sum(values) + rest, np.array(values), rest)


class Shared:
    """What the block that nobody owns can earn at prices."""

    def __init__(self, block: Block, options: dict[str, Any]) -> None:
        self._block = block
        self._lp = highs_of(block.program, options | SITE_LP)
        self._all = np.arange(block.columns.size, dtype=np.int32)

    def best_usd(self, prices: Floats) -> float:
        """Return it, or infinity where it has no end."""
        if not self._all.size:
            return 0.0
        self._lp.changeColsCost(self._all.size, self._all, self._block.cost_at(prices))
        return float(self._lp.getInfo().objective_function_value) if solved(self._lp) else np.inf


def scales(blocks: Blocks) -> tuple[Floats, Floats]:
    """Return for each meeting row the mean price at which its shared columns break even, and how far its price may reach."""
    meets, rows = blocks.shared.meets, blocks.meeting.size
    even = blocks.shared.program.cost[meets.index] / meets.value
    highest = np.zeros(rows)
    np.maximum.at(highest, meets.row, np.abs(even))
    for block in blocks.sites:  # rows in which sites alone meet
        np.maximum.at(highest, block.meets.row, np.abs(block.program.cost[block.meets.index] / block.meets.value))
    mean = np.bincount(meets.row, even, rows) / np.maximum(1, np.bincount(meets.row, even != 0, rows))
    return mean, REACH * np.maximum(highest, max(1.0, 0.01 * highest.max(initial=0.0)))


def believed(blocks: Blocks, prices: Floats) -> Floats:
    """Return known prices as far as they can be right: NaN where they are beyond all that a row can be worth."""
    bounded = blocks.bounded(prices)
    return np.where(np.abs(bounded) <= scales(blocks)[1], bounded, np.nan)


class _Master:
    """The programme that mixes what the sites have answered so far."""

    def __init__(self, blocks: Blocks, options: dict[str, Any], known: Floats | None) -> None:
        self._blocks = blocks
        shared, meets, sites = blocks.shared.program, blocks.shared.meets, len(blocks.sites)
        self._first_row, self._rows = shared.row_lower.size, blocks.meeting.size
        entries = shared.matrix.start[-1]
        start = np.concatenate([shared.matrix.start, entries + meets.start[1:], np.full(sites, entries + meets.start[-1])])
        index = np.concatenate([shared.matrix.index, meets.index])
        joined = Sparse(start, index, np.concatenate([shared.matrix.value, meets.value]), shared.cost.size)
        low, high = (np.concatenate([own, side, np.ones(sites)]) for own, side in
                     ((shared.row_lower, blocks.low), (shared.row_upper, blocks.high)))  # fmt: skip
        program = Program(joined, shared.cost, shared.col_lower, shared.col_upper, low, high, shared.integer)
        self._lp = highs_of(program, options | SITE_LP | {"simplex_strategy": PRIMAL_SIMPLEX})
        break_even, reach = scales(blocks)
        known = np.full(self._rows, np.nan) if known is None else believed(blocks, known)
        is_known = np.isfinite(known)
        self.first_prices = np.where(is_known, known, FIRST_GUESS * break_even)
        self._centre, self._reach = np.where(is_known, known, 0.0), np.where(is_known, BOX * reach, reach)
        self._slacks = shared.cost.size + np.arange(2 * self._rows, dtype=np.int32)
        self._add_slacks()
        self._answers: list[tuple[int, Answer]] = []
        self._mix = np.zeros(0)

    def _add_slacks(self) -> None:
        """Columns that miss a row, above or below, at such a price that its dual stays within reach of the centre."""
        rows = self._rows
        start, index = np.arange(rows + 1, dtype=np.int32), (self._first_row + np.arange(rows)).astype(np.int32)
        for sign in (1.0, -1.0):
            costs = sign * self._centre - self._reach
            self._lp.addCols(rows, costs, np.zeros(rows), np.full(rows, np.inf), rows, start, index, np.full(rows, sign))

    def take(self, answers: list[Answer | None], duals: Floats | None) -> int:
        """Add the answers that can still improve the mix, and return how many they are."""
        worths, entries, values, starts = [], [], [], [0]
        for n, answer in enumerate(answers):
            if answer is None or (duals is not None and not self._improves(n, answer, duals)):
                continue
            used = np.flatnonzero(np.abs(answer.brings) > NOTHING)
            worths.append(answer.worth_usd)
            entries.append(np.append(self._first_row + used, self._first_row + self._rows + n))
            values.append(np.append(answer.brings[used], 1.0))
            starts.append(starts[-1] + used.size + 1)
            self._answers.append((n, answer))
        if (count := len(worths)) == 0:
            return 0
        self._lp.addCols(
            count, np.array(worths), np.zeros(count), np.full(count, np.inf), starts[-1],
            np.array(starts[:-1], dtype=np.int32), np.concatenate(entries).astype(np.int32), np.concatenate(values),
        )  # fmt: skip
        return count

    def _improves(self, site: int, answer: Answer, duals: Floats) -> bool:
        """Whether an answer is worth more at the master's own prices than the mix that the site has."""
        gain = answer.worth_usd - duals @ answer.brings - self._shares[site]
        return bool(gain > 1e-7 * max(1.0, abs(answer.worth_usd)))

    def solve(self) -> bool:
        """Mix again; say whether that succeeded."""
        if not solved(self._lp):
            return False
        self._mix, self.objective_usd = columns_of(self._lp), float(self._lp.getInfo().objective_function_value)
        duals = np.array(self._lp.getSolution().row_dual)
        self.prices = duals[self._first_row : self._first_row + self._rows]
        self._shares = duals[self._first_row + self._rows :]
        return True

    def reach_farther(self) -> bool:
        """Where the mix still misses rows, let their prices reach farther and mix again; say whether that succeeded."""
        leans = self._mix[self._slacks].reshape(2, -1).sum(axis=0) > 1e-6
        if not leans.any() or self._reach.max() > 1e9:
            return False
        self._reach = np.where(leans, WIDER * self._reach, self._reach)
        costs = np.concatenate([self._centre - self._reach, -self._centre - self._reach])
        self._lp.changeColsCost(self._slacks.size, self._slacks, costs)
        return self.solve()

    @property
    def has_mix(self) -> bool:
        """Whether it was ever solved."""
        return bool(self._mix.size)

    def mixed(self) -> Floats:
        """Return the columns of the whole model in the last mix that was solved; answers that came later have no share in it."""
        values, blocks = self._mix, self._blocks
        x = np.zeros(blocks.whole.cost.size)
        x[blocks.shared.columns] = values[: blocks.shared.columns.size]
        shares = values[blocks.shared.columns.size + self._slacks.size :]
        for share, (n, answer) in zip(shares, self._answers, strict=False):
            if share > NOTHING:
                x[blocks.sites[n].columns] += share * answer.x
        return x
