"""A peer for planning: the part of a seeded fleet that PyPSA can say, with committable units, solved by the same HiGHS.

    site        a bus; the grid a generator at the contract's price, up to the limit of each step
    ASIC group  a committable load that earns hashprice: least power that of the lowest mode, start cost, least times on and off
    GPU pool    a committable link from its site to its hub, in nodes of work
    workload    a bus with a load; links from hubs at routing cost; unserved work a generator; batch work a store that may owe

Left out, and so easier than the product's model: modes and what they are worth, sleep power, warm-up, loading, nodes as whole
numbers, what is young, base load, ramps, demand charges, take or pay, deadlines and lateness. `per_block`: a unit for each
block of miners, as the product counts them, in place of one for each group. Needs the extra `peers`.
"""

import logging
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pypsa

from models.asic import AsicGroup
from models.problem import Problem
from models.site import Site
from models.workload import Workload

logging.getLogger("pypsa").setLevel(logging.ERROR)
logging.getLogger("linopy").setLevel(logging.ERROR)
warnings.simplefilter("ignore")
MEGA = 1e6
LEAST_POOL_SHARE = 0.1
"""Of a pool's power, below which it is off: some of its nodes may be off, which PyPSA's status of the pool cannot say."""
HOURS_PER_DAY = 24
LONG = 1_000
"""Steps that no least time exceeds."""


def network(problem: Problem, *, per_block: bool = False) -> Any:
    """Return the network of a seeded fleet with steps of one length."""
    net = pypsa.Network()
    net.set_snapshots(pd.RangeIndex(problem.grid.steps, name="snapshot"))
    net.snapshot_weightings.loc[:, :] = problem.grid.step_s[0] / 3600
    pools = {}
    for site in problem.fleet.sites:
        net.add("Bus", site.name)
        limit_mw = np.array(problem.limit_w.get(site.name, (site.connection_limit_w,) * problem.grid.steps)) / MEGA
        price = (np.array(problem.prices_usd_per_mwh[site.contract.index]) / (1 - site.contract.loss_share)
                 + site.contract.adder_usd_per_mwh)  # fmt: skip
        net.add("Generator", f"{site.name} grid", bus=site.name, p_nom=limit_mw.max(),
                p_max_pu=limit_mw / limit_mw.max(), marginal_cost=price)  # fmt: skip
        _miners(net, problem, site, per_block)
        pools |= {(site.region, pool.gpu_type): pool for pool in site.gpu_pools}
    for region, gpu_type in pools:
        net.add("Bus", f"{region} {gpu_type}")
    for site in problem.fleet.sites:
        _pools(net, site, problem.grid.step_s[0])
    for workload in problem.fleet.workloads:
        _work(net, problem, workload, pools)
    return net


def _miners(net: Any, problem: Problem, site: Site, per_block: bool) -> None:
    for group in site.asic_groups:
        low, normal = group.modes[0], group.modes[1]
        pue, units = group.cooling.base_pue_milli / 1000, group.blocks if per_block else 1
        unit_mw = group.block_power_w(normal) * pue * group.blocks / units / MEGA
        ph_per_mwh = group.miners_per_block * normal.miner_hash_th_per_s / 1000 / (group.block_power_w(normal) * pue / MEGA)
        earns = np.array(problem.hashprice_usd_per_ph_day) / HOURS_PER_DAY * ph_per_mwh * group.uptime * (1 - group.pool_fee)
        hours = problem.grid.step_s[0] / 3600
        names = [f"{site.name} {group.name} {n}" for n in range(units)]
        net.add(
            "Generator", names, bus=site.name, sign=-1.0, p_nom=unit_mw, committable=True,
            p_min_pu=group.block_power_w(low) / group.block_power_w(normal) * (1.0 if per_block else 1 / group.blocks),
            marginal_cost=pd.DataFrame(dict.fromkeys(names, -earns), index=net.snapshots),
            min_up_time=int(group.min_up_s / 3600 / hours), min_down_time=int(group.min_down_s / 3600 / hours),
            start_up_cost=group.start_wear_usd * (1 if per_block else group.blocks), **_before(problem, site, group, units),
        )  # fmt: skip


def _before(problem: Problem, site: Site, group: AsicGroup, units: int) -> dict[str, Any]:
    """Units that ran before have run long enough, and so have those that rested: youth is left out."""
    state = problem.state.sites[site.name].groups[group.name]
    ran = sum(state.mode_blocks.values()) if units > 1 else units
    up = np.arange(units) < ran
    return {"up_time_before": np.where(up, LONG, 0), "down_time_before": np.where(up, 0, LONG)}


def _pools(net: Any, site: Site, step_s: int) -> None:
    for pool in site.gpu_pools:
        full_mw = pool.nodes * (pool.node_fixed_w + pool.node_span_w) * pool.cooling.base_pue_milli / 1000 / MEGA
        net.add(
            "Link", f"{site.name} {pool.name}", bus0=site.name, bus1=f"{site.region} {pool.gpu_type}", p_nom=full_mw,
            efficiency=pool.nodes / full_mw, committable=True, p_min_pu=LEAST_POOL_SHARE,
            min_up_time=max(1, pool.min_up_s // step_s), start_up_cost=pool.start_cost_usd * pool.nodes,
        )  # fmt: skip


def _work(net: Any, problem: Problem, workload: Workload, pools: dict[tuple[str, str], Any]) -> None:
    name, asked = workload.name, np.array(problem.demand_work_per_h[workload.name]) / MEGA
    net.add("Bus", name)
    net.add("Load", name, bus=name, p_set=asked)
    for (region, gpu_type), pool in pools.items():
        if region in workload.routing_usd_per_mwork and (per_node := workload.work_per_node_h(pool)):
            net.add("Link", f"{name} at {region} {gpu_type}", bus0=f"{region} {gpu_type}", bus1=name, p_nom=1e6,
                    efficiency=per_node / MEGA,
                    marginal_cost=workload.routing_usd_per_mwork[region] * per_node / MEGA)  # fmt: skip
    if workload.kind == "batch":
        owed = np.full(asked.size, -1.0)
        owed[-1] = 0.0
        net.add("Store", name, bus=name, e_nom=max(asked.sum(), 1.0), e_min_pu=owed)
    unserved = getattr(workload, "unserved_usd_per_mwork", 0.0)
    net.add("Generator", f"{name} unserved", bus=name, p_nom=max(asked.sum(), 1.0),
            marginal_cost=workload.price_usd_per_mwork + unserved)  # fmt: skip


def solved(net: Any, gap: float, budget_s: float) -> tuple[str, float]:
    """Let PyPSA build its model and HiGHS solve it; return how it ended, and the CPU seconds of building."""
    begun_s = time.process_time()
    net.optimize.create_model()
    built_s = time.process_time() - begun_s
    found = net.optimize.solve_model(
        solver_name="highs", io_api="direct", mip_rel_gap=gap, time_limit=budget_s, threads=1, output_flag=False
    )
    has_plan = bool(np.isfinite(net.model.objective.value or np.inf))
    return found[1] + ("" if has_plan else ", no plan"), built_s
