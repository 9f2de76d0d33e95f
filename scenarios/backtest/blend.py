"""Prices said by several, weighed by how far each was off in the last day, hour by hour ahead.

A model that learned calm months is slow to believe a storm, and the last price knows nothing of the evening. With e the mean
error of one who said prices, over the windows of the last day and as far ahead, each counts by 1 / (e⁴ + 1): whoever was clearly
better counts nearly alone, and equals share. Only prices that were known when the window begins are compared.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from scenarios.backtest.history import History
from scenarios.timed import Floats

LEADS = ((0, 1), (1, 3), (3, 6), (6, None))
"""Steps ahead that are weighed together: first and past the last."""
LOOK_BACK, LEAST_PAIRS = 24, 6
"""Windows of the last day; with fewer pairs of said and come than this, the first who says counts alone."""
TRUST = 0.6
"""The first who says, a trained model, counts as if its errors were so much of what they were: a day is a short proof."""

Say = Callable[[int, int], Floats]
"""What all say of a window, from which step on and how many: who x steps."""


@dataclass
class Blend:
    """Weighs what is said of prices; what was said of earlier windows is kept."""

    _said: dict[tuple[str, int], Floats] = field(default_factory=dict)

    def price(self, history: History, name: str, first: int, steps: int, say: Say) -> Floats:
        """Return the weighed price of an index by step of a window."""
        now = self._of(name, first, steps, say)
        origins = range(max(0, first - LOOK_BACK), first)
        before = [self._of(name, origin, steps, say) for origin in origins]
        came = np.array(history.problem.prices_usd_per_mwh[name][:first])
        found = now[0].copy()
        for begin, end in LEADS:
            errors = [
                np.abs(
                    said[:, begin : min(first - origin, end or steps)]
                    - came[origin + begin : min(first, origin + (end or steps))]
                )
                for origin, said in zip(origins, before, strict=True)
                if origin + begin < first
            ]
            pairs = np.concatenate(errors, axis=1) if errors else np.zeros((len(now), 0))
            if pairs.shape[1] >= LEAST_PAIRS:
                errors_usd = pairs.mean(axis=1)
                errors_usd[0] *= TRUST
                weights = 1 / (errors_usd**4 + 1)
                found[begin:end] = weights @ now[:, begin:end] / weights.sum()
        self._said = {key: said for key, said in self._said.items() if key[1] > first - LOOK_BACK or key[0] != name}
        return np.asarray(found)

    def _of(self, name: str, first: int, steps: int, say: Say) -> Floats:
        key = name, first
        if key not in self._said or self._said[key].shape[1] < steps:
            self._said[key] = say(first, steps)
        return self._said[key][:, :steps]
