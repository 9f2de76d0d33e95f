r"""Feeders: limits between the meter and the machines; what keeps them all keeps the limit of every path.

Constraints
    feeder_limit    every element's power_kw_under at f in t <= feeder_limit_kw[f,t]

A feeder f carries all machines below it, at any depth, cooling included. Where one is dead (its limit lies below what its
sleeping members draw), nothing below it runs or sleeps.
"""

from collections.abc import Sequence

import numpy as np

from optimizer.contribution import Contribution, power_under
from optimizer.data import Data
from optimizer.declare import STEPS, Expr, Model, Reading
from optimizer.sets import World

MILLIWATT_PER_KW = 1e6


def feeder_limits(model: Model, machines: Sequence[Contribution]) -> None:
    """Add the limit of every feeder over the given machines."""
    model.parameter("feeder_limit_kw", "FEEDERS", STEPS)
    model.sources.append(feeder_data)

    @model.constraint("FEEDERS", STEPS)
    def feeder_limit(m: Reading, f: Expr, t: Expr) -> Expr:
        return power_under(machines, m, f, t) <= m.feeder_limit_kw[f, t]


def feeder_data(world: World) -> Data:
    """Return the limits of the feeders of a world."""
    limits = [branch.limit_mw / MILLIWATT_PER_KW for branch in world.branches]
    return {"feeder_limit_kw": np.reshape(limits, (len(limits), len(world.step_s)))}
