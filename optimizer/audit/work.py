"""Inference work: who may do it, what it takes of the nodes that serve, and that all of it is accounted for.

Rates are whole units per hour and steps whole seconds, so stocks are whole in units of work x 3600.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

from models.fleet import Fleet
from models.gpu import GpuPool
from models.plan import Plan, SitePlan, WorkloadPlan
from models.problem import Problem
from models.site import Site
from models.workload import BatchWorkload, Workload
from optimizer.audit.ground import Findings, SiteFacts, seconds_after, site_facts
from optimizer.audit.machines import Life

S_PER_H = 3600


@dataclass(frozen=True)
class Load:
    """Work of a pool in node units by step, as whole numerators over one denominator."""

    numerators: list[int]
    denominator: int

    def nodes(self, step: int) -> Fraction:
        """Nodes' worth of work in a step."""
        return Fraction(self.numerators[step], self.denominator)


def pool_loads(problem: Problem, facts: SiteFacts, made: SitePlan, found: Findings) -> dict[str, Load]:
    """Return the load of each pool of a site; work that a pool may not or cannot do is noted and left out."""
    return {p.name: _load(problem, facts, p, made.pools[p.name].work_per_h, found) for p in facts.site.gpu_pools}


def _load(problem: Problem, facts: SiteFacts, pool: GpuPool, work_per_h: dict[str, tuple[int, ...]], found: Findings) -> Load:
    rates: dict[str, int] = {}
    for name, series in work_per_h.items():
        first = next((t for t, work in enumerate(series) if work), None)
        if first is None:
            continue
        workload = problem.fleet.workload_by_name[name]
        rate = workload.work_per_node_h(pool)
        for words in _not_admitted(problem.fleet, facts.site, workload):
            found.say(facts.site.name, first, f"{pool.name}: works for {name}, {words}")
        if rate:
            rates[name] = rate
        else:
            found.say(facts.site.name, first, f"{pool.name}: works for {name}, which nodes of {pool.gpu_type} cannot serve here")
    denominator = lcm(*rates.values())
    numerators = [0] * problem.grid.steps
    for name, rate in rates.items():
        weight = denominator // rate
        for t, work in enumerate(work_per_h[name]):
            numerators[t] += weight * work
    return Load(numerators, denominator)


def _not_admitted(fleet: Fleet, site: Site, workload: Workload) -> Iterator[str]:
    """Yield in words why a site may not serve a workload: its region, the residency of the data, the wait of the users."""
    if site.region not in workload.routing_usd_per_mwork:
        yield f"which region {site.region} may not serve"
    if workload.countries and site.country not in workload.countries:
        yield f"which may not leave {', '.join(workload.countries)}, the site is in {site.country}"
    if workload.kind == "interactive" and (limit := workload.latency) is not None:
        waits_ms = fleet.latency_ms.get(limit.users, {}).get(site.region)
        if waits_ms is None or waits_ms > limit.most_ms:
            yield f"whose users in {limit.users} may wait {limit.most_ms} ms, {site.region} is {waits_ms} ms away"


def check_capacity(
    facts: SiteFacts, lives: dict[str, Life], loads: dict[str, Load], step_s: Sequence[int], found: Findings
) -> None:
    """Work must fit into the nodes that are on, less the part of the step in which some of them still load."""
    for pool in facts.site.gpu_pools:
        life, load = lives[pool.name], loads[pool.name]
        for t, numerator in enumerate(load.numerators):
            serving_node_s = life.on[t] * step_s[t] - life.lost_s[t]
            if numerator * step_s[t] > load.denominator * serving_node_s:
                found.say(
                    facts.site.name,
                    t,
                    f"{pool.name}: does the work of {float(load.nodes(t)):.6f} nodes, "
                    f"{serving_node_s / step_s[t]:.6f} of {life.on[t]} on serve",
                )


@dataclass(frozen=True)
class Stock:
    """Batch work at the end of each step, in units of work x 3600."""

    waiting: list[int]
    late: list[int]


