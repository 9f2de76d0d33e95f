r"""The site meter: all load behind it, the limit in force, darkness, and how fast the draw may change.

Variables
    draw[s,t]       power drawn from the grid      0 .. effective limit, 0 where dark   [kW]

Constraints
    draw_balance    draw[s,t] == base_kw[s] * energised[s,t] + every element's power_kw at s in t
    ramp            -ramp_kw[s,t] <= draw[s,t] - draw[s,t-1] <= ramp_kw[s,t]

A site is dark in a step whose effective limit (lowest of connection, limit series and orders) lies below its floor, the
draw of base load and sleeping blocks: nothing draws there, not even these. A ramp lasts as long as the shorter of the two
steps (the first step has the measured draw before it); it does not hold under an order or right after one, in the dark or
right after it, nor where a recovery released it. Where the fleet has a step guard, a site's share of it is a ramp too.
"""

from collections.abc import Sequence

import numpy as np

from optimizer.contribution import Contribution, power_at
from optimizer.data import Data
from optimizer.declare import STEPS, Expr, Model, Reading, Rule
from optimizer.sets import World

W_PER_KW = 1000
S_PER_MIN = 60


def site_meter(model: Model, machines: Sequence[Contribution]) -> Rule:
    """Add the meter of every site over the given machines; return the draw as rule(m, s, t). [kW]."""
    model.sparse("RAMPED", "SITES", STEPS)
    model.parameter("base_kw", "SITES")
    model.parameter("draw_before_kw", "SITES")
    model.parameter("draw_limit_kw", "SITES", STEPS)
    model.parameter("ramp_kw", "RAMPED")
    model.sources.append(meter_data)
    model.variable("draw", "SITES", STEPS, bounds=_limit)

    @model.constraint("SITES", STEPS)
    def draw_balance(m: Reading, s: Expr, t: Expr) -> Expr:
        return m.draw[s, t] == m.base_kw[s] * m.energised[s, t] + power_at(machines, m, s, t)

    @model.constraint("RAMPED")
    def ramp(m: Reading, s: Expr, t: Expr) -> Expr:
        change = m.draw[s, t] - m.previous(m.draw, m.draw_before_kw, s, t)
        return -m.ramp_kw[s, t], change, m.ramp_kw[s, t]

    return _draw


def _limit(m: Reading, s: Expr, t: Expr) -> tuple[Expr, Expr]:
    return 0, m.draw_limit_kw[s, t]


def _draw(m: Reading, s: Expr, t: Expr) -> Expr:
    return m.draw[s, t]


def meter_data(world: World) -> Data:
    """Return sets and parameters of the meters of a world."""
    states = world.problem.state.sites
    ramp_w_per_min = np.array([world.problem.fleet.ramp_w_per_min(site) or 0 for site in world.sites], dtype=np.float64)
    shorter_s = np.minimum(world.step_s, np.concatenate((world.step_s[:1], world.step_s[:-1])))
    ramped = np.argwhere(world.ramp_binds)
    return {
        "RAMPED": ramped,
        "base_kw": [site.base_load_w / W_PER_KW for site in world.sites],
        "draw_before_kw": [states[site.name].draw_w / W_PER_KW for site in world.sites],
        "draw_limit_kw": np.where(world.energised, world.effective_limit_w, 0) / W_PER_KW,
        "ramp_kw": ramp_w_per_min[ramped[:, 0]] * shorter_s[ramped[:, 1]] / (S_PER_MIN * W_PER_KW),
    }
