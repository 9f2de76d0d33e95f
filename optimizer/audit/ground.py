"""What the raw inputs say about each site and step, read once and in whole numbers; and how faults are put in words.

Power is in milliwatts here, since a PUE in thousandths makes every draw of whole watts exact in them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from models.asic import AsicGroup, Mode
from models.availability import Pin
from models.gpu import GpuPool
from models.problem import Problem
from models.site import Site
from models.state import SiteState
from models.time_grid import TimeGrid
from optimizer.audit.calendar import seconds_in
from optimizer.audit.feeders import Feeding, feeders_of, live_machines

SECOND = timedelta(seconds=1)
Watt = int | Fraction


@dataclass
class Findings:
    """Broken rules in words, each with its place and time."""

    grid: TimeGrid
    broken: list[str] = field(default_factory=list)

    def say(self, where: str, step: int, words: str) -> None:
        """Note a fault of a step."""
        self.broken.append(f"{where} step {step} ({stamp(self.grid.starts[step])}): {words}")

    def say_all(self, where: str, words: str) -> None:
        """Note a fault that belongs to no single step."""
        self.broken.append(f"{where}: {words}")


def barred(mode: Mode, ambient_c: float) -> bool:
    """Whether it is too hot for a mode."""
    return mode.max_ambient_c is not None and ambient_c > mode.max_ambient_c


def heat_milli(group: AsicGroup, ambient_c: float) -> tuple[int, int]:
    """What heat leaves of a miner's hash, and what it makes of its power, in thousandths."""
    rule, degrees = group.derating, ambient_c - group.derating.above_c
    if degrees <= 0:
        return 1000, 1000
    lost = min(rule.max_hash_loss_milli, round(rule.hash_loss_milli_per_c * degrees))
    risen = min(rule.max_power_rise_milli, round(rule.power_rise_milli_per_c * degrees))
    return 1000 - lost, 1000 + risen


def containers_w(pool: GpuPool, nodes: int) -> int:
    """Power of the containers that so many nodes fill, one after the other, at the machines."""
    each = pool.nodes_per_container
    return 0 if each is None else (nodes + each - 1) // each * pool.container_base_w


@dataclass(frozen=True)
class SiteFacts:
    """One site over the horizon, by step: limit in force, whether an order is, PUE by machine, floor, darkness, service.

    limit_w: lowest of connection, limit series and orders. [W]
    ordered: whether an order touches the step.
    pue_milli: by group and pool, thousandths.
    floor_mw: draw with all blocks asleep and all nodes off. [milliwatt]
    dark: the limit lies below the floor, so that nothing may draw.
    in_service: by group and pool, how many may run; none in the dark.
    pins: of this site, each with the number of steps that begin before it expires.
    ambient_c: outside temperature.
    feeders: each with its limit by step and the machines below it, whoever feeds others after them.
    live: by group and pool, whether no feeder above it is dead.
    asleep_mw: by group and pool, what all of it draws asleep; nothing in the dark or below a dead feeder. [milliwatt]
    today: local day of the state.
    price_usd_per_mwh: what a metered MWh costs.
    ramp_w_per_min: its own ramp, or its part of the fleet's step guard where that is less; None where there is neither.
    modes_mw: by group and mode, what a block draws beyond sleep in the heat; of a pool, a node without work. [milliwatt]
    highest_mw: the same in the highest mode that the heat allows; nothing where it allows none.
    hash_milli: by group, what heat leaves of the hash, in thousandths.
    """

    site: Site
    now: SiteState
    limit_w: list[int]
    ordered: list[bool]
    pue_milli: dict[str, list[int]]
    floor_mw: list[int]
    dark: list[bool]
    in_service: dict[str, list[int]]
    pins: list[tuple[Pin, int]]
    ambient_c: Sequence[float]
    feeders: list[Feeding]
    live: dict[str, list[bool]]
    asleep_mw: dict[str, list[int]]
    today: date
    price_usd_per_mwh: list[float]
    ramp_w_per_min: int | None
    modes_mw: dict[str, list[list[int]]]
    highest_mw: dict[str, list[int]]
    hash_milli: dict[str, list[int]]

    @property
    def machines(self) -> tuple[AsicGroup | GpuPool, ...]:
        """ASIC groups, then GPU pools, in the order of the site."""
        return (*self.site.asic_groups, *self.site.gpu_pools)


