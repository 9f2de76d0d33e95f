r"""Forced stops: what blocks that must stop within their minimum run wear by it.

Contributes
    forced_stop_wear   -missed_usd[s,t]

missed_usd[s,t] adds up, over the groups of s, forced_stop_usd_per_block_h of the group x the blocks that the recovery let
go while their minimum run was not over yet x the hours of t. The rule of the minimum run is soft in this one case, and
this is its price: a fact of the state at the start, which no decision changes, and part of what an order costs.
"""

import numpy as np

from optimizer.contribution import Contribution, Earning
from optimizer.data import Data
from optimizer.declare import STEPS, Expr, Model, Reading
from optimizer.sets import World
from optimizer.windows import cohort_arrays, still_held


def forced_stops(model: Model) -> Contribution:
    """Price what a recovery lets go before its minimum run is over."""
    model.sparse("FORCED_STOPS", "SITES", STEPS)
    model.parameter("missed_usd", "FORCED_STOPS")
    model.sources.append(forced_stop_data)
    return Contribution(money=(Earning("forced_stop_wear", ("FORCED_STOPS",), _wear),))


def _wear(m: Reading, s: Expr, t: Expr) -> Expr:
    return -m.missed_usd[s, t]


def forced_stop_data(world: World) -> Data:
    """Return the sites and steps in which blocks miss a part of their minimum run, and what that costs."""
    usd = np.zeros((len(world.sites), len(world.step_s)))
    for g in world.groups:
        most = world.release.blocks.get((world.sites[g.site].name, g.group.name))
        if most is not None and g.group.forced_stop_usd_per_block_h:
            young = still_held(world.start_s, g.group.min_up_s, *cohort_arrays(world.problem.grid, g.state.started))
            missed = np.maximum(young - np.asarray(most, dtype=np.int64), 0)
            usd[g.site] += g.group.forced_stop_usd_per_block_h * missed * world.hours
    found = np.argwhere(usd > 0)
    return {"FORCED_STOPS": found, "missed_usd": usd[found[:, 0], found[:, 1]]}
