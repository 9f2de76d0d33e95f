r"""Whole numbers for one site of many steps: step by step, each rounded as the relaxation of all later steps likes it best.

A day of five-minute steps has thousands of counts at a site, runs of dozens of steps, and ramps that let a block or two
change in one. A programme with all of them whole takes minutes; its relaxation from the last basis takes milliseconds. So
the steps are held one after the other. Some roundings of a step's counts are tried in turn, and the first is kept that
loses next to nothing of

    v(held so far, this step so)  =  the most that the relaxation of all that is not held yet can earn

else the best of them: the relaxation sees what a block more or less means for runs, ramps and peaks that follow. Where no
rounding of a step keeps the rules, the counts of some steps before it are looked for again as whole numbers together.

What the relaxation does not see is that whole blocks ramp more slowly: where a step allows 2.7 of them, two change. So the
ramps of steps that are not held yet may be narrowed to whole blocks, and long ramps begin in time:

    narrower ramp  =  ramp * floor(ramp / block) / (ramp / block),  block: what one count adds to the draw         [kW]

A ramp is a row with two sides over two amounts that a row each makes of counts; nothing else here knows what rows mean.

Fixing along time with the rest relaxed: "relax and fix", Pochet and Wolsey (2006), Production Planning by Mixed Integer
Programming, chapter 3; here without a tree.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from optimizer.blocks import Program
from optimizer.compiled import Floats, Ints
from optimizer.exchange import following, stepwise
from optimizer.highs_models import SITE_LP, columns_of, found_plan, highs_of, is_optimal

NEXT_TO_NOTHING = 1e-7
HALF = 0.5 - 1e-9
LEAST_BLOCK = 0.2
"""Of the largest: counts of less, such as nodes of GPUs, fit into what blocks leave of a ramp."""
LEAST_RAMP = 0.3
"""Of a ramp is left where not even a block fits: its change is then shared with what is smaller."""
AGAIN = 12
"""Steps that are looked at again together where the next one has no rounding; then twice as many, and so on."""

Held = tuple[Floats, Floats, float]
"""The counts of a step, all columns, and what they are worth. [USD]"""


def dived(
    program: Program, options: dict[str, Any], spare_usd: float, nodes: int, narrow: float = 1.0
) -> tuple[Floats, float] | None:
    """Return columns with whole numbers and what they are worth; nothing if no such are found.

    Arguments:
        program: the site with all that its counts are worth.
        options: of HiGHS.
        spare_usd: what a step may lose before its other roundings are tried.
        nodes: of a tree, where steps are looked at again together.
        narrow: by how much of what whole blocks cannot use ramps are narrower, 0 to 1.
    """
    dive = _Dive(program, options, spare_usd, narrow)
    if not dive.begin():
        return None
    step, reach = 0, AGAIN
    while step < dive.steps:
        if dive.hold(step):
            step += 1
        elif dive.widen(range(dive.steps)):
            continue
        elif not dive.again(max(0, step - reach), step + 1, nodes):
            if reach > step:
                return None
            reach *= 2
        else:
            step, reach = step + 1, AGAIN
    return dive.rest(nodes)


class _Dive:
    """The relaxation of a site, and how far its counts are held."""

    def __init__(self, program: Program, options: dict[str, Any], spare_usd: float, narrow: float) -> None:
        self._program, self._options, self._spare_usd = program, options, spare_usd
        self._table = stepwise(program)
        self.steps = self._table.shape[1]
        self._sums = _sums(program, self._table)
        self._lp = highs_of(program, options | SITE_LP)
        self.x, self.worth_usd = np.zeros(0), -np.inf
        self._narrowed: dict[int, list[int]] = {}
        for row, step, share in _ramps(program, self._table):
            self._narrowed.setdefault(step, []).append(row)
            by = 1 - narrow * (1 - share)
            self._lp.changeRowBounds(row, by * program.row_lower[row], by * program.row_upper[row])

    def begin(self) -> bool:
        """Solve the relaxation; say whether there is one, and steps."""
        return self.steps > 0 and (self._solve() or (self.widen(range(self.steps)) and self._solve()))

    def widen(self, steps: Iterable[int]) -> bool:
        """Give ramps into some steps their own width again; say whether any was narrower."""
        rows = [row for step in steps for row in self._narrowed.pop(step, ())]
        for row in rows:
            self._lp.changeRowBounds(row, self._program.row_lower[row], self._program.row_upper[row])
        return bool(rows)

    def hold(self, step: int) -> bool:
        """Hold the counts of a step at their best rounding; say whether one keeps the rules."""
        self.widen((step,))
        columns, before = self._table[:, step], (self.x, self.worth_usd)
        best = self._best(step, before[1], None)
        if best is None or before[1] - best[2] > self._spare_usd:
            for thing, count in self._sides(before[0][columns]):
                self._bound(columns, None)
                self._bound(columns[[thing]], count)
                if self._solve() and (best is None or self.worth_usd > best[2] + self._spare_usd):
                    best = self._best(step, before[1], best)
        if best is None:
            self._bound(columns, None)
            self.x, self.worth_usd = before
            return False
        self._bound(columns, best[0])
        _, self.x, self.worth_usd = best
        return True

    def _best(self, step: int, before_usd: float, best: Held | None) -> Held | None:
        """Return the best of the roundings of a step's counts as they are now relaxed, and of what was found before."""
        columns, relaxed = self._table[:, step], (self.x, self.worth_usd)
        for counts in self._roundings(step, relaxed[0]):
            if np.abs(relaxed[0][columns] - counts).max() < NEXT_TO_NOTHING:
                return counts, *relaxed
            self._bound(columns, counts)
            if self._solve() and (best is None or self.worth_usd > best[2]):
                best = counts, self.x, self.worth_usd
                if before_usd - self.worth_usd <= self._spare_usd:
                    break
        return best

    def _sides(self, relaxed: Floats) -> Iterator[tuple[int, Floats]]:
        """Both whole numbers next to each count that is none."""
        for thing in np.flatnonzero(np.abs(relaxed - np.round(relaxed)) > NEXT_TO_NOTHING).tolist():
            yield thing, np.ceil(relaxed[[thing]])
            yield thing, np.floor(relaxed[[thing]])

    def again(self, first: int, end: int, nodes: int) -> bool:
        """Look for the counts of some steps again, together, with those before held and those after relaxed."""
        columns = self._table[:, first:end].ravel()
        self._bound(columns, None)
        found = self._found(np.isin(np.arange(self.x.size), columns), self._table[:, :first].ravel(), nodes)
        if found is None:
            return False
        self._bound(columns, np.round(found[columns]))
        return self._solve()

    def rest(self, nodes: int) -> tuple[Floats, float] | None:
        """Return all columns, with whole numbers also where none of the steps has them."""
        whole = self._program.integer
        if np.abs(self.x - np.round(self.x))[whole].max() > NEXT_TO_NOTHING:
            found = self._found(whole, self._table.ravel(), nodes)
            return None if found is None else (found, float(self._program.cost @ found))
        return self.x, self.worth_usd

    def _found(self, whole: Any, held: Ints, nodes: int) -> Floats | None:
        """Return columns of which some are whole and some are held where they are."""
        low, high = self._program.col_lower.copy(), self._program.col_upper.copy()
        low[held] = high[held] = np.round(self.x[held])
        program = Program(**{**vars(self._program), "col_lower": low, "col_upper": high, "integer": whole})
        limits = {"mip_rel_gap": 0.0, "mip_abs_gap": self._spare_usd, "mip_max_nodes": nodes}
        highs = highs_of(program, self._options | limits, whole=True)
        highs.run()
        return columns_of(highs) if found_plan(highs) else None

    def _roundings(self, step: int, x: Floats) -> Iterator[Floats]:
        """Roundings of a step's counts, each once: the nearest with sums kept, those towards and of the step before, down, up."""
        columns = self._table[:, step]
        low, high = self._program.col_lower[columns], self._program.col_upper[columns]
        relaxed = x[columns]
        down, up = np.floor(relaxed + NEXT_TO_NOTHING), np.ceil(relaxed - NEXT_TO_NOTHING)
        seen = set()
        before = np.round(x[self._table[:, step - 1]]) if step else down
        towards = np.where(before > relaxed, up, down)
        for counts in (self._nearest(relaxed), towards, before, down, up):
            within = np.clip(counts, low, high)
            if within.tobytes() not in seen:
                seen.add(within.tobytes())
                yield within

    def _nearest(self, relaxed: Floats) -> Floats:
        """Round so that sums which other counts follow are rounded, too: what one of them loses the next one gets."""
        counts = np.floor(relaxed + HALF)
        for things in self._sums:
            counts[things] = np.diff(np.floor(np.cumsum(relaxed[things]) + HALF), prepend=0.0)
        return counts

    def _bound(self, columns: Ints, counts: Floats | None) -> None:
        low, high = (self._program.col_lower[columns], self._program.col_upper[columns]) if counts is None else (counts, counts)
        self._lp.changeColsBounds(columns.size, np.ascontiguousarray(columns, dtype=np.int32), low, high)

    def _solve(self) -> bool:
        self._lp.run()
        if not is_optimal(self._lp):
            return False
        self.x, self.worth_usd = columns_of(self._lp), float(self._lp.getInfo().objective_function_value)
        return True