def served_per_h(plan: Plan, workload: Workload, steps: int) -> list[int]:
    """Return what all pools together do of a workload, by step."""
    served = [0] * steps
    for site in plan.sites.values():
        for pool in site.pools.values():
            for t, work in enumerate(pool.work_per_h.get(workload.name, ())):
                served[t] += work
    return served


def check_workload(
    problem: Problem, workload: Workload, made: WorkloadPlan, served: Sequence[int], found: Findings
) -> Stock | None:
    """All demand is served, waits or is admitted as unserved, to the last unit; return the stock of batch work."""
    if workload.kind == "batch":
        return _check_batch(problem, workload, made, served, found)
    demand = problem.demand_work_per_h[workload.name]
    for t, (done, lost, asked) in enumerate(zip(served, made.unserved_work_per_h, demand, strict=True)):
        if done + lost != asked:
            found.say(workload.name, t, f"serves {done}/h and leaves {lost}/h unserved, asked {asked}/h")
    return None


def _check_batch(problem: Problem, workload: BatchWorkload, made: WorkloadPlan, served: Sequence[int], found: Findings) -> Stock:
    arrivals, step_s = problem.demand_work_per_h[workload.name], problem.grid.step_s
    lots = problem.state.backlog.get(workload.name, ())
    waiting, late = [], []
    stock = S_PER_H * sum(lot.work for lot in lots)
    for t in range(problem.grid.steps):
        stock += (arrivals[t] - served[t]) * step_s[t]
        waiting.append(stock)
        late.append(max(0, stock - _not_yet_due(problem, workload, t)))
        if stock < 0:
            found.say(workload.name, t, f"serves {-(stock // S_PER_H)} more than has arrived")
        if made.unserved_work_per_h[t]:
            found.say(workload.name, t, f"leaves {made.unserved_work_per_h[t]}/h unserved; batch work waits instead")
        for what, reported, exact in (("waits", made.backlog_work, stock), ("is late", made.late_work, late[t])):
            if reported is not None and exact >= 0 and reported[t] != -(-exact // S_PER_H):
                found.say(workload.name, t, f"{-(-exact // S_PER_H)} of work {what} at its end, the plan says {reported[t]}")
    return Stock(waiting, late)


def _not_yet_due(problem: Problem, workload: BatchWorkload, step: int) -> int:
    """Work x 3600 that may still wait at the end of a step; arrivals come evenly over their step, each with its deadline."""
    grid = problem.grid
    end_s = grid.offset_s[step + 1]
    lots = problem.state.backlog.get(workload.name, ())
    may_wait = S_PER_H * sum(lot.work for lot in lots if seconds_after(grid.start, lot.due) > end_s)
    for t in range(step, -1, -1):
        came_s = min(end_s, grid.offset_s[t + 1]) - max(grid.offset_s[t], end_s - workload.deadline_s)
        if came_s <= 0:
            break
        may_wait += problem.demand_work_per_h[workload.name][t] * came_s
    return may_wait


def later_usd_per_mwork(problem: Problem, workload: BatchWorkload) -> float:
    """Return what a million units earn at the mean prices of the horizon, at the pool that serves them at the least cost."""
    best, grid = 0.0, problem.grid
    for site in problem.fleet.sites:
        if any(_not_admitted(problem.fleet, site, workload)):
            continue
        price = site_facts(problem, site).price_usd_per_mwh
        for pool in site.gpu_pools:
            kwork_per_h = workload.work_per_node_h(pool) / 1e3
            if not kwork_per_h:
                continue
            pue = [pool.pue_milli(c) / 1000 for c in problem.ambient_c[site.ambient]]
            node_mw = (pool.node_fixed_w + pool.node_span_w) / 1e6
            usd = sum(p * node_mw * u * s / S_PER_H for p, u, s in zip(price, pue, grid.step_s, strict=True))
            mwork = kwork_per_h / 1e3 * sum(grid.step_s) / S_PER_H
            best = max(best, workload.price_usd_per_mwork - workload.routing_usd_per_mwork[site.region] - usd / mwork)
    return best
