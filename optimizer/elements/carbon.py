r"""Carbon: price of emissions x intensity of the grid x energy.

Contributes
    carbon_cost   -carbon_usd_per_kw[s,t] * draw[s,t]

carbon_usd_per_kw is what the emissions of one kW through the whole step cost.
"""

import numpy as np

from optimizer.contribution import Contribution, Earning
from optimizer.data import Data
from optimizer.declare import STEPS, Expr, Model, Reading, Rule
from optimizer.sets import World

KW_PER_MW = 1000
KG_PER_T = 1000


def carbon(model: Model, draw_kw: Rule) -> Contribution:
    """Charge the emissions of the sites that pay for them."""
    model.sparse("CARBON_STEPS", "SITES", STEPS)
    model.parameter("carbon_usd_per_kw", "CARBON_STEPS")
    model.sources.append(carbon_data)

    def carbon_cost(m: Reading, s: Expr, t: Expr) -> Expr:
        return -m.carbon_usd_per_kw[s, t] * draw_kw(m, s, t)

    return Contribution(money=(Earning("carbon_cost", ("CARBON_STEPS",), carbon_cost),))


def carbon_data(world: World) -> Data:
    """Return what emissions cost in a world."""
    usd = np.zeros((len(world.sites), len(world.step_s)))
    has = np.zeros(usd.shape, dtype=np.bool_)
    for n, site in enumerate(world.sites):
        if (priced := site.carbon) is None:
            continue
        series = priced.intensity and world.problem.carbon_kg_per_mwh[priced.intensity]
        has[n], usd[n] = True, np.array(series or priced.intensity_kg_per_mwh) * priced.usd_per_t / KG_PER_T
    return {"CARBON_STEPS": np.argwhere(has), "carbon_usd_per_kw": (usd * world.hours / KW_PER_MW)[has]}
