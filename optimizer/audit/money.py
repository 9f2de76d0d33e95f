"""Every money term of every owner and step, from raw inputs and machines alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import mul

from models.plan import MoneyLine, Plan, SitePlan
from models.problem import Problem
from models.workload import Workload
from optimizer.audit.contracts import bought, contract_money
from optimizer.audit.ground import Findings, SiteFacts
from optimizer.audit.machines import Life, warm_nodes
from optimizer.audit.meter import Draws
from optimizer.audit.reserves import reserve_money
from optimizer.audit.service import shortfall_usd
from optimizer.audit.work import S_PER_H, Stock, later_usd_per_mwork

CENT = 0.01
RELATIVE = 1e-6
S_PER_DAY = 86_400
MILLIWATT_PER_MW = 1e9
WORK_PER_MWORK = 1e6

Cells = dict[tuple[str, str], list[float]]
"""USD by step, by (term, owner)."""


@dataclass(frozen=True)
class SiteReading:
    """A site as the audit has read it; missed: machines that a recovery stopped within their minimum run, by step."""

    facts: SiteFacts
    made: SitePlan
    lives: Mapping[str, Life]
    draws: Draws
    missed: Mapping[str, Sequence[int]]


def site_money(problem: Problem, reading: SiteReading, hashprice: Sequence[float]) -> Cells:
    """Return the terms that a site owns: hashing revenue, wear, GPU starts, energy, and its other contracts.

    hashprice: what a PH/s and day is paid, by step. [USD]
    """
    facts, site = reading.facts, reading.facts.site
    step_s, steps = problem.grid.step_s, range(problem.grid.steps)
    hashing, wear, stopped, starts = ([0.0 for _ in steps] for _ in range(4))
    for group in site.asic_groups:
        life, missed = reading.lives[group.name], reading.missed[group.name]
        blocks = (reading.made.groups[group.name].mode_blocks[mode.name] for mode in group.modes)
        paid = (1 - group.pool_fee) * (1 - group.firmware_fee) * (1 - group.stale_share) * group.uptime
        block_ph = [group.miners_per_block * mode.miner_hash_th_per_s / 1e3 for mode in group.modes]
        for t, (milli, *running) in enumerate(zip(facts.hash_milli[group.name], *blocks, strict=True)):
            ph_s = sum(map(mul, block_ph, running)) * step_s[t]
            ph_s -= block_ph[0] * life.lost_s[t]
            ph_s *= milli / 1000
            hashing[t] += hashprice[t] * paid * ph_s / S_PER_DAY
            wear[t] -= group.start_wear_usd * life.starts[t]
            stopped[t] -= group.forced_stop_usd_per_block_h * missed[t] * step_s[t] / S_PER_H
    for pool in site.gpu_pools:
        for t, started in enumerate(reading.lives[pool.name].starts):
            starts[t] -= pool.start_cost_usd * started
    energy = [
        -price * float(draw) / MILLIWATT_PER_MW * s / S_PER_H
        for price, draw, s in zip(facts.price_usd_per_mwh, bought(site, reading.draws.total), step_s, strict=True)
    ]
    cells: Cells = {
        ("hashing_revenue", site.name): hashing,
        ("asic_start_wear", site.name): wear,
        ("forced_stop_wear", site.name): stopped,
        ("gpu_start_cost", site.name): starts,
        ("energy_cost", site.name): energy,
    }
    cells |= end_values(problem, reading, hashprice[-1])
    cells |= {(term, site.name): usd for term, usd in contract_money(problem, site, reading.draws.total).items()}
    if site.reserves:
        cells |= {(term, site.name): usd for term, usd in reserve_money(problem, facts, reading.made).items()}
    return cells


def end_values(problem: Problem, reading: SiteReading, last_usd_per_ph_day: float) -> Cells:
    """What machines that run in the last step are worth beyond it: a share of the start that they save."""
    facts, site, grid, cells = reading.facts, reading.facts.site, problem.grid, Cells()
    nothing, end_s = [0.0 for _ in grid.step_s], sum(grid.step_s)
    for group in site.asic_groups:
        if group.end_value_share:
            life, lowest = reading.lives[group.name], group.modes[0]
            paid = (1 - group.pool_fee) * (1 - group.firmware_fee) * (1 - group.stale_share) * group.uptime
            ph = group.miners_per_block * lowest.miner_hash_th_per_s / 1e3 * facts.hash_milli[group.name][-1] / 1000
            warm_up_usd = last_usd_per_ph_day / S_PER_DAY * ph * paid * group.warm_up_s
            late = sum(n for n, begins_s in zip(life.starts, grid.offset_s, strict=False) if begins_s + group.warm_up_s > end_s)
            usd = cells.setdefault(("asic_end_value", site.name), nothing.copy())
            usd[-1] += group.end_value_share * (life.on[-1] * (group.start_wear_usd + warm_up_usd) - late * warm_up_usd)
    for pool in site.gpu_pools:
        if pool.end_value_share:
            usd = cells.setdefault(("gpu_end_value", site.name), nothing.copy())
            loaded = reading.lives[pool.name].on[-1] + warm_nodes(pool, reading.made)[-1]
            usd[-1] += pool.end_value_share * pool.start_cost_usd * loaded
    return cells


def workload_money(problem: Problem, plan: Plan, workload: Workload, served: Sequence[int], stock: Stock | None) -> Cells:
    """Return the terms that a workload owns: revenue, penalties, routing."""
    name, hours = workload.name, [s / S_PER_H for s in problem.grid.step_s]
    per_h = [h / WORK_PER_MWORK for h in hours]
    cells: Cells = {("routing_cost", name): _routing(problem, plan, workload, per_h)}
    if workload.kind == "reserved":
        demand = problem.demand_work_per_h[name]
        cells["reserved_revenue", name] = _times(workload.price_usd_per_mwork, demand, per_h)
    else:
        cells["inference_revenue", name] = _times(workload.price_usd_per_mwork, served, per_h)
    if workload.kind == "batch":
        late = [] if stock is None else [work / S_PER_H for work in stock.late]
        cells["late_penalty", name] = _times(-workload.late_usd_per_mwork_h, late, per_h)
        if workload.end_value_share and stock is not None:
            mwork = (stock.waiting[-1] - stock.late[-1]) / S_PER_H / WORK_PER_MWORK
            usd = workload.end_value_share * max(0.0, later_usd_per_mwork(problem, workload)) * mwork
            cells["backlog_end_value", name] = [*[0.0] * (problem.grid.steps - 1), usd]
    else:
        unserved = plan.workloads[name].unserved_work_per_h
        cells["unserved_penalty", name] = _times(-workload.unserved_usd_per_mwork, unserved, per_h)
        if workload.service_level is not None:
            cells["service_shortfall", name] = shortfall_usd(problem, name, workload.service_level, served)
    return cells


def _routing(problem: Problem, plan: Plan, workload: Workload, per_h: Sequence[float]) -> list[float]:
    cost = [0.0 for _ in per_h]
    for site in problem.fleet.sites:
        usd = workload.routing_usd_per_mwork.get(site.region, 0.0)
        if usd:
            for pool in plan.sites[site.name].pools.values():
                for t, work in enumerate(pool.work_per_h.get(workload.name, ())):
                    cost[t] -= usd * work * per_h[t]
    return cost


def _times(usd: float, work: Sequence[float], per_h: Sequence[float]) -> list[float]:
    return [usd * w * h for w, h in zip(work, per_h, strict=True)]


def check_money(problem: Problem, lines: Sequence[MoneyLine], exact: Cells, found: Findings) -> None:
    """Compare each line of the plan with what it must be, in each step and in sum; what is worth nothing may be absent."""
    told: set[tuple[str, str]] = set()
    steps = problem.grid.steps
    days = max(1, -(-sum(problem.grid.step_s) // S_PER_DAY))
    for line in lines:
        key = (line.term, line.owner)
        if key in told:
            found.say_all(line.owner, f"{line.term} stands twice in the money")
        elif key not in exact:
            found.say_all(line.owner, f"{line.term} in the money, but {line.owner} cannot have it")
        elif len(line.usd) != steps:
            found.say_all(line.owner, f"{line.term}: expected {steps} values, one per step, got {len(line.usd)}")
        else:
            _compare(line.term, line.owner, line.usd, exact[key], days, found)
        told.add(key)
    for term, owner in exact.keys() - told:
        _compare(term, owner, [0.0] * steps, exact[term, owner], days, found)


def _compare(term: str, owner: str, got: Sequence[float], exact: Sequence[float], days: int, found: Findings) -> None:
    slack = RELATIVE * sum(map(abs, exact))
    for t, (told, is_) in enumerate(zip(got, exact, strict=True)):
        if not abs(told - is_) <= max(slack, CENT):  # so that NaN is told too
            found.say(owner, t, f"{term} is {is_:.4f} USD, the plan says {told:.4f} USD")
            return
    if not abs(sum(got) - sum(exact)) <= max(slack, CENT * days):
        found.say_all(owner, f"{term} is {sum(exact):.4f} USD over all steps, the plan says {sum(got):.4f} USD")
