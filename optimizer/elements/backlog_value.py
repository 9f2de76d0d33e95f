r"""Backlog value: what batch work that waits and is not late when the horizon ends is worth after it.

Contributes
    backlog_end_value   backlog_end_usd[w,t] * (backlog[w,t] - late[w,t])     t: the last step of the horizon

Work that is left for later is still paid for then. backlog_end_usd[w,t] is the workload's share (`end_value_share`) of what
a million units will earn, as far as the horizon can tell: their price less the cost of serving them at the mean of its steps
(by time), at the pool for which that is least. Serving costs routing, and the power of a full node, cooling included, at the
price of the site's energy contract. It is never below nothing. So at the end of a window power that is dearer than usual does
not serve what could wait, as if the work were lost otherwise, and cheaper power still does. What is late already is worth
nothing more: it is served as soon as that pays.
"""

from models.gpu import GpuPool
from models.site import Site
from models.workload import BatchWorkload
from optimizer.contribution import Contribution, Earning
from optimizer.data import Data, pairs
from optimizer.declare import STEPS, Expr, Model, Reading, Rule
from optimizer.sets import World

MILLIWATT_PER_MW = 1e9
WORK_PER_MWORK = 1e6


def backlog_values(model: Model, backlog: Rule, late: Rule) -> Contribution:
    """Value the batch work that waits at the end; `backlog(m, w, t)` and the late part of it `late(m, w, t)` are in Mwork."""
    model.sparse("BACKLOG_END", "WORKLOADS", STEPS)
    model.parameter("backlog_end_usd", "BACKLOG_END")
    model.sources.append(backlog_value_data)

    def worth(m: Reading, w: Expr, t: Expr) -> Expr:
        return m.backlog_end_usd[w, t] * (backlog(m, w, t) - late(m, w, t))

    return Contribution(money=(Earning("backlog_end_value", ("BACKLOG_END",), worth),))


def backlog_value_data(world: World) -> Data:
    """Return which workloads have an end value, and what a million units of them are worth at the end."""
    last = len(world.step_s) - 1
    valued = [(n, w) for n, w in enumerate(world.workloads) if isinstance(w, BatchWorkload) and w.end_value_share]
    return {"BACKLOG_END": pairs((n, last) for n, _ in valued), "backlog_end_usd": [_worth_usd(world, w) for _, w in valued]}


def _worth_usd(world: World, workload: BatchWorkload) -> float:
    """USD per million units."""
    fleet = world.problem.fleet
    costs = [
        workload.routing_usd_per_mwork[site.region] + _node_usd_per_h(world, site, pool) * WORK_PER_MWORK / rate
        for site in fleet.sites
        if fleet.admits(workload, site)
        for pool in site.gpu_pools
        if (rate := workload.work_per_node_h(pool))
    ]
    later_usd = workload.price_usd_per_mwork - min(costs, default=workload.price_usd_per_mwork)
    return workload.end_value_share * max(0.0, later_usd)


def _node_usd_per_h(world: World, site: Site, pool: GpuPool) -> float:
    """Mean cost of the energy of a full node."""
    problem, node_w = world.problem, pool.node_fixed_w + pool.node_span_w
    prices, ambient = problem.energy_price_usd_per_mwh(site), problem.ambient_c[site.ambient]
    usd_s = sum(p * pool.pue_milli(c) * s for p, c, s in zip(prices, ambient, problem.grid.step_s, strict=True))
    return usd_s * node_w / MILLIWATT_PER_MW / sum(problem.grid.step_s)
