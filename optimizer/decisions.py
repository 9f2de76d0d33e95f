"""Decisions in whole numbers, and what follows from them exactly: draws, loads, what serves, waits and is late.

Watts times a PUE in thousandths are milliwatts. The load of a pool is a rational number of nodes, work / (work per node
and hour); each site counts power in one unit small enough that all its loads and ramps are whole (`Ledger.unit`).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import lcm

from models.asic import AsicGroup
from models.gpu import GpuPool
from models.plan import GroupPlan, PoolPlan, SitePlan, WorkloadPlan
from models.problem import Problem
from models.state import Cohort
from models.time_grid import TimeGrid
from models.workload import BatchWorkload
from optimizer.availability import power_w
from optimizer.reserves import planned
from optimizer.sets import Group, World
from optimizer.windows import SECOND

S_PER_H = 3600
MILLIWATT_PER_W = 1000
Series = list[int]


@dataclass
class SiteDecisions:
    """What one site does in each step: blocks by group and mode, nodes by pool, work per hour by pool and workload.

    offers_kw: by reserve and start of the block, what it offers.
    """

    mode_blocks: dict[str, dict[str, Series]] = field(default_factory=dict)
    nodes_on: dict[str, Series] = field(default_factory=dict)
    work_per_h: dict[str, dict[str, Series]] = field(default_factory=dict)
    nodes_warm: dict[str, Series] = field(default_factory=dict)
    offers_kw: dict[tuple[str, datetime], int] = field(default_factory=dict)


def decisions_of(made: SitePlan) -> SiteDecisions:
    """Return what a site does in a plan; what it offers is left out."""
    return SiteDecisions(
        mode_blocks={g: {m: list(c) for m, c in group.mode_blocks.items()} for g, group in made.groups.items()},
        nodes_on={p: list(pool.nodes_on) for p, pool in made.pools.items()},
        work_per_h={p: {w: list(r) for w, r in pool.work_per_h.items()} for p, pool in made.pools.items()},
        nodes_warm={p: list(pool.nodes_warm) for p, pool in made.pools.items() if pool.nodes_warm is not None},
    )


class Ledger:
    """One site of a world with its decisions; draws are exact whole numbers of 1 mW / `unit`.

    Blocks are read when it is made; nodes and work may change after that.
    hashing, asleep: metered power of the running and of the sleeping blocks of each group, by step. [milliwatt]
    hashing_mw, idle_mw: of all running blocks; of base load and sleeping blocks, nothing where the site is dark.
    """

    def __init__(self, world: World, number: int, decisions: SiteDecisions) -> None:
        self.world, self.number = world, number
        self.site, self.decisions = world.sites[number], decisions
        self.limit_w: list[int] = world.effective_limit_w[number].tolist()
        self.live = {name: lit.tolist() for name, lit in world.live[number].items()}
        self.branches = world.branches_at(number)
        self.energised: list[bool] = world.energised[number].tolist()
        self.step_s = world.problem.grid.step_s
        self.steps = range(len(self.step_s))
        pools = {world.pools[n].pool.name: n for n in world.pools_at.get(number, [])}
        self.rates = {name: _rates(world, world.pools[n].hub) for name, n in pools.items()}
        self.unit = lcm(60, *(rate for rates in self.rates.values() for rate in rates.values()))
        groups = {n: world.groups[n] for n in world.groups_at.get(number, [])}
        self.group_pue: dict[str, Series] = {g.group.name: world.group_pue_milli[n].tolist() for n, g in groups.items()}
        self.hashing = {g.group.name: self._hashing(g) for g in groups.values()}
        self.asleep = {g.group.name: self._asleep(g.group) for g in groups.values()}
        self.hashing_mw = _added(self.hashing.values(), len(self.steps))
        idle_mw = _added(self.asleep.values(), len(self.steps))
        base_mw = MILLIWATT_PER_W * self.site.base_load_w
        self.idle_mw = [base_mw + mw if lit else 0 for mw, lit in zip(idle_mw, self.energised, strict=True)]
        self.pool_pue: dict[str, Series] = {name: world.pool_pue_milli[n].tolist() for name, n in pools.items()}

    def _hashing(self, group: Group) -> Series:
        counts = self.decisions.mode_blocks[group.group.name]
        drawn_w = [0 for _ in self.step_s]
        for k, mode in enumerate(group.group.modes):
            each_w = power_w(self.world, group, k).tolist()
            drawn_w = [w + n * each for w, n, each in zip(drawn_w, counts[mode.name], each_w, strict=True)]
        return [w * milli for w, milli in zip(drawn_w, self.group_pue[group.group.name], strict=True)]

    def _asleep(self, group: AsicGroup) -> Series:
        running = [sum(counts) for counts in zip(*self.decisions.mode_blocks[group.name].values(), strict=True)]
        lit = [a and b for a, b in zip(self.energised, self.live[group.name], strict=True)]
        return [
            (group.blocks - on) * group.block_sleep_w * milli if live else 0
            for on, milli, live in zip(running, self.group_pue[group.name], lit, strict=True)
        ]

    def shed_mw(self, step: int) -> int:
        """Metered power of the running miners above sleep."""
        asleep = {g.name: g.block_sleep_w * int(self.group_pue[g.name][step]) for g in self.site.asic_groups}
        running = {name: sum(counts[step] for counts in modes.values()) for name, modes in self.decisions.mode_blocks.items()}
        return self.hashing_mw[step] - sum(running[name] * mw for name, mw in asleep.items())

    def inference(self, steps: Sequence[int]) -> Series:
        """Metered power of the nodes in some steps, in mW / unit."""
        return _added((self._pool(p, steps) for p in self.site.gpu_pools), len(steps))

    def _pool(self, p: GpuPool, steps: Sequence[int]) -> Series:
        on, warm, pue = self.decisions.nodes_on[p.name], self._warm(p), self.pool_pue[p.name]
        power = [self.unit * p.power_w(on[t], p.node_fixed_w, warm[t]) for t in steps]
        for name, series in self.decisions.work_per_h[p.name].items():
            each = p.node_span_w * (self.unit // self.rates[p.name][name])
            power = [drawn + series[t] * each for drawn, t in zip(power, steps, strict=True)]
        return [drawn * pue[t] for drawn, t in zip(power, steps, strict=True)]

    def _warm(self, pool: GpuPool) -> Sequence[int]:
        return self.decisions.nodes_warm.get(pool.name) or [0] * len(self.steps)

    def weight(self, pool: GpuPool, workload: str, step: int) -> int:
        """Metered power of one unit of work per hour, in mW / unit."""
        return pool.node_span_w * self.pool_pue[pool.name][step] * (self.unit // self.rates[pool.name][workload])

    def draws(self, steps: Sequence[int]) -> Series:
        """Power at the meter in some steps, in mW / unit."""
        return self._with_miners(steps, self.inference(steps))

    def _with_miners(self, steps: Sequence[int], nodes: Series) -> Series:
        return [self.unit * (self.hashing_mw[t] + self.idle_mw[t]) + drawn for t, drawn in zip(steps, nodes, strict=True)]

    def draw(self, step: int) -> int:
        """Power at the meter, in mW / unit."""
        return self.draws((step,))[0]

    def draws_under(self, machines: Collection[str], steps: Sequence[int]) -> Series:
        """Metered power of some machines in some steps, such as those below a feeder, in mW / unit."""
        miners = [g.name for g in self.site.asic_groups if g.name in machines]
        nodes = _added((self._pool(p, steps) for p in self.site.gpu_pools if p.name in machines), len(steps))
        return [
            self.unit * sum(self.hashing[name][t] + self.asleep[name][t] for name in miners) + drawn
            for t, drawn in zip(steps, nodes, strict=True)
        ]

    def plan(self) -> SitePlan:
        """Return the decisions as a record, with its draws in whole watts."""
        steps, watt = self.steps, MILLIWATT_PER_W * self.unit
        nodes = self.inference(steps)
        made = self.decisions
        warmable = {p.name: p for p in self.site.gpu_pools if p.warm_w is not None}
        return SitePlan(
            groups={g: GroupPlan(mode_blocks={m: tuple(c) for m, c in modes.items()}) for g, modes in made.mode_blocks.items()},
            pools={
                p: PoolPlan(
                    nodes_on=tuple(made.nodes_on[p]),
                    nodes_warm=tuple(self._warm(warmable[p])) if p in warmable else None,
                    work_per_h={w: tuple(series) for w, series in works.items() if any(series)},
                )
                for p, works in made.work_per_h.items()
            },
            draw_w=tuple(-(-drawn // watt) for drawn in self._with_miners(steps, nodes)),
            hashing_w=tuple(mw // MILLIWATT_PER_W for mw in self.hashing_mw),
            inference_w=tuple(drawn // watt for drawn in nodes),
            limit_w=tuple(self.limit_w),
            reserves=planned(self.world, self.number, made.offers_kw, [self.shed_mw(t) for t in steps])
            if self.site.reserves
            else (),
        )


def _rates(world: World, hub: int | None) -> dict[str, int]:
    """Return the work per node and hour that the pools of a hub do, by workload; nothing where a pool has none."""
    return {} if hub is None else {world.workloads[w].name: rate for w, rate in world.hubs[hub].work_per_node_h.items()}


def _added(series: Iterable[Series], steps: int) -> Series:
    """Return the sum of series of so many steps."""
    return [sum(at_once) for at_once in zip([0] * steps, *series, strict=True)]


def lost_node_s(
    problem: Problem,
    pool: GpuPool,
    started: Sequence[Cohort],
    nodes_on: Sequence[int],
    nodes_warm: Sequence[int] | None = None,
    warm_before: int = 0,
) -> Series:
    """Return the node-seconds of each step in which nodes that are on still load or wake; the longest on stop first.

    nodes_warm: how many are warm, by step; absent: none. warm_before: how many were before the first step. Nodes that stop
    while they load are let go by a recovery and get not warm.
    """
    grid = problem.grid
    before = sum(c.count for c in started)
    warm = warm_before
    cohorts = sorted([_after_s(grid, c.since), c.count] for c in started)
    lost = []
    for t, on in enumerate(nodes_on):
        begin_s, length_s = grid.offset_s[t], grid.step_s[t]
        warm, were_warm = nodes_warm[t] if nodes_warm else 0, warm
        starts = max(0, on + warm - before - were_warm)
        woken = max(0, on - before - starts)
        if (left := on - starts - woken) < before:
            cohorts = _youngest(cohorts, left)
        if woken:
            cohorts.insert(0, [begin_s - pool.load_s, woken])
        if starts:
            cohorts.append([begin_s, starts])
        lost.append(woken * min(pool.wake_s, length_s))
        if cohorts and cohorts[-1][0] + pool.load_s > begin_s:  # the youngest still load
            lost[-1] += sum(n * max(0, min(since_s + pool.load_s, begin_s + length_s) - begin_s) for since_s, n in cohorts)
        before = on
    return lost


def _youngest(cohorts: Sequence[list[int]], count: int) -> list[list[int]]:
    """Return the youngest of cohorts [second, count], oldest first, so many machines in all."""
    left: list[list[int]] = []
    for since_s, there in reversed(cohorts):
        if here := min(there, count):
            left.insert(0, [since_s, here])
        count -= here
    return left


def workload_plans(problem: Problem, sites: Sequence[SiteDecisions]) -> dict[str, WorkloadPlan]:
    """Return for each workload what is not served, waits and is late, when these sites do what was decided."""
    plans = {}
    for workload in problem.fleet.workloads:
        served = served_per_h(problem, workload.name, sites)
        demand = problem.demand_work_per_h[workload.name]
        if workload.kind == "batch":
            waiting = stock(problem, workload, served)
            late = [max(0, stored - young) for stored, young in zip(waiting, not_yet_due(problem, workload), strict=True)]
            plans[workload.name] = WorkloadPlan(
                unserved_work_per_h=(0,) * len(demand),
                backlog_work=tuple(-(-stored // S_PER_H) for stored in waiting),
                late_work=tuple(-(-over // S_PER_H) for over in late),
            )
        else:
            missing = tuple(asked - done for asked, done in zip(demand, served, strict=True))
            plans[workload.name] = WorkloadPlan(unserved_work_per_h=missing)
    return plans


def served_per_h(problem: Problem, workload: str, sites: Sequence[SiteDecisions]) -> Series:
    """Return what all pools together do of a workload, by step."""
    done = (works[workload] for site in sites for works in site.work_per_h.values() if workload in works)
    return _added(done, problem.grid.steps)


def stock(problem: Problem, workload: BatchWorkload, served: Sequence[int]) -> Series:
    """Return the work that waits at the end of each step, in work x 3600, so that it is whole; negative: served too early."""
    waiting, now = [], waiting_at_start(problem, workload)
    for came, done, length_s in zip(problem.demand_work_per_h[workload.name], served, problem.grid.step_s, strict=True):
        now += (came - done) * length_s
        waiting.append(now)
    return waiting


def waiting_at_start(problem: Problem, workload: BatchWorkload) -> int:
    """Return the work that waits before the first step, in work x 3600."""
    return S_PER_H * sum(lot.work for lot in problem.state.backlog.get(workload.name, ()))


def not_yet_due(problem: Problem, workload: BatchWorkload) -> Series:
    """Return the work that may still wait at the end of each step, in work x 3600; arrivals come evenly over their step."""
    grid, arrivals = problem.grid, problem.demand_work_per_h[workload.name]
    lots = [(_after_s(grid, lot.due), lot.work) for lot in problem.state.backlog.get(workload.name, ())]
    young = []
    for t, end_s in enumerate(grid.offset_s[1:]):
        may_wait = S_PER_H * sum(work for due_s, work in lots if due_s > end_s)
        for h in range(t, -1, -1):
            came_s = grid.offset_s[h + 1] - max(grid.offset_s[h], end_s - workload.deadline_s)
            if came_s <= 0:
                break
            may_wait += arrivals[h] * came_s
        young.append(may_wait)
    return young


def _after_s(grid: TimeGrid, instant: datetime) -> int:
    """Whole seconds from the grid's start, rounded up."""
    return -((grid.start - instant) // SECOND)