def site_facts(problem: Problem, site: Site) -> SiteFacts:
    """Read one site out of the raw inputs."""
    steps = range(problem.grid.steps)
    ambient = problem.ambient_c[site.ambient]
    machines: tuple[AsicGroup | GpuPool, ...] = (*site.asic_groups, *site.gpu_pools)
    pue = _pue(machines, ambient)
    limit_w, ordered = _limits(problem, site)
    feeders = feeders_of(problem, site)
    live = live_machines(site, pue, feeders)
    asleep_w = {g.name: g.blocks * g.miners_per_block * g.sleep_power_w for g in site.asic_groups}
    heat = {g.name: [heat_milli(g, c) for c in ambient] for g in site.asic_groups}
    modes_mw = {g.name: _modes_mw(g, heat[g.name], pue[g.name]) for g in site.asic_groups}
    modes_mw |= {p.name: [[p.node_fixed_w * milli for milli in pue[p.name]]] for p in site.gpu_pools}
    floor_mw = [site.base_load_w * 1000 for _ in steps]
    for name, watts in asleep_w.items():
        sleeping = zip(floor_mw, pue[name], live[name], strict=True)
        floor_mw = [mw + watts * milli if lit else mw for mw, milli, lit in sleeping]
    dark = [limit_w[t] * 1000 < floor_mw[t] for t in steps]
    return SiteFacts(
        site=site,
        now=problem.state.sites[site.name],
        limit_w=limit_w,
        ordered=ordered,
        pue_milli=pue,
        floor_mw=floor_mw,
        dark=dark,
        in_service=_in_service(problem, site, dark, live),
        ambient_c=ambient,
        feeders=feeders,
        live=live,
        asleep_mw={
            name: [0 if dark[t] or not live[name][t] else asleep_w.get(name, 0) * milli for t, milli in enumerate(series)]
            for name, series in pue.items()
        },
        today=problem.state.at.astimezone(ZoneInfo(site.zone)).date(),
        pins=[(p, sum(start < p.expires for start in problem.grid.starts)) for p in problem.pins if p.site == site.name],
        price_usd_per_mwh=_price(problem, site),
        ramp_w_per_min=_ramp(problem, site),
        modes_mw=modes_mw,
        highest_mw={m.name: _highest_mw(m, modes_mw[m.name], ambient) for m in machines},
        hash_milli={name: [hashes for hashes, _ in factors] for name, factors in heat.items()},
    )


def _pue(machines: Sequence[AsicGroup | GpuPool], ambient_c: Sequence[float]) -> dict[str, list[int]]:
    """By group and pool, thousandths."""
    return {
        m.name: [1000 for _ in ambient_c]
        if isinstance(m, GpuPool) and m.power_basis == "all_in"
        else [m.cooling.pue_milli(c) for c in ambient_c]
        for m in machines
    }


