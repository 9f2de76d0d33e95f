"""Better whole numbers for one site by moves from those at hand, each tried by a linear programme from the last basis.

A move changes one count by a unit, or exchanges a unit of one for a unit of another, in one step or in all steps of a run
in which the relaxation stands still: a block more that does not fit under a limit may do so in a lower mode. Counts are of
one step where they meet in one row of the site; its fullest rows (the balance of its draw) say which do.

With counts y held, the rest is a linear programme whose optimum v(y) is concave. So each one that was solved says of *all*
moves what they can bring at most, and each one that has no solution, which others have none either (Benders, 1962):

    v(y) <= v(x) + reduced_cost(x) @ (y - x)
    least of ray @ rows  <=  (ray @ matrix) @ y + most of (ray @ matrix) @ the other columns

Always the move is tried that may still bring most, until none brings anything or so many were tried.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from optimizer.blocks import Program
from optimizer.compiled import Flags, Floats, Ints
from optimizer.highs_models import SITE_LP, columns_of, highs_of, is_optimal

ALIKE = 0.1
"""Counts of two steps that differ by less in the relaxation are of one run."""
LEAST_GAIN_USD = 0.5
SLACK, NOTHING = 1e-6, 1e-9


def improved(program: Program, counts: Floats, options: dict[str, Any], tries: int) -> tuple[Floats, float] | None:
    """Return columns with better counts if moves find any, and what they are worth; nothing where the counts break a rule.

    Arguments:
        program: the site with all that its counts are worth.
        counts: of its columns; only whole numbers are looked at.
        options: of HiGHS.
        tries: linear programmes that may be solved.
    """
    lp, table = highs_of(program, options | SITE_LP), stepwise(program)
    lp.run()
    if not is_optimal(lp):
        return None
    relaxed, above = columns_of(lp), ceiling(lp, table)
    held = np.flatnonzero(program.integer & ~following(program, table)).astype(np.int32)
    at = np.round(counts[held])
    lp.changeColsBounds(held.size, held, at, at)
    lp.run()
    if not is_optimal(lp):
        return None
    best, best_usd = columns_of(lp), _objective(lp)
    if not table.size:
        return best, best_usd
    moves = Moves(table, relaxed, program)
    moves.begin(np.round(best), best_usd)
    moves.learn(above)
    moves.learn(ceiling(lp, table))
    for _ in range(tries):
        move = moves.most()
        if move is None:
            break
        columns, tried = move
        lp.changeColsBounds(columns.size, columns, tried[columns], tried[columns])
        lp.run()
        if not is_optimal(lp):
            moves.bar(refusal(program, lp, table, tried))
        else:
            moves.learn(ceiling(lp, table))
            if _objective(lp) > best_usd + LEAST_GAIN_USD:
                best, best_usd = columns_of(lp), _objective(lp)
                moves.begin(np.round(best), best_usd)
                continue
        lp.changeColsBounds(columns.size, columns, moves.x[columns], moves.x[columns])
    return best, best_usd


def _objective(lp: Any) -> float:
    return float(lp.getInfo().objective_function_value)


@dataclass(eq=False)
class Limit:
    """What a programme says of all counts: they are worth at most, or slopes @ counts must at least be, so much."""

    value: float
    slopes: Floats


def ceiling(lp: Any, counts: Ints) -> Limit:
    """Return what an optimum says that counts are worth at most: value + slopes @ counts. [USD]"""
    slopes = np.array(lp.getSolution().col_dual)
    return Limit(_objective(lp) - float((slopes * columns_of(lp))[counts].sum()), slopes)


def refusal(program: Program, lp: Any, table: Ints, x: Floats) -> Limit | None:
    """Return why counts x have no solution: slopes @ counts must at least be value; nothing where HiGHS' ray does not say."""
    _, is_known, ray = lp.getDualRay()
    if not is_known:
        return None
    others = np.ones(program.cost.size, dtype=np.bool_)
    others[table] = False
    for y in (np.array(ray), -np.array(ray)):
        y[np.abs(y) < NOTHING] = 0.0
        slopes = program.matrix.transposed_times(y)
        slopes[np.abs(slopes) < NOTHING] = 0.0
        used, moving = y != 0, others & (slopes != 0)
        ends = np.where(y > 0, program.row_lower, program.row_upper)
        most = np.where(slopes > 0, program.col_upper, program.col_lower)
        least = float(ends[used] @ y[used] - most[moving] @ slopes[moving])
        if np.isfinite(least) and (slopes * x)[table].sum() < least - SLACK:
            return Limit(least, slopes)
    return None


