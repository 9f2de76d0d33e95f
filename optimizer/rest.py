"""What is left of a programme when some of its columns are held: they only move the sides of its rows.

    maximise cost @ x with x[held] = y      is      cost[held] @ y  +  maximise cost[rest] @ r
    low <= matrix @ x <= high                       low - matrix[held] @ y <= matrix[rest] @ r <= high - matrix[held] @ y

A fleet with its counts held has half of the columns and most rows have little left in them. HiGHS' presolve would find that
out as well, in three times the time of all that follows.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from optimizer.blocks import Program, Sparse
from optimizer.compiled import Floats, Ints
from optimizer.highs_models import columns_of, highs_of, solved

TOLERANCE = 1e-6
"""By which held columns may miss a row that has nothing else in it."""


class Rest:
    """The relaxation of a programme with some columns held, solved again and again with others of their values.

    worth: of a unit more of each row in the last solution, by its duals; NaN for rows in which all columns are held.
    """

    def __init__(self, whole: Program, held: Ints, options: Mapping[str, Any]) -> None:
        """held: numbers of the columns. `options` are those of HiGHS."""
        self.whole, self.held = whole, held
        is_free = np.ones(whole.cost.size, dtype=np.bool_)
        is_free[held] = False
        matrix, self._free = whole.matrix, np.flatnonzero(is_free)
        stays = is_free[matrix.index]
        entries = np.bincount(matrix.row, stays, whole.row_lower.size).astype(np.int64)
        self._rows, self._full = np.flatnonzero(entries), np.flatnonzero(entries == 0)
        place = np.cumsum(is_free) - 1
        start = np.concatenate([[0], np.cumsum(entries[self._rows])])
        rest = Sparse(start, place[matrix.index[stays]], matrix.value[stays], self._free.size)
        free = (whole.cost[is_free], whole.col_lower[is_free], whole.col_upper[is_free])
        sides = (whole.row_lower[self._rows], whole.row_upper[self._rows])
        self._program, self._options = Program(rest, *free, *sides, whole.integer[is_free]), options
        self._lp: Any = None
        self.worth = np.full(whole.row_lower.size, np.nan)

    def solve(self, y: Floats) -> tuple[Floats, float] | None:
        """Return all columns with the held ones at y, and their objective; nothing where that breaks a rule.

        The first time takes presolve; later, when few of them have changed, the last basis is near.
        """
        whole, x = self.whole, np.zeros(self.whole.cost.size)
        if ((y < whole.col_lower[self.held]) | (y > whole.col_upper[self.held])).any():
            return None
        x[self.held] = y
        brings = whole.matrix.times(x)
        low, high = whole.row_lower - brings, whole.row_upper - brings
        if (low[self._full] > TOLERANCE).any() or (high[self._full] < -TOLERANCE).any():
            return None
        sides = low[self._rows], high[self._rows]
        if self._lp is None:
            self._lp = highs_of(replace(self._program, row_lower=sides[0], row_upper=sides[1]), self._options)
        else:
            order = np.arange(self._rows.size, dtype=np.int32)
            self._lp.changeRowsBounds(order.size, order, *sides)
        if not solved(self._lp):
            return None
        held_usd = float(whole.cost @ x)
        self.worth[self._rows] = np.array(self._lp.getSolution().row_dual)
        x[self._free] = columns_of(self._lp)
        return x, held_usd + float(self._lp.getInfo().objective_function_value)
