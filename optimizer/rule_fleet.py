"""A problem made ready for rules: its recovery, its routes and each site's machines, filled site by site; and the plan of that.

Money comes from the named terms of the one formulation (`valuation`).
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from models.plan import Basis, Plan
from models.problem import Problem
from models.state import Cohorts
from optimizer.availability import ambient, days, group_available, pinned, pool_available, power_w, starts_left
from optimizer.compiled import Compiled
from optimizer.decisions import MILLIWATT_PER_W, Ledger, SiteDecisions, lost_node_s
from optimizer.formulation import build
from optimizer.recovery import Recovered, ramp_mw, recover
from optimizer.rule_problem import Load, Path, SiteProblem, Unit, Wish
from optimizer.rule_routing import Key, Routing, routing
from optimizer.rule_site import fill_site
from optimizer.valuation import unproven_plan
from optimizer.windows import cohort_arrays, still_held

ROUNDING_MILLIWATT = 100
"""The rule counts draws in whole milliwatts, rounded up load by load; so much of a ramp is left to that."""

Wishes = Callable[[int, dict[str, int], dict[str, int]], Sequence[Wish]]
"""What a site is wished to run in a step, dearest first, by what ran before it and what must run: machines by unit."""


class RuleFleet:
    """A problem made ready for rules: its recovery, its routes, and each site's machines."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.recovered: Recovered = recover(problem)
        self.world = self.recovered.world
        self.units = [self._units(number) for number in range(len(self.world.sites))]
        self.routing: Routing = routing(self.world, self._room_mw())

    def decide(self, wishes: Mapping[str, Wishes], nodes: dict[Key, list[int]]) -> list[SiteDecisions]:
        """Route work to the nodes, fill every site, and route once more where a site could not keep so many on."""
        made: list[SiteDecisions] = []
        for _ in range(2):
            work = self.routing.serve(self.routing.capacity_node_s(nodes))
            made = [fill_site(self._site(n, wishes[site.name], nodes, work)) for n, site in enumerate(self.world.sites)]
            done = {(s.name, p): on for s, site in zip(self.world.sites, made, strict=True) for p, on in site.nodes_on.items()}
            if done == nodes:
                break
            nodes = done
        return made

    def _site(
        self, number: int, wishes: Wishes, nodes: dict[Key, list[int]], work: dict[Key, dict[str, list[int]]]
    ) -> SiteProblem:
        site, grid = self.world.sites[number], self.problem.grid
        steps = range(grid.steps)
        ramp = ramp_mw(self.world, site)
        binds = self.world.ramp_binds[number]
        loads = {}
        for pool in site.gpu_pools:
            rates = self.routing.pools[site.name, pool.name].rates
            routed = work[site.name, pool.name]
            order = [r.workload.name for r in self.routing.routes_at[site.name, pool.name]]
            loads[pool.name] = [[Load(w, routed[w][t], rates[w]) for w in order if routed[w][t]] for t in steps]
        now = self.problem.state.sites[site.name]
        of_site = self.world.groups_at.get(number, [])
        asleep = {self.world.groups[n].group.name: self.world.asleep_mw[n].tolist() for n in of_site}
        paths = [
            Path(b.limit_mw.tolist(), [sum(asleep[n][t] for n in b.machines if n in asleep) for t in steps], b.machines)
            for b in self.world.branches
            if b.site == number
        ]
        return SiteProblem(
            site=site,
            grid=grid,
            units=self.units[number],
            floor_mw=self.world.floor_mw[number].tolist(),
            limit_mw=(MILLIWATT_PER_W * self.world.effective_limit_w[number]).tolist(),
            dark=(~self.world.energised[number]).tolist(),
            ramp_mw=[max(0, int(ramp[t]) - ROUNDING_MILLIWATT) if ramp is not None and binds[t] else None for t in steps],
            draw_before_mw=MILLIWATT_PER_W * now.draw_w,
            wishes=wishes,
            paths=paths,
            nodes={p.name: nodes[site.name, p.name] for p in site.gpu_pools},
            work=loads,
            loading_s={
                p.name: lost_node_s(self.problem, p, now.pools[p.name].started, self.units[number][p.name].held)
                for p in site.gpu_pools
            },
        )

    def _units(self, number: int) -> dict[str, Unit]:
        here, units, release = self.world, {}, self.recovered.release
        blocks, nodes = group_available(here), pool_available(here)
        for n in here.groups_at.get(number, []):
            g, pue, most = here.groups[n], here.group_pue_milli[n].tolist(), blocks[n].tolist()
            group = g.group
            held = self._held(g.state.started, group.min_up_s, release.blocks.get((here.sites[number].name, group.name)))
            above_w = [(power_w(here, g, k) - group.block_sleep_w).tolist() for k in range(len(group.modes))]
            power = [[w * milli for w, milli in zip(row, pue, strict=True)] for row in above_w]
            resting = self._held(g.state.stopped, group.min_down_s, None)
            times = (group.min_up_s, group.min_down_s)
            before = [g.state.mode_blocks.get(mode.name, 0) for mode in group.modes]
            modes = [mode.name for mode in group.modes]
            pin = self._pin(number, group.name, modes)
            units[group.name] = Unit(group, group.blocks, before, *times, power, held, resting, most, pin)
            units[group.name].allowed = [group.modes_allowed(c) for c in ambient(here, g)]
            if (left := starts_left(here, g)) is not None:
                order = sorted(left)
                units[group.name].day = [order.index(day) for day in days(here, here.sites[number].zone)]
                units[group.name].starts_left = [left[day] for day in order]
        for n in here.pools_at.get(number, []):
            p, pue, most = here.pools[n], here.pool_pue_milli[n].tolist(), nodes[n].tolist()
            pool = p.pool
            hold_s = max(pool.min_up_s, pool.load_s)
            held = self._held(p.state.started, hold_s, release.nodes.get((here.sites[number].name, pool.name)))
            power = [[pool.node_fixed_w * milli for milli in pue]]
            before, pin = [p.state.nodes_on], self._pin(number, pool.name, [])
            units[pool.name] = Unit(pool, pool.nodes, before, hold_s, 0, power, held, [0] * len(pue), most, pin)
        return units

    def _pin(self, number: int, name: str, modes: Sequence[str]) -> tuple[int, int, int] | None:
        if (known := pinned(self.world, number, name)) is None:
            return None
        pin, ends = known
        return -1 if pin.mode is None else modes.index(pin.mode), pin.count, ends

    def _held(self, cohorts: Cohorts, hold_s: int, released: Sequence[int] | None) -> list[int]:
        held: list[int] = still_held(self.world.start_s, hold_s, *cohort_arrays(self.problem.grid, cohorts)).tolist()
        return held if released is None else [min(a, b) for a, b in zip(held, released, strict=True)]

    def _room_mw(self) -> dict[str, list[int]]:
        """What the limits leave for nodes above sleep, base load and blocks that must run."""
        room = {}
        for number, site in enumerate(self.world.sites):
            must = self.world.floor_mw[number].tolist()
            for group in site.asic_groups:
                unit = self.units[number][group.name]
                must = [mw + unit.must_mw(t) for t, mw in enumerate(must)]
            limit_w = self.world.effective_limit_w[number].tolist()
            room[site.name] = [max(0, MILLIWATT_PER_W * w - mw) for w, mw in zip(limit_w, must, strict=True)]
        return room


def plan_of(
    fleet: RuleFleet, made: Sequence[SiteDecisions], basis: Basis, now: datetime, reason: str, compiled: Compiled | None
) -> Plan:
    """Return the plan of each site's decisions, valued.

    made: by site, in the order of the world. now, compiled: as for `optimizer.fallback.rule_plan`. reason: why it is so.
    """
    problem = fleet.problem
    sites = {
        site.name: Ledger(fleet.world, number, decisions).plan()
        for number, (site, decisions) in enumerate(zip(fleet.world.sites, made, strict=True))
    }
    model = compiled or build(problem, release=fleet.recovered.release)
    plan_id = f"{basis}-{now:%Y%m%dT%H%M%SZ}-{problem.digest[-12:]}"
    return unproven_plan(problem, model, sites, fleet.recovered.records, plan_id=plan_id, basis=basis, now=now, reasons=(reason,))
