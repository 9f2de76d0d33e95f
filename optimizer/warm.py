"""What one plan leaves behind for the next: the plan itself, and the prices of the rows in which its sites meet.

Plans are made again and again: an hour later, with newer prices, after an order. The next problem is then almost the last
one, moved on by a step. `Warm` keeps of a plan what helps the next and nothing else, by name and instant, so that it fits
any problem as far as that has the same names and instants: a step gets the counts and prices of the old step in which it
begins; of a step past the old end nothing is known, and no counts of the last hours before it, which were an end and are none.

Nothing here is believed. Prices are where the search for a bound begins, and any prices prove a bound; counts are tried by
each site, and kept where they hold and lose little. So a wrong, foreign or spoilt `Warm` costs time and never truth.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import product

import numpy as np

from models.base import Record
from models.plan import Plan
from models.time_grid import TimeGrid
from optimizer.beginning import Beginning
from optimizer.compiled import Compiled, Floats, Ints
from optimizer.declare import STEPS

COUNTS = ("in_mode", "nodes_on", "nodes_warm")
OUTSIDE = -1
END_S = 3 * 3600
"""So long before its end a plan did what it would not have done had it gone on: of what its counts lose an hour later, a third
and three quarters (two seeded fleets of 45 sites and 24 hours)."""


class Warm(Record):
    """A plan, and what one unit of each meeting row was worth where it was made.

    prices: by name of the row, without its step: for each step of the plan. [USD per unit of the row and step]
    others: those of rows that belong to no step. [USD per unit of the row]
    """

    plan: Plan
    prices: dict[str, tuple[float, ...]] = {}
    others: dict[str, float] = {}


def left_behind(plan: Plan, compiled: Compiled, prices: Floats | None) -> Warm:
    """Return what a plan leaves behind; prices: by row of the compiled model, NaN where sites do not meet."""
    if prices is None:
        return Warm(plan=plan)
    stepped, others = {}, {}
    meets = frozenset(name for name, rows in compiled.rows.items() if np.isfinite(prices[rows]).any())
    for key, rows, is_stepped in _rows(compiled, meets):
        known = prices[rows]
        if not np.isfinite(known).any():
            continue
        known = np.nan_to_num(known, posinf=0.0, neginf=0.0)
        if is_stepped:
            stepped[key] = tuple(known.tolist())
        else:
            others[key] = float(known[0])
    return Warm(plan=plan, prices=stepped, others=others)


def beginning(warm: Warm, compiled: Compiled, grid: TimeGrid) -> Beginning:
    """Return what a warm record says of a compiled model over `grid`."""
    old = warm.plan.grid
    then = _step_at(old, grid.starts)
    if grid.end > old.end:
        then = np.where(np.array(old.offset_s)[then] >= old.offset_s[-1] - END_S, OUTSIDE, then)
    return Beginning(_counts(warm.plan, compiled, then), _prices(warm, compiled, grid), bool((then != OUTSIDE).all()))


def _counts(plan: Plan, compiled: Compiled, then: Ints) -> Floats:
    counts = np.full(compiled.cost.size, np.nan)
    here = np.flatnonzero(then != OUTSIDE)
    known = {family: _columns(compiled, family) for family in COUNTS}
    for family, label, series in _counted(plan):
        columns = known[family].get(label)
        if columns is not None and len(series) == plan.grid.steps:
            counts[columns[here]] = np.asarray(series, dtype=np.float64)[then[here]]
    return counts


def _counted(plan: Plan) -> Iterator[tuple[str, str, Sequence[int]]]:
    """Yield all counts of a plan by the names that they have in the model."""
    for site, made in plan.sites.items():
        for group, blocks in made.groups.items():
            for mode, series in blocks.mode_blocks.items():
                yield "in_mode", f"{site}/{group} {mode}", series
        for pool, nodes in made.pools.items():
            yield "nodes_on", f"{site}/{pool}", nodes.nodes_on
            if nodes.nodes_warm is not None:
                yield "nodes_warm", f"{site}/{pool}", nodes.nodes_warm


def _columns(compiled: Compiled, family: str) -> dict[str, Ints]:
    return dict(zip(compiled.column_families[family].labels[0], compiled.columns[family], strict=True))


def _prices(warm: Warm, compiled: Compiled, grid: TimeGrid) -> Floats:
    """Return prices by row: those of the old step of the same time, in proportion to the steps' lengths."""
    old = warm.plan.grid
    then = _step_at(old, grid.starts)
    longer = np.where(then == OUTSIDE, np.nan, np.array(grid.step_s) / np.array(old.step_s)[then])
    prices = np.full(compiled.row_lower.size, np.nan)
    named = frozenset(key.partition("[")[0] for key in (*warm.prices, *warm.others))
    for key, rows, is_stepped in _rows(compiled, named):
        if is_stepped and len(known := warm.prices.get(key, ())) == old.steps:
            prices[rows] = np.array(known)[then] * longer
        elif not is_stepped and key in warm.others:
            prices[rows] = warm.others[key]
    return prices


def _rows(compiled: Compiled, named: frozenset[str]) -> Iterator[tuple[str, Ints, bool]]:
    """Yield the rows of some families: their name without the step, their numbers, and whether they have steps."""
    for name, family in compiled.row_families.items():
        if name not in named or not compiled.rows[name].size:
            continue
        is_stepped = family.sets[-1:] == (STEPS,)
        labels = family.labels[:-1] if is_stepped else family.labels
        steps = len(family.labels[-1]) if is_stepped else 1
        for parts, rows in zip(product(*labels), compiled.rows[name].reshape(-1, steps), strict=True):
            yield f"{name}[{','.join(parts)}]", rows, is_stepped


def _step_at(grid: TimeGrid, instants: Sequence[datetime]) -> Ints:
    """Return the step of a grid in which each instant lies, or `OUTSIDE`."""
    offsets_s = [(instant - grid.start).total_seconds() for instant in instants]
    step = np.searchsorted(grid.offset_s, offsets_s, side="right") - 1
    return np.where((step >= 0) & (step < grid.steps), step, OUTSIDE)
