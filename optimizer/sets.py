"""What a problem means for the model: its sites, machines, workloads and hubs, and what holds in each step.

Every element makes its own data out of a `World`; what two elements share stands here, so that it is worked out once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from itertools import groupby

import numpy as np

from models.asic import AsicGroup
from models.billing import split_by_month
from models.cooling import Cooling
from models.gpu import GpuPool
from models.problem import Problem
from models.site import Site
from models.state import GroupState, PoolState
from models.workload import Workload
from optimizer.compiled import Flags, Floats, Ints
from optimizer.feeders import Branch, branches, live
from optimizer.hubs import Hub, hubs


@dataclass(frozen=True)
class Release:
    """What a recovery sets free of the past: the model is built as if the state had never bound more.

    blocks, nodes: by (site, group) or (site, pool), the most blocks or nodes that may be held on in each step by starts
    before the horizon (min up, warm-up, loading); absent where nothing is released.
    ramps: (site, step) whose ramp does not bind; steps are counted from 0.
    pins: by name, the first step in which a pin no longer holds.
    """

    blocks: Mapping[tuple[str, str], Sequence[int]] = field(default_factory=dict)
    nodes: Mapping[tuple[str, str], Sequence[int]] = field(default_factory=dict)
    ramps: frozenset[tuple[str, int]] = frozenset()
    pins: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Group:
    """An ASIC group at a site of the world (by position), and its state."""

    site: int
    label: str
    group: AsicGroup
    state: GroupState


@dataclass(frozen=True)
class Pool:
    """A GPU pool at a site of the world (by position), its state, and its hub (by position) if it can serve anything."""

    site: int
    label: str
    pool: GpuPool
    state: PoolState
    hub: int | None


@dataclass(frozen=True, eq=False)
class World:
    """A problem, or the part of it at some sites. Workloads and hubs are always those of the whole fleet.

    sites: the sites of this world; arrays by site and step follow their order.
    """

    problem: Problem
    sites: tuple[Site, ...]
    release: Release = Release()

    @cached_property
    def step_s(self) -> Ints:
        """Length of each step, in seconds."""
        return np.array(self.problem.grid.step_s, dtype=np.int64)

    @cached_property
    def start_s(self) -> Ints:
        """Start of each step, in seconds from the start of the grid."""
        return np.array(self.problem.grid.offset_s[:-1], dtype=np.int64)

    @cached_property
    def hours(self) -> Floats:
        """Length of each step, in hours."""
        return self.step_s / 3600.0

    @cached_property
    def months(self) -> tuple[str, ...]:
        """Billing months that the horizon touches by the calendar of any of these sites, in order."""
        return tuple(sorted({month for zone in {s.zone for s in self.sites} for month in self._seconds_by_month(zone)}))

    @cached_property
    def month_s(self) -> Ints:
        """Seconds of each step that lie in each billing month, by site, month and step."""
        steps = len(self.step_s)
        known = {zone: self._seconds_by_month(zone) for zone in {s.zone for s in self.sites}}
        rows = [[known[site.zone].get(month, [0] * steps) for month in self.months] for site in self.sites]
        return np.array(rows, dtype=np.int64).reshape(len(self.sites), len(self.months), steps)

    def _seconds_by_month(self, zone: str) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        grid = self.problem.grid
        for t, (start, length_s) in enumerate(zip(grid.starts, grid.step_s, strict=True)):
            for month, seconds in split_by_month(zone, start, start + timedelta(seconds=length_s)):
                found.setdefault(month, [0] * grid.steps)[t] = seconds
        return found

    @cached_property
    def workloads(self) -> tuple[Workload, ...]:
        """The workloads of the fleet."""
        return self.problem.fleet.workloads

    @cached_property
    def groups_at(self) -> dict[int, list[int]]:
        """Positions of the ASIC groups of each site."""
        return {number: [n for n, _ in members] for number, members in groupby(enumerate(self.groups), lambda at: at[1].site)}

    @cached_property
    def pools_at(self) -> dict[int, list[int]]:
        """Positions of the GPU pools of each site."""
        return {number: [n for n, _ in members] for number, members in groupby(enumerate(self.pools), lambda at: at[1].site)}

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """ASIC groups of these sites, site by site."""
        states = self.problem.state.sites
        return tuple(
            Group(n, f"{site.name}/{g.name}", g, states[site.name].groups[g.name])
            for n, site in enumerate(self.sites)
            for g in site.asic_groups
        )

    @cached_property
    def pools(self) -> tuple[Pool, ...]:
        """GPU pools of these sites, site by site."""
        states = self.problem.state.sites
        hub_of = {pool: n for n, hub in enumerate(self.hubs) for pool in hub.pools}
        return tuple(
            Pool(n, f"{site.name}/{p.name}", p, states[site.name].pools[p.name], hub_of.get((site.name, p.name)))
            for n, site in enumerate(self.sites)
            for p in site.gpu_pools
        )

    @cached_property
    def hubs(self) -> tuple[Hub, ...]:
        """Hubs of the whole fleet."""
        return hubs(self.problem)

    @cached_property
    def ordered(self) -> Flags:
        """True by site and step where a limit order touches the step."""
        return np.isfinite(self._order_limit_w)

    @cached_property
    def effective_limit_w(self) -> Ints:
        """Lowest of connection, limit series and orders in force, by site and step."""
        connection = np.array([site.connection_limit_w for site in self.sites], dtype=np.float64)[:, None]
        limits = np.minimum(connection, self._order_limit_w)
        for n, site in enumerate(self.sites):
            if site.name in self.problem.limit_w:
                limits[n] = np.minimum(limits[n], self.problem.limit_w[site.name])
        return np.asarray(limits, dtype=np.int64)

    @cached_property
    def _order_limit_w(self) -> Floats:
        limits = np.full((len(self.sites), len(self.step_s)), np.inf)
        position = {site.name: n for n, site in enumerate(self.sites)}
        for order in self.problem.orders:
            if order.site in position:
                touched = self.touched(order.start, order.end)
                here = limits[position[order.site]]
                here[touched] = np.minimum(here[touched], order.limit_w)
        return limits

    def touched(self, start: datetime, end: datetime | None) -> Flags:
        """True for the steps that a time from `start` until `end` (open if absent) touches."""
        begins_s = (start - self.problem.grid.start).total_seconds()
        ends_s = np.inf if end is None else (end - self.problem.grid.start).total_seconds()
        return np.asarray((begins_s < self.start_s + self.step_s) & (ends_s > self.start_s))

    @cached_property
    def group_pue_milli(self) -> Ints:
        """PUE of each ASIC group, by step, in thousandths."""
        return self._pue([(g.site, g.group.cooling) for g in self.groups])

    @cached_property
    def pool_pue_milli(self) -> Ints:
        """Factor from node power to metered power of each GPU pool, by step, in thousandths."""
        cooled = self._pue([(p.site, p.pool.cooling) for p in self.pools])
        all_in = np.array([p.pool.power_basis == "all_in" for p in self.pools], dtype=np.bool_)
        cooled[all_in] = 1000
        return cooled

    def _pue(self, machines: Sequence[tuple[int, Cooling]]) -> Ints:
        known: dict[tuple[str, Cooling], list[int]] = {}
        rows = []
        for site, cooling in machines:
            key = (self.sites[site].ambient, cooling)
            if key not in known:
                known[key] = [cooling.pue_milli(c) for c in self.problem.ambient_c[key[0]]]
            rows.append(known[key])
        return np.array(rows, dtype=np.int64).reshape(len(machines), len(self.step_s))

    @cached_property
    def branches(self) -> tuple[Branch, ...]:
        """Feeders of these sites, site by site; whoever feeds others comes after them."""
        return tuple(branch for n, site in enumerate(self.sites) for branch in branches(self.problem, n, site))

    def branches_at(self, site: int) -> Sequence[Branch]:
        """Return the feeders of a site, in their order."""
        return self._branches_by_site.get(site, ())

    @cached_property
    def _branches_by_site(self) -> dict[int, list[Branch]]:
        return {site: list(found) for site, found in groupby(self.branches, lambda branch: branch.site)}

    @cached_property
    def live(self) -> tuple[dict[str, Flags], ...]:
        """Whether no feeder above a machine is dead: by site, machine and step."""
        asleep: list[dict[str, Ints]] = [{p.name: np.zeros_like(self.step_s) for p in site.gpu_pools} for site in self.sites]
        for g, pue in zip(self.groups, self.group_pue_milli, strict=True):
            asleep[g.site][g.group.name] = g.group.blocks * g.group.block_sleep_w * pue
        return tuple(live(self.branches_at(n), mw) for n, mw in enumerate(asleep))

    @cached_property
    def asleep_mw(self) -> Ints:
        """What each ASIC group draws, in milliwatts by step, when all its blocks sleep; nothing below a dead feeder."""
        rows = [
            self.live[g.site][g.group.name] * (g.group.blocks * g.group.block_sleep_w * pue)
            for g, pue in zip(self.groups, self.group_pue_milli, strict=True)
        ]
        return np.array(rows, dtype=np.int64).reshape(len(rows), len(self.step_s))

    @cached_property
    def floor_mw(self) -> Ints:
        """What a site draws, in milliwatts by step, when every block sleeps and every node is off: base load and sleep."""
        floor = np.repeat(np.array([[1000 * site.base_load_w] for site in self.sites], dtype=np.int64), len(self.step_s), axis=1)
        for g, asleep_mw in zip(self.groups, self.asleep_mw, strict=True):
            floor[g.site] += asleep_mw
        return floor

    @cached_property
    def energised(self) -> Flags:
        """True by site and step where the effective limit leaves room for the floor; elsewhere the site is dark."""
        return 1000 * self.effective_limit_w >= self.floor_mw

    @cached_property
    def ramp_binds(self) -> Flags:
        """True by site and step where a ramp holds: none under or after an order, none dark or after dark, none released."""
        calm = self.energised & ~self.ordered
        binds = calm.copy()
        binds[:, 1:] &= calm[:, :-1]
        for n, site in enumerate(self.sites):
            binds[n] &= self.problem.fleet.ramp_w_per_min(site) is not None
        position = {site.name: n for n, site in enumerate(self.sites)}
        for name, t in self.release.ramps:
            if name in position:
                binds[position[name], t] = False
        return binds

    def released(self, release: Release) -> "World":
        """Return the same world with what a recovery sets free; what does not depend on that is not worked out again."""
        other = World(self.problem, self.sites, release)
        vars(other).update({name: known for name, known in vars(self).items() if name not in ("release", "ramp_binds")})
        return other


def world(problem: Problem, sites: Sequence[str] | None = None, release: Release | None = None) -> World:
    """Return the whole fleet as a world, or only the named sites.

    Raises:
        KeyError: a site is not in the fleet.
    """
    known = problem.fleet.site_by_name
    chosen = problem.fleet.sites if sites is None else tuple(known[name] for name in sites)
    return World(problem, chosen, release or Release())
