"""Where the rule plan serves inference: dearest work first, to the pool that is cheapest for it, in one fixed order.

The order of (workload, pool) pairs is set once per problem from average prices, so that work does not wander from site
to site with every hour's price; a step in which a pair would lose money leaves it out. Demand is read twice: once without
start-up times to see how many nodes are wanted when, and once with the nodes that really serve.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil, lcm

from models.gpu import GpuPool
from models.site import Site
from models.workload import Workload
from optimizer.availability import pool_available
from optimizer.decisions import S_PER_H, lost_node_s
from optimizer.rule_price import draw_price_usd_per_mwh
from optimizer.sets import World

MILLIWATT_PER_MW = 1e9
LONGEST_IDLE_S = 6 * 3600
"""A node that nobody wants for longer than this is stopped, whatever its start costs."""

Key = tuple[str, str]
"""Site and pool."""


@dataclass
class Pool:
    """A GPU pool with its place, its price of energy, and what it can serve.

    idle_usd_per_h, busy_usd_per_h: energy of a node without and with full load, by step.
    rates: work per node and hour, by workload.
    room: nodes that the limit leaves room for, by step.
    """

    site: Site
    pool: GpuPool
    idle_usd_per_h: list[float]
    busy_usd_per_h: list[float]
    rates: dict[str, int]
    room: list[int]

    @property
    def key(self) -> Key:
        """Site and pool by name."""
        return self.site.name, self.pool.name


@dataclass(frozen=True)
class Route:
    """A workload at a pool: work per node-hour, and what a node-hour of it earns before energy."""

    workload: Workload
    pool: Pool
    rate: int
    earns_usd_per_node_h: float


@dataclass
class Routing:
    """Pools and routes of a problem, dearest route first."""

    world: World
    pools: dict[Key, Pool] = field(default_factory=dict)
    routes: list[Route] = field(default_factory=list)

    @cached_property
    def routes_at(self) -> dict[Key, list[Route]]:
        """Routes by their pool, in their order; asked for when all routes are there."""
        found: dict[Key, list[Route]] = {key: [] for key in self.pools}
        for route in self.routes:
            found[route.pool.key].append(route)
        return found

    def wanted_nodes(self) -> dict[Key, list[int]]:
        """Return how many nodes of each pool the demand calls for, with time to load and without needless stops."""
        grid = self.world.problem.grid
        capacity = {key: [n * s for n, s in zip(p.room, grid.step_s, strict=True)] for key, p in self.pools.items()}
        work = self.serve(capacity)
        return {key: self._node_path(p, work[key]) for key, p in self.pools.items()}

    def _node_path(self, pool: Pool, work: Mapping[str, Sequence[int]]) -> list[int]:
        """Start in time to load; keep what is wanted again before idling costs more than a start."""
        grid, path = self.world.problem.grid, []
        steps = range(grid.steps)
        need = self._worth_starting(pool, work)
        idle_usd_per_h = max(1e-9, sum(pool.idle_usd_per_h) / len(steps))
        patience_s = min(LONGEST_IDLE_S, pool.pool.start_cost_usd / idle_usd_per_h * S_PER_H)
        before = self._nodes_before(pool)
        for t in steps:
            start_for = max(self._until(need, t, pool.pool.load_s))
            keep_for = min(before, max(self._until(need, t, patience_s)))
            before = min(max(start_for, keep_for), pool.room[t])
            path.append(before)
        return path

    def _worth_starting(self, pool: Pool, work: Mapping[str, Sequence[int]]) -> list[int]:
        """Count the nodes that the work fills, node by node, less those whose spell of work does not earn their start."""
        hours = self.world.problem.grid.hours
        earns = {r.workload.name: r.earns_usd_per_node_h for r in self.routes_at[pool.key]}
        load, worth = [0.0 for _ in hours], [0.0 for _ in hours]
        for name, series in work.items():
            for t, units in enumerate(series):
                nodes = units / pool.rates[name]
                load[t] += nodes
                worth[t] += nodes * (earns[name] - pool.busy_usd_per_h[t]) * hours[t]
        need = [ceil(nodes - 1e-9) for nodes in load]
        on_before = self._nodes_before(pool)
        for node in range(1, max(need) + 1):
            spell = [t for t, count in enumerate(need) if count >= node]
            while spell:
                length = next((n for n, t in enumerate(spell) if t != spell[0] + n), len(spell))
                here, spell = spell[:length], spell[length:]
                usd = sum(worth[t] * min(1.0, load[t] - node + 1) / load[t] for t in here)
                if usd < pool.pool.start_cost_usd and not (here[0] == 0 and node <= on_before):
                    for t in here:
                        need[t] = min(need[t], node - 1)
        return need

    def _nodes_before(self, pool: Pool) -> int:
        return self.world.problem.state.sites[pool.site.name].pools[pool.pool.name].nodes_on

    def _until(self, values: Sequence[int], t: int, within_s: float) -> Sequence[int]:
        offset_s = self.world.problem.grid.offset_s
        return values[t : bisect_right(offset_s, offset_s[t] + within_s, hi=len(values))]

    def capacity_node_s(self, nodes_on: Mapping[Key, Sequence[int]]) -> dict[Key, list[int]]:
        """Return node-seconds of each step in which nodes serve."""
        problem, capacity = self.world.problem, {}
        for (site, name), on in nodes_on.items():
            pool = self.pools[site, name].pool
            lost = lost_node_s(problem, pool, problem.state.sites[site].pools[name].started, on)
            capacity[site, name] = [n * s - gone for n, s, gone in zip(on, problem.grid.step_s, lost, strict=True)]
        return capacity

    def serve(self, capacity_node_s: Mapping[Key, Sequence[int]]) -> dict[Key, dict[str, list[int]]]:
        """Return work per hour by pool and workload that fits into the node-seconds, dearest first; batch as early as it can."""
        problem = self.world.problem
        steps = problem.grid.steps
        work: dict[Key, dict[str, list[int]]] = {key: {w: [0] * steps for w in p.rates} for key, p in self.pools.items()}
        unit = {key: lcm(*p.rates.values()) for key, p in self.pools.items()}
        stock = {name: S_PER_H * sum(lot.work for lot in lots) for name, lots in problem.state.backlog.items()}
        batch = [w.name for w in problem.fleet.workloads if w.kind == "batch"]
        for t, length_s in enumerate(problem.grid.step_s):
            left = {name: series[t] for name, series in problem.demand_work_per_h.items()}
            for name in batch:
                stock[name] = stock.get(name, 0) + left[name] * length_s
                left[name] = stock[name] // length_s
            free = {key: max(0, series[t]) * unit[key] for key, series in capacity_node_s.items()}
            for route in self.routes:
                key, name = route.pool.key, route.workload.name
                if not left[name] or not free[key] or route.earns_usd_per_node_h < route.pool.busy_usd_per_h[t]:
                    continue
                each = length_s * (unit[key] // route.rate)
                done = min(left[name], free[key] // each)
                work[key][name][t] = done
                left[name] -= done
                free[key] -= done * each
                if name in stock:
                    stock[name] -= done * length_s
        return work


def routing(world: World, room_mw: Mapping[str, Sequence[int]]) -> Routing:
    """Return pools and routes of the fleet; `room_mw` is the power that machines may draw at each site, in milliwatts."""
    made = Routing(world)
    problem = world.problem
    left_mw = {site: list(room) for site, room in room_mw.items()}
    rows = zip(world.pools, world.pool_pue_milli.tolist(), pool_available(world).tolist(), strict=True)
    for at, pue, most in rows:
        site = world.sites[at.site]
        price = draw_price_usd_per_mwh(problem, site)
        made.pools[site.name, at.pool.name] = _pool(world, site, at.pool, price, pue, most, left_mw[site.name])
    for pool in made.pools.values():
        for workload in problem.fleet.workloads:
            if workload.name in pool.rates:
                made.routes.append(_route(workload, pool))
    made.routes.sort(key=_merit, reverse=True)
    return made


def _pool(
    world: World, site: Site, pool: GpuPool, price: Sequence[float], pue: Sequence[int], most: Sequence[int], left_mw: list[int]
) -> Pool:
    room = []
    for t, milli in enumerate(pue):
        nodes = min(most[t], pool.fitting(left_mw[t] // milli, pool.node_full_w))
        left_mw[t] -= pool.power_w(nodes, pool.node_full_w) * milli
        room.append(nodes)
    fleet = world.problem.fleet
    rates = {w.name: rate for w in world.workloads if fleet.admits(w, site) and (rate := w.work_per_node_h(pool))}
    idle = [p * pool.node_fixed_w * milli / MILLIWATT_PER_MW for p, milli in zip(price, pue, strict=True)]
    busy = [p * (pool.node_fixed_w + pool.node_span_w) * milli / MILLIWATT_PER_MW for p, milli in zip(price, pue, strict=True)]
    return Pool(site, pool, idle, busy, rates, room)


def _route(workload: Workload, pool: Pool) -> Route:
    rate = pool.rates[workload.name]
    usd_per_mwork = 0.0 if workload.kind == "reserved" else workload.price_usd_per_mwork
    usd_per_mwork += workload.late_usd_per_mwork_h if workload.kind == "batch" else workload.unserved_usd_per_mwork
    if workload.kind != "batch" and workload.service_level is not None:  # as if all of it were owed
        usd_per_mwork += workload.service_level.shortfall_usd_per_mwork
    usd_per_mwork -= workload.routing_usd_per_mwork[pool.site.region]
    return Route(workload, pool, rate, usd_per_mwork * rate / 1e6)


def _merit(route: Route) -> float:
    busy = route.pool.busy_usd_per_h
    return route.earns_usd_per_node_h - sum(busy) / len(busy)
