"""What a solver child is told to begin with; pure numpy, so that the child starts at once."""

from dataclasses import dataclass

import numpy as np

from optimizer.compiled import Floats


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
