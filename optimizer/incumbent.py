"""The best plan of a whole fleet so far: counts held in the whole model, and the best of all that follows from them."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from optimizer.blocks import Program
from optimizer.compiled import Floats
from optimizer.highs_models import columns_of, found_plan, highs_of, solved
from optimizer.integers import WHOLE, fixed

FEW_NODES = 20
"""Of the whole model with known counts, for what follows from them."""


class Incumbent:
    """x, objective_usd: columns of the best plan and what it earns, -inf where there is none yet."""

    def __init__(self, whole: Program, options: Mapping[str, Any], offset: float, tell: Callable[[Floats, float], None]) -> None:
        """`options` are those of HiGHS; `tell` hears of each better plan."""
        self._whole, self._options, self._offset, self._tell = whole, options, offset, tell
        self.x, self.objective_usd = np.zeros(whole.cost.size), -np.inf
        self._counts = np.flatnonzero(whole.integer).astype(np.int32)
        self._lp: Any = None

    def join(self, at: Floats) -> bool:
        """Hold the whole numbers of all sites, work out the rest, and keep the plan if it is best; say if it is one."""
        whole, counts = self._whole, self._counts
        y = np.clip(np.round(at[counts]), whole.col_lower[counts], whole.col_upper[counts])
        return self._holds(y, y) and self._take(self._lp)

    def hold(self, counts: Floats, gap: float, most_s: float) -> bool:
        """Hold known counts (NaN: not known) at all sites at once; say if they keep every rule; keep the plan if it is best.

        What is not known mostly follows from the rest, whole in the relaxation already; else HiGHS looks for it.
        """
        at, whole = counts[self._counts], self._whole
        low, high, is_known = whole.col_lower[self._counts], whole.col_upper[self._counts], np.isfinite(at)
        y = np.round(at)
        if ((y < low) | (y > high)).any() or not self._holds(np.where(is_known, y, low), np.where(is_known, y, high)):
            return False
        found = columns_of(self._lp)[self._counts]
        if np.abs(found - np.round(found)).max(initial=0.0) <= WHOLE:
            return self._take(self._lp)
        limits = {"mip_rel_gap": gap, "mip_max_nodes": FEW_NODES, "time_limit": most_s}
        known = self._counts[is_known]
        highs = highs_of(fixed(whole, known, counts[known]), {**self._options, **limits}, whole=True, offset=self._offset)
        highs.run()
        return found_plan(highs) and self._take(highs)

    def _holds(self, low: Floats, high: Floats) -> bool:
        """Solve the relaxation with the counts in other bounds; say whether it has a solution.

        The first time takes presolve; later, when few counts have changed, the last basis is near.
        """
        if self._lp is None:
            self._lp = highs_of(self._whole, self._options, offset=self._offset)
        self._lp.changeColsBounds(self._counts.size, self._counts, low, high)
        return solved(self._lp)

    def _take(self, highs: Any) -> bool:
        objective = float(highs.getInfo().objective_function_value)
        if objective > self.objective_usd:
            self.x, self.objective_usd = columns_of(highs), objective
            self._tell(self.x, objective)
        return True