def _sums(program: Program, table: Ints) -> list[Ints]:
    """Return which things of a table add up to a count that follows from them."""
    matrix, thing = program.matrix, np.full(program.cost.size, -1)
    thing[table] = np.arange(table.shape[0])[:, None]
    follows = following(program, table)
    is_count = np.bincount(matrix.row, ~program.integer[matrix.index], program.row_lower.size) == 0
    rows = np.unique(matrix.row[follows[matrix.index] & is_count[matrix.row]])
    found = {tuple(np.sort(thing[matrix.index[matrix.start[r] : matrix.start[r + 1]]])) for r in rows}
    return [np.array([n for n in things if n >= 0]) for things in sorted(found)]


def _ramps(program: Program, table: Ints) -> Iterator[tuple[int, int, float]]:
    """Yield rows that hold two amounts next to each other, the later step of the two, and the share that whole blocks can use."""
    matrix, rows = program.matrix, program.row_lower.size
    step = np.full(program.cost.size, -1)
    step[table] = np.arange(table.shape[1])
    of_table = step[matrix.index] >= 0
    full = np.bincount(matrix.row, of_table, rows) == table.shape[0]
    step_of_row = np.full(rows, -1)
    step_of_row[matrix.row[of_table]] = step[matrix.index[of_table]]
    made = ~program.integer[matrix.index] & full[matrix.row]
    step[matrix.index[made]] = step_of_row[matrix.row[made]]
    size = np.abs(matrix.value[full[matrix.row] & of_table])
    block = size[size > LEAST_BLOCK * size.max(initial=0.0)].min(initial=np.inf)
    is_ramp = (program.row_lower == -program.row_upper) & np.isfinite(program.row_upper) & (program.row_upper > 0)
    for row in np.flatnonzero(is_ramp & (np.diff(matrix.start) == 2)).tolist():
        here = slice(matrix.start[row], matrix.start[row + 1])
        pair, steps = matrix.index[here], step[matrix.index[here]]
        if matrix.value[here].sum() == 0 and steps.min() >= 0 and not program.integer[pair].any():
            blocks = program.row_upper[row] / block
            yield row, int(steps.max()), max(LEAST_RAMP, np.floor(blocks) / blocks)
