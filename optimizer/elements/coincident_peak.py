r"""Coincident peak: what a grid's billed peaks are expected to cost, by the probability that a step holds one.

Contributes
    coincident_peak   -peak_usd_per_kw[s,t] * draw[s,t]

peak_usd_per_kw is the price of a billed peak times the peaks expected in the step.
"""

import numpy as np

from optimizer.contribution import Contribution, Earning
from optimizer.data import Data
from optimizer.declare import STEPS, Expr, Model, Reading, Rule
from optimizer.sets import World


def coincident_peak(model: Model, draw_kw: Rule) -> Contribution:
    """Charge the draw of the sites that pay for system peaks."""
    model.sparse("PEAK_STEPS", "SITES", STEPS)
    model.parameter("peak_usd_per_kw", "PEAK_STEPS")
    model.sources.append(peak_data)

    def charge(m: Reading, s: Expr, t: Expr) -> Expr:
        return -m.peak_usd_per_kw[s, t] * draw_kw(m, s, t)

    return Contribution(money=(Earning("coincident_peak", ("PEAK_STEPS",), charge),))


def peak_data(world: World) -> Data:
    """Return what system peaks are expected to cost in a world."""
    usd = {
        (n, t): each
        for n, site in enumerate(world.sites)
        if site.coincident_peak
        for t, each in enumerate(site.coincident_peak.expected_usd_per_kw(site.zone, world.problem.grid))
    }
    return {"PEAK_STEPS": np.array(list(usd), dtype=np.int64).reshape(-1, 2), "peak_usd_per_kw": list(usd.values())}