def stepwise(program: Program) -> Ints:
    """Return the counts that meet in the fullest rows, [things, steps]; nothing where such rows share some."""
    matrix = program.matrix
    is_count = program.integer[matrix.index]
    full = np.bincount(matrix.row, is_count, program.row_lower.size).astype(np.int64)
    width = int(full.max(initial=0))
    if width == 0:
        return np.zeros((0, 0), dtype=np.int32)
    entries = is_count & (full[matrix.row] == width)
    rows = np.unique(np.sort(matrix.index[entries].reshape(-1, width), axis=1), axis=0)
    return rows.T.astype(np.int32) if np.unique(rows).size == rows.size else np.zeros((0, 0), dtype=np.int32)


def following(program: Program, table: Ints) -> Flags:
    """Return which whole numbers follow from those of a table, as the only others in an equation of units."""
    matrix, follows = program.matrix, np.zeros(program.cost.size, dtype=np.bool_)
    free = program.integer.copy()
    free[table] = False
    rows = program.row_lower.size
    is_unit = program.integer[matrix.index] & (np.abs(np.abs(matrix.value) - 1) < NOTHING)
    all_units = np.bincount(matrix.row, ~is_unit, rows) == 0
    one_free = np.bincount(matrix.row, free[matrix.index], rows) == 1
    whole = (program.row_lower == program.row_upper) & (program.row_lower == np.round(program.row_lower))
    says = (all_units & one_free & whole)[matrix.row] & free[matrix.index]
    follows[matrix.index[says]] = True
    return follows


class Moves:
    """All moves from the counts at hand, and what each can bring at most."""

    def __init__(self, table: Ints, relaxed: Floats, program: Program) -> None:
        self.table, self.flat, self._program = table, table.ravel(), program
        things, steps = table.shape
        still = np.abs(np.diff(relaxed[table], axis=1)).max(axis=0, initial=0.0) < ALIKE
        first = np.flatnonzero(np.concatenate([[True], ~still]))
        runs = set(zip(first.tolist(), [*first[1:].tolist(), steps], strict=True)) | {(t, t + 1) for t in range(steps)}
        self._spans = np.array([[a <= t < b for t in range(steps)] for a, b in sorted(runs)], dtype=np.float64)
        ones = np.eye(things)
        pairs = [ones[i] - ones[j] for i in range(things) for j in range(things) if i != j]
        self._changes = np.array([*ones, *-ones, *pairs])
        self._ceilings: list[Limit] = []
        self._refusals: list[Limit] = []
        self.x = relaxed

    def learn(self, above: Limit) -> None:
        """Lower what moves can bring by what a solved programme says."""
        self._ceilings.append(above)
        self._apply(above)

    def bar(self, refused: Limit | None) -> None:
        """Bar the move last tried, and all others that are refused for the same reason."""
        self._most[self._last] = -np.inf
        if refused is not None:
            self._refusals.append(refused)
            self._refuse(refused)

    def begin(self, x: Floats, worth_usd: float) -> None:
        """Start from other counts."""
        self.x, self._worth_usd = x, worth_usd
        here, spans = x[self.table], self._spans > 0
        up, down = self._program.col_upper[self.table] - here, here - self._program.col_lower[self.table]
        room_up = np.array([up[:, span].min(axis=1) for span in spans])
        room_down = np.array([down[:, span].min(axis=1) for span in spans])
        fits = [((room_up >= change) & (room_down >= -change)).all(axis=1) for change in self._changes]
        self._most = np.where(np.array(fits), np.inf, -np.inf)
        for above in self._ceilings:
            self._apply(above)
        for refused in self._refusals:
            self._refuse(refused)

    def most(self) -> tuple[Ints, Floats] | None:
        """Return the columns of the move that may bring most, and the counts after it; nothing where none brings anything."""
        self._last = np.unravel_index(int(np.argmax(self._most)), self._most.shape)
        if not self._most[self._last] > LEAST_GAIN_USD:
            return None
        by = np.outer(self._changes[self._last[0]], self._spans[self._last[1]]).ravel()
        tried = self.x.copy()
        tried[self.flat] += by
        return self.flat[by != 0], tried

    def _apply(self, above: Limit) -> None:
        here_usd = above.value + above.slopes[self.flat] @ self.x[self.flat] - self._worth_usd
        np.minimum(self._most, here_usd + self._by(above.slopes), out=self._most)

    def _refuse(self, refused: Limit) -> None:
        here = refused.slopes[self.flat] @ self.x[self.flat]
        self._most[here + self._by(refused.slopes) < refused.value - SLACK] = -np.inf

    def _by(self, slopes: Floats) -> Floats:
        """Return slopes @ change for every move, [changes, spans]."""
        return np.asarray(self._changes @ slopes[self.table] @ self._spans.T)
