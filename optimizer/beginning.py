"""What a solver child is told to begin with; pure numpy, so that the child starts at once."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from optimizer.compiled import Floats

KEEPS = 0.6
"""Of the asked gap that counts of the plan before may lose at the prices; the rest is for all that follows."""


@dataclass(frozen=True, eq=False)
class Beginning:
    """What is known from the plan before; NaN where nothing is.

    counts: by column of the whole model. prices: by row, of those in which sites meet. [USD per unit of the row]
    is_of_these_steps: whether the plan was of the same time as this one, so that its counts say something of every step.
    """

    counts: Floats
    prices: Floats
    is_of_these_steps: bool

    @property
    def says_nothing(self) -> bool:
        """Whether nothing that it knows is of this model."""
        return not (np.isfinite(self.counts).any() or np.isfinite(self.prices).any())


def worth_keeping(lost_usd: Mapping[int, float], asked_usd: float, spare_usd: float) -> list[int]:
    """Return the sites that keep their counts of the plan before: as many as can, if all others are settled anew.

    Where all together lose more than the asked gap, none does: it would come to settling nearly all of them in the end.

    Arguments:
        lost_usd: what each site loses with them at the prices, which is the least; infinite where they break a rule.
        asked_usd: the asked gap.
        spare_usd: what a site that is settled anew loses about.
    """
    if sum(usd for usd in lost_usd.values() if np.isfinite(usd)) > asked_usd:
        return []
    worst_last = sorted(lost_usd, key=lambda n: (lost_usd[n], n))
    kept_usd = np.cumsum([0.0, *(lost_usd[n] for n in worst_last)])
    anew = kept_usd.size - 1 - np.arange(kept_usd.size)
    most = np.flatnonzero(kept_usd + anew * spare_usd <= KEEPS * asked_usd).max(initial=0)
    return sorted(worst_last[:most])
