"""What was planned meets what came.

The counts that a plan commands for its first step are carried out, and work comes as it came:

* *Demand.* Work that was planned and did not come is not served; each pool gives up its share. Work that came beyond what was
  planned goes to the nodes that are on and have time left, dearest first, where it pays; the rest is unserved. Batch work is done
  as planned, as far as it is there.
* *Temperature.* Blocks in a mode that the heat bars go down to the highest mode that it allows. Draws follow the real PUE.
* *Physics wins.* Where the draw would break a limit, a feeder or a ramp all the same, that site is filled anew by the rule
  (`optimizer.fallback.told_plan`): what was commanded as far as it can be had, mining giving way before inference.

What the machines could not do of what was commanded is valued at what came: hash less energy (`Happened.execution_usd`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from models.gpu import GpuPool
from models.plan import Plan, SitePlan
from models.problem import Problem
from models.site import Site
from models.workload import BatchWorkload, Workload
from optimizer.decisions import Ledger, SiteDecisions, lost_node_s, workload_plans
from optimizer.fallback import told_plan
from optimizer.quantise import first_fault
from optimizer.recovery import recover
from optimizer.sets import world
from scenarios.rolling import Happen, Happened, window

S_PER_H, S_PER_DAY, W_PER_MW, MILLI = 3600, 86_400, 1e6, 1000
Key = tuple[str, str]
"""Site and pool."""


def realise(history: Problem) -> Happen:
    """Return what becomes of a plan's first step in a history."""

    def happen(t: int, problem: Problem, plan: Plan) -> Happened:
        came = window(history, t, 1, problem.state)
        return _Meeting(came, plan).happened()

    return happen


class _Meeting:
    """One step that came, and the plan whose first step was commanded for it."""

    def __init__(self, came: Problem, plan: Plan) -> None:
        self.came, self.plan = came, plan
        self.sites = came.fleet.sites

    def happened(self) -> Happened:
        """Carry the step out; without the work beyond the plan where that does not fit."""
        decided = {site.name: self._counts(site) for site in self.sites}
        planned = _Work(self.came, self.plan, decided)
        shrunk, extended = planned.shrunk(), planned.extended()
        here = world(self.came, release=recover(self.came).release)
        plans: dict[str, SitePlan] = {}
        broken = []
        for n, site in enumerate(self.sites):
            for work in (extended, shrunk):
                decided[site.name].work_per_h = {p.name: _rows(work, site, p) for p in site.gpu_pools}
                ledger = Ledger(here, n, decided[site.name])
                if not first_fault(here, ledger, n):
                    break
            else:
                broken.append(site.name)
            plans[site.name] = ledger.plan()
        done = self._settled(plans, decided)
        if broken:
            done = self._by_rule(plans, broken)
        return Happened(self.came, done, self._execution_usd(done))

    def _counts(self, site: Site) -> SiteDecisions:
        """What was commanded; blocks in a barred mode in the highest that is allowed, or asleep."""
        made, ambient = self.plan.sites[site.name], self.came.ambient_c[site.ambient][0]
        blocks = {}
        for group in site.asic_groups:
            counts = [made.groups[group.name].mode_blocks.get(mode.name, (0,))[0] for mode in group.modes]
            allowed = group.modes_allowed(ambient)
            barred, counts[allowed:] = sum(counts[allowed:]), [0] * (len(counts) - allowed)
            if allowed:
                counts[allowed - 1] += barred
            blocks[group.name] = {mode.name: [count] for mode, count in zip(group.modes, counts, strict=True)}
        pools = made.pools
        return SiteDecisions(
            mode_blocks=blocks,
            nodes_on={p.name: [pools[p.name].nodes_on[0]] for p in site.gpu_pools},
            nodes_warm={p.name: [warm[0]] for p in site.gpu_pools if (warm := pools[p.name].nodes_warm) is not None},
        )

    def _settled(self, plans: Mapping[str, SitePlan], decided: Mapping[str, SiteDecisions]) -> Plan:
        workloads = workload_plans(self.came, list(decided.values()))
        return self.plan.model_copy(update={"grid": self.came.grid, "sites": dict(plans), "workloads": workloads, "money": ()})

    def _by_rule(self, plans: Mapping[str, SitePlan], broken: list[str]) -> Plan:
        """Fill the whole fleet's step by rule from what was commanded; sites that could keep to it do."""
        blocks = {
            site.name: {
                group.name: [[plans[site.name].groups[group.name].mode_blocks[mode.name][0] for mode in group.modes]]
                for group in site.asic_groups
            }
            for site in self.sites
        }
        nodes = {(s.name, p.name): [plans[s.name].pools[p.name].nodes_on[0]] for s in self.sites for p in s.gpu_pools}
        return told_plan(self.came, blocks, nodes, self.came.grid.start, f"could not do as commanded: {', '.join(broken)}")

    def _execution_usd(self, done: Plan) -> float:
        """Profit of the hash that was commanded above that of the hash that was made."""
        usd, came = 0.0, self.came
        hours, paid = came.grid.hours[0], came.paid_hashprice_usd_per_ph_day[0]
        for site in self.sites:
            price, ambient = came.energy_price_usd_per_mwh(site)[0], came.ambient_c[site.ambient][0]
            for group in site.asic_groups:
                commanded = self.plan.sites[site.name].groups[group.name].mode_blocks
                counts = done.sites[site.name].groups[group.name].mode_blocks
                for mode in group.modes:
                    short = commanded.get(mode.name, (0,))[0] - counts.get(mode.name, (0,))[0]
                    if short:
                        above_w = group.block_power_w(mode, ambient) - group.block_sleep_w
                        mwh = above_w * group.cooling.pue_milli(ambient) / MILLI / W_PER_MW * hours
                        hash_usd = paid * group.block_hash_ph_per_s(mode, ambient) * group.paid_share * hours / 24
                        usd += short * (hash_usd - price * mwh)
        return usd


