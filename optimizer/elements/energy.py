r"""Energy price: every metered MWh at the price of its step, by the site's contract.

Contributes
    energy_cost   -energy_usd_per_kw[s,t] * draw[s,t]

energy_usd_per_kw is what one kW through the whole step costs: contract price (adders by time of use in it) x hours / 1000.
"""

import numpy as np

from optimizer.contribution import Contribution, Earning
from optimizer.data import Data
from optimizer.declare import STEPS, Expr, Model, Reading, Rule
from optimizer.sets import World

KW_PER_MW = 1000


def energy_price(model: Model, draw_kw: Rule) -> Contribution:
    """Price the draw of every site."""
    model.parameter("energy_usd_per_kw", "SITES", STEPS)
    model.sources.append(energy_data)

    def energy_cost(m: Reading, s: Expr, t: Expr) -> Expr:
        return -m.energy_usd_per_kw[s, t] * draw_kw(m, s, t)

    return Contribution(money=(Earning("energy_cost", ("SITES", STEPS), energy_cost),))


def energy_data(world: World) -> Data:
    """Return the energy prices of a world."""
    steps = len(world.step_s)
    usd_per_mwh = [world.problem.energy_price_usd_per_mwh(site) for site in world.sites]
    return {"energy_usd_per_kw": np.array(usd_per_mwh).reshape(-1, steps) * world.hours / KW_PER_MW}
