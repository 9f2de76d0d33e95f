r"""Demand charge: money per kW by which the billed peak of a month exceeds what is sunk already.

Variables
    new_peak[s,m]   billed peak of month m beyond its sunk part     0 ..   [kW]

Constraints
    peak_covers     peak_weight[s,m,t] * draw[s,t] - new_peak[s,m] <= sunk_peak_kw[s,m]

Contributes
    demand_charge   -sum over m of new_peak_usd_per_kw[s,m,t] * new_peak[s,m]

Months are those of the site's own calendar that the horizon touches. peak_weight is 1 for steps in the month, and the
ratchet's share for steps of an earlier month of the horizon that the bill of m remembers. The sunk part, highest of the
peak so far and of the ratchet on the peaks of months before, is owed whatever is planned and stays out of the objective.

A month longer than the horizon must not be decided by the part that is seen. Where a look-ahead over the month is there
(`models.outlook`), peaks up to its worthwhile one are decided as if the meter had shown them, and a kW beyond costs the
whole price of the month, spread evenly over its steps in the horizon. Elsewhere each step bears the price of the month by
its share of the time that is left of it, so that a new peak costs price x (horizon left / month left).
"""

import numpy as np

from models.billing import month_span
from models.outlook import Outlook
from optimizer.contribution import Contribution, Earning
from optimizer.data import Data, by_pair, pairs
from optimizer.declare import STEPS, Expr, Model, Reading, Rule
from optimizer.sets import World

W_PER_KW = 1000


def demand_charge(model: Model, draw_kw: Rule) -> Contribution:
    """Charge the billed peaks of the sites that have a demand charge."""
    model.sparse("BILLS", "SITES", "MONTHS")
    model.sparse("COUNTED", "SITES", "MONTHS", STEPS)
    model.sparse("CHARGED", "SITES", STEPS)
    model.ragged("MONTHS_OF", by=["CHARGED"], of=["MONTHS"])
    model.parameter("sunk_peak_kw", "BILLS")
    model.parameter("peak_weight", "COUNTED")
    model.parameter("new_peak_usd_per_kw", "COUNTED")
    model.sources.append(demand_data)
    model.variable("new_peak", "BILLS")

    @model.constraint("COUNTED")
    def peak_covers(m: Reading, s: Expr, month: Expr, t: Expr) -> Expr:
        return m.peak_weight[s, month, t] * draw_kw(m, s, t) - m.new_peak[s, month] <= m.sunk_peak_kw[s, month]

    def charge(m: Reading, s: Expr, t: Expr) -> Expr:
        return -sum(m.new_peak_usd_per_kw[s, month, t] * m.new_peak[s, month] for month in m.MONTHS_OF[s, t])

    return Contribution(money=(Earning("demand_charge", ("CHARGED",), charge),))


def demand_data(world: World) -> Data:
    """Return sets and parameters of the demand charges of a world."""
    bills: dict[tuple[int, int], float] = {}
    counted, in_month = [np.zeros((0, 3), dtype=np.int64)], [np.zeros((0, 3), dtype=np.int64)]
    weight, usd_per_kw = [np.zeros(0)], [np.zeros(0)]
    for n, site in enumerate(world.sites):
        if (contract := site.demand_charge) is None:
            continue
        outlook = world.problem.outlook.get(site.name, Outlook())
        meter = outlook.decided(world.problem.state.sites[site.name].months)
        for k, month in enumerate(world.months):
            seconds = world.month_s[n, k]
            if not seconds.any():
                continue
            start, end = month_span(site.zone, month)
            left_s = (end - max(start, world.problem.grid.start)).total_seconds()
            borne_s = float(seconds.sum()) if month in outlook.peaks_w else left_s
            bills[n, k] = contract.sunk_peak_w(month, meter) / W_PER_KW
            remembered = [world.months.index(m) for m in contract.remembered_months(month) if m in world.months]
            steps = np.flatnonzero((seconds > 0) | world.month_s[n, remembered].any(axis=0))
            counted.append(np.column_stack(np.broadcast_arrays(n, k, steps)))
            weight.append(np.where(seconds[steps] > 0, 1.0, contract.ratchet_share))
            usd_per_kw.append(contract.price_usd_per_kw(month) * seconds[steps] / borne_s)
            in_month.append(np.column_stack(np.broadcast_arrays(n, np.flatnonzero(seconds), k)))
    charged, months_of = by_pair(np.concatenate(in_month))
    return {
        "BILLS": pairs(bills),
        "COUNTED": np.concatenate(counted),
        "CHARGED": charged,
        "MONTHS_OF": months_of,
        "sunk_peak_kw": [bills[key] for key in sorted(bills)],
        "peak_weight": np.concatenate(weight),
        "new_peak_usd_per_kw": np.concatenate(usd_per_kw),
    }