@dataclass
class _Work:
    """The work of one step: what was planned by pool, and what really came."""

    came: Problem
    plan: Plan
    decided: Mapping[str, SiteDecisions]

    def shrunk(self) -> dict[Key, dict[str, int]]:
        """What was planned, as far as it came."""
        found: dict[Key, dict[str, int]] = {(s.name, p.name): {} for s in self.came.fleet.sites for p in s.gpu_pools}
        for workload in self.came.fleet.workloads:
            planned = {key: self._planned(key, workload) for key in found}
            total, there = sum(planned.values()), self._there(workload)
            left = min(total, there)
            for key, rate in planned.items():
                if rate and left:
                    here = min(left, -(-rate * there // total)) if there < total else rate
                    found[key][workload.name], left = here, left - here
        return found

    def extended(self) -> dict[Key, dict[str, int]]:
        """The same, and what came beyond it on nodes that have time left, dearest first, where it pays."""
        work = self.shrunk()
        free = {key: self._free_node_s(key, work[key]) for key in work}
        for value, workload, key, rate in self._routes():
            if isinstance(workload, BatchWorkload) or value <= 0:
                continue
            missing = self._there(workload) - sum(rates.get(workload.name, 0) for rates in work.values())
            more = min(missing, max(0, free[key]) * rate // self.came.grid.step_s[0])
            if more > 0:
                work[key][workload.name] = work[key].get(workload.name, 0) + more
                free[key] -= -(-more * self.came.grid.step_s[0] // rate)
        return work

    def _planned(self, key: Key, workload: Workload) -> int:
        return self.plan.sites[key[0]].pools[key[1]].work_per_h.get(workload.name, (0,))[0]

    def _there(self, workload: Workload) -> int:
        """Work per hour that there is to do."""
        asked = self.came.demand_work_per_h[workload.name][0]
        if isinstance(workload, BatchWorkload):
            waits = sum(lot.work for lot in self.came.state.backlog.get(workload.name, ()))
            asked = (waits * S_PER_H + asked * self.came.grid.step_s[0]) // self.came.grid.step_s[0]
        return asked

    def _free_node_s(self, key: Key, work: Mapping[str, int]) -> int:
        site, pool = self.came.fleet.site_by_name[key[0]], self._pool(key)
        now, made = self.came.state.sites[site.name].pools[pool.name], self.decided[site.name]
        warm = made.nodes_warm.get(pool.name)
        lost = lost_node_s(self.came, pool, now.started, made.nodes_on[pool.name], warm, now.nodes_warm)[0]
        length_s, by_name = self.came.grid.step_s[0], {w.name: w for w in self.came.fleet.workloads}
        used = sum(-(-rate * length_s // by_name[name].work_per_node_h(pool)) for name, rate in work.items())
        return made.nodes_on[pool.name][0] * length_s - lost - used

    def _routes(self) -> list[tuple[float, Workload, Key, int]]:
        """Every workload at every pool that may serve it: worth of a node-hour of it above its energy, dearest first."""
        found = []
        for site in self.came.fleet.sites:
            price, ambient = self.came.energy_price_usd_per_mwh(site)[0], self.came.ambient_c[site.ambient][0]
            for pool in site.gpu_pools:
                span_usd = price * pool.node_span_w * pool.pue_milli(ambient) / MILLI / W_PER_MW
                for workload in self.came.fleet.workloads:
                    rate = workload.work_per_node_h(pool)
                    if rate and self.came.fleet.admits(workload, site):
                        value = _worth_usd_per_mwork(workload, site) * rate / 1e6 - span_usd
                        found.append((value, workload, (site.name, pool.name), rate))
        return sorted(found, key=lambda route: -route[0])

    def _pool(self, key: Key) -> GpuPool:
        return next(p for p in self.came.fleet.site_by_name[key[0]].gpu_pools if p.name == key[1])


def _worth_usd_per_mwork(workload: Workload, site: Site) -> float:
    """What serving a million units is worth above leaving them."""
    usd = 0.0 if workload.kind == "reserved" else workload.price_usd_per_mwork
    if not isinstance(workload, BatchWorkload):
        usd += workload.unserved_usd_per_mwork
        usd += workload.service_level.shortfall_usd_per_mwork if workload.service_level is not None else 0.0
    return usd - workload.routing_usd_per_mwork[site.region]


def _rows(work: Mapping[Key, Mapping[str, int]], site: Site, pool: GpuPool) -> dict[str, list[int]]:
    return {name: [rate] for name, rate in work[site.name, pool.name].items() if rate}
