"""The best plan of a whole fleet so far: counts held in the whole model, and the best of all that follows from them."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from optimizer.blocks import Program
from optimizer.compiled import Floats
from optimizer.highs_models import columns_of, found_plan, highs_of
from optimizer.integers import WHOLE, fixed
from optimizer.rest import Rest

FEW_NODES = 20
"""Of the whole model with known counts, for what follows from them."""


class Incumbent:
    """x, objective_usd: columns of the best plan and what it earns, -inf where there is none yet."""

    def __init__(self, whole: Program, options: Mapping[str, Any], offset: float, tell: Callable[[Floats, float], None]) -> None:
        """`options` are those of HiGHS; `tell` hears of each better plan."""
        self._whole, self._options, self._offset, self._tell = whole, options, offset, tell
        self.x, self.objective_usd = np.zeros(whole.cost.size), -np.inf
        self._rest: Rest | None = None

    def join(self, at: Floats) -> bool:
        """Hold the whole numbers of all sites, work out the rest, and keep the plan if it is best; say if it is one."""
        whole = self._whole
        if self._rest is None:
            self._rest = Rest(whole, np.flatnonzero(whole.integer), self._options)
        counts = self._rest.held
        found = self._rest.solve(np.clip(np.round(at[counts]), whole.col_lower[counts], whole.col_upper[counts]))
        return found is not None and self._take(*found)

    @property
    def worth(self) -> Floats:
        """What a unit more of each row was worth in the plan last joined; NaN where that is not known. [rows, USD]"""
        return np.full(self._whole.row_lower.size, np.nan) if self._rest is None else self._rest.worth

    def hold(self, counts: Floats, gap: float, most_s: float) -> bool:
        """Hold known counts (NaN: not known) at all sites at once; say if they keep every rule; keep the plan if it is best.

        What is not known mostly follows from the rest, whole in the relaxation already; else HiGHS looks for it.
        """
        whole = self._whole
        known = np.flatnonzero(whole.integer & np.isfinite(counts))
        rest = Rest(whole, known, self._options)
        found = rest.solve(np.round(counts[known]))
        if found is None:
            return False
        if known.size == whole.integer.sum():
            self._rest = rest
        if np.abs(found[0] - np.round(found[0]))[whole.integer].max(initial=0.0) <= WHOLE:
            return self._take(*found)
        limits = {"mip_rel_gap": gap, "mip_max_nodes": FEW_NODES, "time_limit": most_s}
        highs = highs_of(fixed(whole, known, counts[known]), {**self._options, **limits}, whole=True)
        highs.run()
        return found_plan(highs) and self._take(columns_of(highs), float(highs.getInfo().objective_function_value))

    def _take(self, x: Floats, value_usd: float) -> bool:
        """Keep columns if they are best. value_usd: what they earn, without what no column changes."""
        if value_usd + self._offset > self.objective_usd:
            self.x, self.objective_usd = x, value_usd + self._offset
            self._tell(self.x, self.objective_usd)
        return True