def _modes_mw(group: AsicGroup, heat: Sequence[tuple[int, int]], pue_milli: Sequence[int]) -> list[list[int]]:
    """What a block draws beyond sleep by mode and step; heat makes whole watts of each miner. [milliwatt]"""
    return [
        [
            group.miners_per_block * (-(-(mode.miner_power_w * milli) // 1000) - group.sleep_power_w) * pue
            for (_, milli), pue in zip(heat, pue_milli, strict=True)
        ]
        for mode in group.modes
    ]


def _highest_mw(machine: AsicGroup | GpuPool, modes_mw: list[list[int]], ambient_c: Sequence[float]) -> list[int]:
    if isinstance(machine, GpuPool):
        return modes_mw[0]
    highest = [0 for _ in ambient_c]
    for mode, drawn_mw in zip(machine.modes, modes_mw, strict=True):
        if mode.max_ambient_c is None:
            highest = drawn_mw
            continue
        highest = [old if barred(mode, c) else new for old, new, c in zip(highest, drawn_mw, ambient_c, strict=True)]
    return highest


def _ramp(problem: Problem, site: Site) -> int | None:
    """The lower of a site's own ramp and its part of the fleet's step guard, dealt by connection. [W per minute]"""
    guard = problem.fleet.step_guard
    if guard is None:
        return site.ramp_w_per_min
    whole_w = sum(each.connection_limit_w for each in problem.fleet.sites)
    part = guard.most_change_w * site.connection_limit_w // (5 * whole_w)
    return part if site.ramp_w_per_min is None else min(site.ramp_w_per_min, part)


def _limits(problem: Problem, site: Site) -> tuple[list[int], list[bool]]:
    """An order that touches a step binds the whole of it."""
    steps = problem.grid.steps
    series = problem.limit_w.get(site.name, (site.connection_limit_w,) * steps)
    limit_w = [min(site.connection_limit_w, w) for w in series]
    ordered = [False] * steps
    for order in problem.orders:
        if order.site != site.name:
            continue
        for t in range(steps):
            if _touches(problem.grid, t, order.start, order.end):
                limit_w[t], ordered[t] = min(limit_w[t], order.limit_w), True
    return limit_w, ordered


def _in_service(problem: Problem, site: Site, dark: Sequence[bool], live: dict[str, list[bool]]) -> dict[str, list[int]]:
    """An outage that touches a step takes its machines out of the whole of it."""
    counts = {g.name: g.blocks for g in site.asic_groups} | {p.name: p.nodes for p in site.gpu_pools}
    there = {name: [count for _ in dark] for name, count in counts.items()}
    for group in site.asic_groups:
        for t, celsius in enumerate(problem.ambient_c[site.ambient]):
            if barred(group.modes[0], celsius):
                there[group.name][t] = 0
    for outage in problem.outages:
        if outage.site == site.name:
            for t in range(len(dark)):
                if _touches(problem.grid, t, outage.start, outage.end):
                    there[outage.machine][t] -= outage.count
    return {
        name: [max(0, n) if lit and not out else 0 for n, lit, out in zip(left, live[name], dark, strict=True)]
        for name, left in there.items()
    }


def _touches(grid: TimeGrid, step: int, start: datetime, end: datetime | None) -> bool:
    begins = grid.starts[step]
    return start < begins + timedelta(seconds=grid.step_s[step]) and (end is None or end > begins)


def _price(problem: Problem, site: Site) -> list[float]:
    contract, grid = site.contract, problem.grid
    if contract.kind == "fixed":
        price = [contract.price_usd_per_mwh] * grid.steps
    elif contract.kind == "foreign":
        rates = problem.usd_per_unit[contract.currency]
        price = [contract.price_per_mwh * rate + contract.adder_usd_per_mwh for rate in rates]
    else:
        index = problem.prices_usd_per_mwh[contract.index]
        price = [p / (1 - contract.loss_share) + contract.adder_usd_per_mwh for p in index]
    for use in contract.time_of_use:
        for t, (start, length_s) in enumerate(zip(grid.starts, grid.step_s, strict=True)):
            price[t] += use.adder_usd_per_mwh * seconds_in(site.zone, use.hours, start, length_s) / length_s
    return price


def seconds_after(start: datetime, instant: datetime) -> int:
    """Return an instant in whole seconds after the grid's start, rounded up: what began inside a second began at its end."""
    return -((start - instant) // SECOND)


def stamp(instant: datetime) -> str:
    """Write an instant as `2026-11-22T11:00Z`, with seconds only where there are some."""
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ" if instant.second else "%Y-%m-%dT%H:%MZ")


def mega(milliwatt: Watt) -> str:
    """Write a power in MW, to the milliwatt and without trailing zeros: `31.2 MW`."""
    text = f"{float(milliwatt) / 1e9:.9f}".rstrip("0")
    return f"{text}0 MW" if text.endswith(".") else f"{text} MW"


def first_difference(got: Sequence[int], wanted: Sequence[int]) -> int | None:
    """Return the first step in which two series differ."""
    return next((t for t, (a, b) in enumerate(zip(got, wanted, strict=True)) if a != b), None)
