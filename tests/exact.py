"""A second way to the best plan of a tiny fleet: all whole decisions one by one, the rest by exact linear programming.

It shares nothing with the formulation. Every path of every machine through the horizon is followed block by block and
node by node; what it draws, earns and can serve is added up. For whole decisions, what remains is a small linear
programme in node units of work; only its right-hand side depends on them, so a dual solution of one bounds all others,
and few have to be solved. All numbers are fractions of the numbers as they are written; nothing is rounded.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from itertools import pairwise, product
from math import ceil, comb, prod
from zoneinfo import ZoneInfo

import numpy as np
from exact_contracts import CONTRACTS, adders_usd_per_mwh, block_usd, crossed, hashprice, hinges
from exact_reserves import above_sleep_mw, closed, reserve_rows
from simplex import maximise

from models.asic import AsicGroup
from models.base import Record
from models.gpu import GpuPool
from models.problem import Problem
from models.site import Site
from optimizer.audit.calendar import seconds_in
from optimizer.audit.forced import forced_by_state
from optimizer.audit.ground import site_facts

ZERO = Fraction(0)
KNOWN: dict[type[Record], frozenset[str]] = {
    Problem: frozenset(
        "schema_version name grid fleet hashprice_usd_per_ph_day difficulty_steps prices_usd_per_mwh usd_per_unit "
        "carbon_kg_per_mwh ambient_c "
        "limit_w feeder_limit_w demand_work_per_h orders awards outages pins outlook state labels sources".split()
    ),
    Site: frozenset(
        "name title region country zone ambient connection_limit_w base_load_w ramp_w_per_min contract "
        "asic_groups gpu_pools feeders reserves safe authority source".split()
        + list(CONTRACTS)
    ),
    AsicGroup: frozenset(
        "name model blocks miners_per_block modes sleep_power_w min_up_s min_down_s warm_up_s start_wear_usd end_value_share "
        "forced_stop_usd_per_block_h max_starts_per_day derating pool_fee firmware_fee stale_share uptime cooling source".split()
    ),
    GpuPool: frozenset(
        "name gpu_type nodes node_fixed_w node_span_w power_basis throughput_tokens_per_s load_s min_up_s "
        "start_cost_usd end_value_share nodes_per_container container_base_w warm_w wake_s cooling source".split()
    ),
}
"""What this method reads of each record. Whoever teaches it more adds the names here."""

ENOUGH = 1e-9
"""A bound that beats the best plan by less than this share is not worth solving."""


def written(number: float) -> Fraction:
    """Return a number as it is written in decimals."""
    return Fraction(repr(number)) if isinstance(number, float) else Fraction(number)


def plain(problem: Problem) -> Problem:
    """Return the problem without anything that this method has never heard of."""
    raw = {name: value for name, value in problem.model_dump().items() if name in KNOWN[Problem]}
    raw["fleet"]["sites"] = tuple(
        {
            **{name: value for name, value in site.items() if name in KNOWN[Site]},
            **({"block_power": None} if crossed(problem, problem.fleet.site_by_name[site["name"]]) else {}),
            "asic_groups": tuple({n: v for n, v in group.items() if n in KNOWN[AsicGroup]} for group in site["asic_groups"]),
            "gpu_pools": tuple({n: v for n, v in pool.items() if n in KNOWN[GpuPool]} for pool in site["gpu_pools"]),
        }
        for site in map(closed, raw["fleet"]["sites"])
    )
    return Problem.model_validate(raw)


def integer_points(problem: Problem) -> int:
    """Count all whole decisions, lawful or not."""
    blocks = (comb(g.blocks + len(g.modes), len(g.modes)) for s in problem.fleet.sites for g in s.asic_groups)
    nodes = (p.nodes + 1 if p.warm_w is None else comb(p.nodes + 2, 2) for s in problem.fleet.sites for p in s.gpu_pools)
    return prod((*blocks, *nodes)) ** problem.grid.steps


@dataclass
class Path:
    """One machine's way through the horizon: its profit, and by step its fixed draw and the nodes that serve.

    draw_mw: above base load, in milliwatts. serves: in nodes. shed_mw: of miners above sleep.
    """

    usd: Fraction
    draw_mw: list[int]
    serves: list[Fraction]
    shed_mw: list[int] = field(default_factory=list)


@dataclass
class _Place:
    """One site by step: limits, darkness, cooling, prices and ramps, read from the raw inputs."""

    problem: Problem
    site: Site

    def __post_init__(self) -> None:
        grid, site = self.problem.grid, self.site
        self.step_s, self.start_s = grid.step_s, grid.offset_s[:-1]
        series = self.problem.limit_w.get(site.name, [site.connection_limit_w] * grid.steps)
        self.limit_w = [min(w, site.connection_limit_w) for w in series]
        self.ordered = [False] * grid.steps
        for order in (o for o in self.problem.orders if o.site == site.name):
            for t in range(grid.steps):
                begins = (order.start - grid.start).total_seconds()
                ends = float("inf") if order.end is None else (order.end - grid.start).total_seconds()
                if begins < self.start_s[t] + self.step_s[t] and ends > self.start_s[t]:
                    self.limit_w[t], self.ordered[t] = min(self.limit_w[t], order.limit_w), True
        self.ambient = self.problem.ambient_c[site.ambient]
        self.feeders = self._fed()
        self.dead = self._without_feeder()
        self.dark = [
            self.limit_w[t] * 1000
            < site.base_load_w * 1000
            + sum(
                g.blocks * g.miners_per_block * g.sleep_power_w * g.cooling.pue_milli(self.ambient[t])
                for g in site.asic_groups
                if (g.name, t) not in self.dead
            )
            for t in range(grid.steps)
        ]
        contract = site.contract
        if contract.kind == "fixed":
            self.price = [written(contract.price_usd_per_mwh)] * grid.steps
        elif contract.kind == "foreign":
            rates = self.problem.usd_per_unit[contract.currency]
            self.price = [written(contract.price_per_mwh) * written(r) + written(contract.adder_usd_per_mwh) for r in rates]
        else:
            index = self.problem.prices_usd_per_mwh[contract.index]
            kept = 1 - written(contract.loss_share)
            self.price = [written(p) / kept + written(contract.adder_usd_per_mwh) for p in index]
        for use in contract.time_of_use:
            for t, start in enumerate(grid.starts):
                share = Fraction(seconds_in(site.zone, use.hours, start, self.step_s[t]), self.step_s[t])
                self.price[t] += written(use.adder_usd_per_mwh) * share
        self.energy_price = list(self.price)
        for t, usd in enumerate(adders_usd_per_mwh(self.problem, site)):
            self.price[t] += usd
        self.forced = forced_by_state(site_facts(self.problem, site), grid)

    def _fed(self) -> list[tuple[str, set[str], list[int]]]:
        """Feeders with the machines below them and their limits."""
        given = self.problem.feeder_limit_w.get(self.site.name, {})
        found: list[tuple[str, set[str], list[int]]] = []
        for feeder in self.site.feeders:
            below = set(feeder.members)
            for name, machines, _ in found:
                if name in below:
                    below = (below - {name}) | machines
            series = given.get(feeder.name, [feeder.limit_w] * self.problem.grid.steps)
            found.append((feeder.name, below, [min(w, feeder.limit_w) for w in series]))
        return found

    def _without_feeder(self) -> set[tuple[str, int]]:
        """Machines and steps in which a feeder above them cannot even carry their sleep."""
        dead: set[tuple[str, int]] = set()
        for _, machines, limit_w in self.feeders:
            for t, watts in enumerate(limit_w):
                sleep_mw = sum(
                    g.blocks * g.miners_per_block * g.sleep_power_w * g.cooling.pue_milli(self.ambient[t])
                    for g in self.site.asic_groups
                    if g.name in machines and (g.name, t) not in dead
                )
                if sleep_mw > watts * 1000:
                    dead |= {(name, t) for name in machines}
        return dead

    def able(self, name: str, total: int, t: int) -> int:
        """How many machines may run in a step."""
        if self.dark[t] or (name, t) in self.dead:
            return 0
        ends = self.problem.grid.starts[t] + timedelta(seconds=self.step_s[t])
        for outage in self.problem.outages:
            if (outage.site, outage.machine) == (self.site.name, name) and outage.start < ends:
                total -= outage.count if outage.end is None or outage.end > self.problem.grid.starts[t] else 0
        return max(0, total)

    def pinned(self, name: str, t: int) -> tuple[str | None, int] | None:
        """Mode (or none) and count of a pin that holds in a step."""
        for pin in self.problem.pins:
            if (pin.site, pin.machine) == (self.site.name, name) and t < self.forced.pins.get(pin.name, 0):
                return pin.mode, pin.count
        return None

    @property
    def ramp_w_per_min(self) -> int | None:
        """The site's own ramp, or its part of the fleet's step guard by its connection, in whole watts a minute."""
        own, fleet = self.site.ramp_w_per_min, self.problem.fleet
        if fleet.step_guard is None:
            return own
        part = Fraction(self.site.connection_limit_w, sum(s.connection_limit_w for s in fleet.sites))
        share = int(fleet.step_guard.most_change_w * part / 5)
        return share if own is None else min(own, share)

    def energy_usd(self, t: int, milliwatt: Fraction | int) -> Fraction:
        """What a draw costs over a step."""
        return self.price[t] * milliwatt * self.step_s[t] / (3600 * 10**9)

    def ramped(self, t: int) -> bool:
        """Whether the ramp holds from the step before to this one."""
        if self.ramp_w_per_min is None or t in self.forced.ramps or self.ordered[t] or self.dark[t]:
            return False
        return t == 0 or not (self.ordered[t - 1] or self.dark[t - 1])


def _lives(
    place: _Place, name: str, on: Sequence[int], total: int, up_s: int, down_s: int, idle_s: int, warm=None, wake_s: int = 0
) -> tuple[list[int], list[int]] | None:
    """Follow machines one by one; return by step the machine-seconds lost to starting and the starts, or None if unlawful.

    warm: of nodes, how many others keep what they loaded. One that wakes was held by nothing.
    """
    problem = place.problem
    now = problem.state.sites[place.site.name]
    state = now.groups[name] if name in now.groups else now.pools[name]
    since = [-((problem.grid.start - c.since).total_seconds() // 1) for c in state.started for _ in range(c.count)]
    running = sorted((float(s), True) for s in since)
    stopped = [
        -((problem.grid.start - c.since).total_seconds() // 1) for c in getattr(state, "stopped", ()) for _ in range(c.count)
    ]
    resting = sorted([float("-inf")] * (total - len(running) - len(stopped)) + stopped)
    lost, started = [], []
    put_by = getattr(state, "nodes_warm", 0)
    for t, count in enumerate(on):
        pin = place.pinned(name, t)
        now_warm = warm[t] if warm else 0
        if count + now_warm > place.able(name, total, t) or (pin is not None and pin[0] is None and count != pin[1]):
            return None
        start_s, length_s = place.start_s[t], place.step_s[t]
        before = len(running) + put_by
        new = max(0, count + now_warm - before)
        awake = max(0, count - len(running) - new)
        less = len(running) + new + awake - count
        put_by = now_warm
        if new > count:
            return None  # a node that was off is warm
        running[:0] = [(float("-inf"), True)] * awake
        started.append(new)
        if new:
            if any(start_s - s < down_s for s in resting[:new]):
                return None
            del resting[:new]
            running += [(start_s, False)] * new
        if less:
            gone = running[:less]
            del running[:less]
            for s, of_state in gone:
                if start_s - s < up_s and not of_state:
                    return None
            loading = sum(start_s - s < idle_s for s, _ in gone)
            if loading and now_warm and count + now_warm > before - loading:
                return None  # who is let go while it loads is off, not warm, and where that must be nothing can start
            if any(start_s - s < up_s for s, _ in gone):
                still = sum(of_state and start_s - s < up_s for s, of_state in running)
                if still < place.forced.kept[name][t]:
                    return None
            resting += [start_s] * less
        waking_s = awake * min(wake_s, length_s)
        lost.append(waking_s + int(sum(max(0, min(s + idle_s, start_s + length_s) - start_s) for s, _ in running)))
    return lost, started


def _group_paths(place: _Place, group: AsicGroup) -> Iterator[Path]:
    problem = place.problem
    per_step = [c for c in product(range(group.blocks + 1), repeat=len(group.modes)) if sum(c) <= group.blocks]
    paid = (
        (1 - written(group.pool_fee))
        * (1 - written(group.firmware_fee))
        * (1 - written(group.stale_share))
        * written(group.uptime)
    )
    hash_ph = [group.miners_per_block * written(m.miner_hash_th_per_s) / 1000 for m in group.modes]
    for counts in product(per_step, repeat=problem.grid.steps):
        on = [sum(c) for c in counts]
        lived = _lives(place, group.name, on, group.blocks, group.min_up_s, group.min_down_s, group.warm_up_s)
        if lived is None or not _may_run(place, group, counts) or not _may_start(place, group, on):
            continue
        lost, started = lived
        usd, draw_mw = ZERO, []
        for t, row in enumerate(counts):
            pue = group.cooling.pue_milli(place.ambient[t])
            asleep = 0 if place.dark[t] or (group.name, t) in place.dead else (group.blocks - on[t]) * group.sleep_power_w
            more, less = _heat(group, place.ambient[t])
            watts = sum(n * ceil(m.miner_power_w * more) for n, m in zip(row, group.modes, strict=True)) + asleep
            draw_mw.append(watts * group.miners_per_block * pue)
            ph_s = sum(n * ph for n, ph in zip(row, hash_ph, strict=True)) * place.step_s[t] - hash_ph[0] * lost[t]
            ph_s *= less
            usd += hashprice(problem, t) * paid * ph_s / 86_400 - place.energy_usd(t, draw_mw[t])
            usd -= written(group.start_wear_usd) * started[t]
            missed_h = Fraction(place.forced.missed[group.name][t] * place.step_s[t], 3_600)
            usd -= written(group.forced_stop_usd_per_block_h) * missed_h
        usd += _worth_at_end(place, group, on[-1], started)
        shed_mw = [
            sum(n * above_sleep_mw(group, m, place.ambient[t], _heat) for n, m in zip(row, group.modes, strict=True))
            for t, row in enumerate(counts)
        ]
        yield Path(usd, draw_mw, [], shed_mw)


def _worth_at_end(place: _Place, group: AsicGroup, on: int, started: Sequence[int]) -> Fraction:
    """The group's share of the starts that running blocks save; who warms up still has not paid for the warm-up."""
    problem, end_s = place.problem, sum(place.step_s)
    paid = prod(1 - written(x) for x in (group.pool_fee, group.firmware_fee, group.stale_share)) * written(group.uptime)
    ph = group.miners_per_block * written(group.modes[0].miner_hash_th_per_s) / 1000 * _heat(group, place.ambient[-1])[1]
    warm_up = hashprice(problem, problem.grid.steps - 1) * ph * paid * group.warm_up_s / 86_400
    late = sum(n for n, s in zip(started, place.start_s, strict=True) if s + group.warm_up_s > end_s)
    return written(group.end_value_share) * (on * (written(group.start_wear_usd) + warm_up) - late * warm_up)


def _heat(group: AsicGroup, ambient_c: float) -> tuple[Fraction, Fraction]:
    """What heat makes of power and of hash."""
    rule, degrees = group.derating, max(0.0, ambient_c - group.derating.above_c)
    more = min(round(rule.power_rise_milli_per_c * degrees), rule.max_power_rise_milli)
    less = min(round(rule.hash_loss_milli_per_c * degrees), rule.max_hash_loss_milli)
    return Fraction(1000 + more, 1000), Fraction(1000 - less, 1000)


def _may_run(place: _Place, group: AsicGroup, counts: Sequence[Sequence[int]]) -> bool:
    """Whether no mode runs in too much heat and pinned modes run as pinned."""
    for t, row in enumerate(counts):
        pin = place.pinned(group.name, t)
        for mode, count in zip(group.modes, row, strict=True):
            if count and mode.max_ambient_c is not None and place.ambient[t] > mode.max_ambient_c:
                return False
            if pin is not None and pin[0] == mode.name and count != pin[1]:
                return False
    return True


def _may_start(place: _Place, group: AsicGroup, on: Sequence[int]) -> bool:
    """Whether no local day sees more starts than its blocks may make."""
    if group.max_starts_per_day is None:
        return True
    zone, now = ZoneInfo(place.site.zone), place.problem.state.sites[place.site.name].groups[group.name]
    started = {place.problem.state.at.astimezone(zone).date(): now.starts_today}
    before = now.running
    for start, count in zip(place.problem.grid.starts, on, strict=True):
        day = start.astimezone(zone).date()
        started[day] = started.get(day, 0) + max(0, count - before)
        if count > before and started[day] > group.blocks * group.max_starts_per_day:
            return False
        before = count
    return True


def _pool_paths(place: _Place, pool: GpuPool) -> Iterator[Path]:
    problem = place.problem
    most_warm = 0 if pool.warm_w is None else pool.nodes
    per_step = [c for c in product(range(pool.nodes + 1), range(most_warm + 1)) if sum(c) <= pool.nodes]
    for counts in product(per_step, repeat=problem.grid.steps):
        on, warm = zip(*counts, strict=True)
        hold_s = max(pool.min_up_s, pool.load_s)
        lived = _lives(place, pool.name, on, pool.nodes, hold_s, 0, pool.load_s, warm, pool.wake_s)
        if lived is None:
            continue
        lost, started = lived
        usd, draw_mw = ZERO, []
        for t, (n, w) in enumerate(counts):
            containers = ceil(Fraction(n + w, pool.nodes_per_container)) if pool.nodes_per_container else 0
            watts = n * pool.node_fixed_w + w * (pool.warm_w or 0) + containers * pool.container_base_w
            draw_mw.append(watts * pool.pue_milli(place.ambient[t]))
            usd -= place.energy_usd(t, draw_mw[t]) + written(pool.start_cost_usd) * started[t]
        usd += written(pool.end_value_share) * written(pool.start_cost_usd) * sum(counts[-1])
        yield Path(usd, draw_mw, [n - Fraction(gone, s) for n, gone, s in zip(on, lost, place.step_s, strict=True)])


@dataclass
class _Rest:
    """The linear programme in work: columns in nodes, rows `coefficients <= right`; `right` is what whole decisions add to."""

    gain: list[Fraction] = field(default_factory=list)
    rows: list[dict[int, Fraction]] = field(default_factory=list)
    right: list[Fraction] = field(default_factory=list)
    usd: Fraction = ZERO

    def column(self, gain: Fraction) -> int:
        self.gain.append(gain)
        return len(self.gain) - 1

    def row(self, coefficients: dict[int, Fraction], right: Fraction | int) -> int:
        self.rows.append(coefficients)
        self.right.append(Fraction(right))
        return len(self.rows) - 1


def best_profit(problem: Problem) -> Fraction | None:
    """Return the profit of the best plan of a tiny fleet, or None where there is no plan. [USD]."""
    places = [_Place(problem, site) for site in problem.fleet.sites]
    rest = _Rest()
    columns = _columns(problem, places, rest)
    _demand(problem, rest, columns)
    serving, limits, ramps = _site_rows(problem, places, rest, columns)
    lines = {place.site.name: _contracts(problem, place, rest, columns) for place in places}
    ready = {
        place.site.name: reserve_rows(problem, place.site, place.energy_price, place.ambient, _heat, rest) for place in places
    }
    paths: list[list[Path]] = []
    effects: list[list[dict[int, Fraction]]] = []
    for place in places:
        here = {(place.site.name, t): t for t in range(problem.grid.steps)}
        for machine in (*place.site.asic_groups, *place.site.gpu_pools):
            found = list(_group_paths(place, machine) if isinstance(machine, AsicGroup) else _pool_paths(place, machine))
            if not found:
                return None
            paths.append(found)
            effects.append([_effect(path, place, machine.name, here, serving, limits, ramps, lines, ready) for path in found])
    return _search(rest, paths, effects)


def _columns(problem: Problem, places: list[_Place], rest: _Rest) -> dict[tuple[str, str, str, int], int]:
    """One column for each workload, pool that may serve it, and step."""
    columns = {}
    for place in places:
        for t, length_s in enumerate(problem.grid.step_s):
            base = 0 if place.dark[t] else place.site.base_load_w * 1000
            rest.usd -= place.energy_usd(t, base)
            for pool in place.site.gpu_pools:
                span_mw = pool.node_span_w * pool.pue_milli(place.ambient[t])
                for w in problem.fleet.workloads:
                    rate = w.work_per_node_h(pool)
                    if not rate or not _may_serve(problem, place.site, w):
                        continue
                    usd = ZERO if w.kind == "reserved" else written(w.price_usd_per_mwork)
                    usd += ZERO if w.kind == "batch" else written(w.unserved_usd_per_mwork)
                    usd -= written(w.routing_usd_per_mwork[place.site.region])
                    gain = usd * rate * length_s / (3600 * 10**6) - place.energy_usd(t, span_mw)
                    columns[w.name, place.site.name, pool.name, t] = rest.column(gain)
    return columns


def _may_serve(problem: Problem, site: Site, w) -> bool:
    """Whether region, residency and latency let a site serve a workload."""
    limit = getattr(w, "latency", None)
    near = limit is None or problem.fleet.latency_ms[limit.users].get(site.region, limit.most_ms + 1) <= limit.most_ms
    return near and site.region in w.routing_usd_per_mwork and (w.countries is None or site.country in w.countries)


def _demand(problem: Problem, rest: _Rest, columns: dict[tuple[str, str, str, int], int]) -> None:
    rates = {
        (w.name, s.name, p.name): w.work_per_node_h(p)
        for w in problem.fleet.workloads
        for s in problem.fleet.sites
        for p in s.gpu_pools
    }
    for w in problem.fleet.workloads:
        mine = {key: column for key, column in columns.items() if key[0] == w.name}
        asked = problem.demand_work_per_h[w.name]
        if w.kind == "batch":
            _batch(problem, rest, w, mine, rates)
            continue
        for t, length_s in enumerate(problem.grid.step_s):
            million = Fraction(asked[t] * length_s, 3600 * 10**6)
            rest.usd -= written(w.unserved_usd_per_mwork) * million
            if w.kind == "reserved":
                rest.usd += written(w.price_usd_per_mwork) * million
            rest.row({c: Fraction(rates[key[:3]]) for key, c in mine.items() if key[3] == t}, asked[t])
        if w.service_level is not None:
            _level(problem, rest, w, mine, rates)


def _level(problem: Problem, rest: _Rest, w, mine, rates) -> None:
    """By local day or month, second by second of the horizon: what must be served, less what is, is missing."""
    grid, level = problem.grid, w.service_level
    share, zone = Fraction(level.served_ppm, 10**6), ZoneInfo(level.zone)
    length = 7 if level.period == "month" else 10

    def period(instant):
        return instant.astimezone(zone).date().isoformat()[:length]

    minutes = sorted({0, grid.offset_s[-1], *range(0, grid.offset_s[-1], 60), *grid.offset_s})
    seconds: dict[str, dict[int, int]] = {}
    for begins, ends in pairwise(minutes):
        step = sum(offset <= begins for offset in grid.offset_s) - 1
        here = seconds.setdefault(period(grid.start + timedelta(seconds=begins)), {})
        here[step] = here.get(step, 0) + ends - begins
    for name, inside in seconds.items():
        seen_s = sum(inside.values())
        beyond = (grid.end + timedelta(seconds=n) for n in range(0, 32 * 86_400, 3_600) if period(grid.end) == name)
        whole_h = next((n for n, at in enumerate(beyond) if period(at) != name), 0)
        at = grid.end + timedelta(hours=max(0, whole_h - 1))
        while whole_h and period(at) == name:
            at += timedelta(seconds=60)
        left_s = seen_s + (int((at - grid.end).total_seconds()) if whole_h else 0)
        known = problem.state.service.get(w.name, {}).get(name)
        owed = share * known.demanded_work - known.served_work if known else ZERO
        due = owed * seen_s / left_s + share * sum(problem.demand_work_per_h[w.name][t] * s for t, s in inside.items()) / 3600
        missing = rest.column(-written(level.shortfall_usd_per_mwork) / 10**6)
        done = {c: Fraction(-rates[key[:3]] * inside[key[3]], 3600) for key, c in mine.items() if key[3] in inside}
        rest.row({**done, missing: Fraction(-1)}, -due)


def _batch(problem: Problem, rest: _Rest, w, mine, rates) -> None:
    """Work x 3600 that has come by each step's end, and how much of it may still wait."""
    grid = problem.grid
    lots = problem.state.backlog.get(w.name, ())
    come = 3600 * sum(lot.work for lot in lots)
    for t, length_s in enumerate(grid.step_s):
        end_s = grid.offset_s[t + 1]
        come += problem.demand_work_per_h[w.name][t] * length_s
        young = 3600 * sum(lot.work for lot in lots if (lot.due - grid.start).total_seconds() > end_s)
        for h in range(t + 1):
            young_s = grid.offset_s[h + 1] - max(grid.offset_s[h], end_s - w.deadline_s)
            young += problem.demand_work_per_h[w.name][h] * max(0, min(young_s, grid.step_s[h]))
        done = {c: Fraction(rates[key[:3]] * grid.step_s[key[3]]) for key, c in mine.items() if key[3] <= t}
        rest.row(done, come)
        last_usd = _later_usd(problem, w, mine, rates) if t == grid.steps - 1 else ZERO
        late = rest.column(-written(w.late_usd_per_mwork_h) * length_s / (3600 * 10**6 * 3600) - last_usd)
        rest.usd += last_usd * come
        for c, a in done.items():
            rest.gain[c] -= last_usd * a
        rest.row({**{c: -a for c, a in done.items()}, late: Fraction(-1)}, young - come)


def _later_usd(problem: Problem, w, mine, rates) -> Fraction:
    """What a unit of work that waits at the end is worth, for each 3600th of it: price less the least mean cost."""
    share, steps = written(w.end_value_share), problem.grid.step_s
    best = ZERO
    for site, pool in {(key[1], key[2]) for key in mine} if share else ():
        place = _Place(problem, problem.fleet.site_by_name[site])
        there = next(p for p in place.site.gpu_pools if p.name == pool)
        watts = there.node_fixed_w + there.node_span_w
        mean = sum(p * watts * there.pue_milli(c) * s for p, c, s in zip(place.energy_price, place.ambient, steps, strict=True))
        usd_per_unit = mean / (sum(steps) * 10**9 * rates[w.name, site, pool])
        price = written(w.price_usd_per_mwork) - written(w.routing_usd_per_mwork[place.site.region])
        best = max(best, price / 10**6 - usd_per_unit)
    return share * best / 3600


def _site_rows(problem: Problem, places: list[_Place], rest: _Rest, columns):
    """Rows whose right-hand sides whole decisions change: nodes that serve, limits, ramps."""
    serving, limits, ramps = {}, {}, {}
    for place in places:
        for feeder, machines, limit_w in place.feeders:
            for t, watts in enumerate(limit_w):
                drawn = {
                    c: Fraction(pool.node_span_w * pool.pue_milli(place.ambient[t]))
                    for pool in place.site.gpu_pools
                    for key, c in columns.items()
                    if pool.name in machines and pool.node_span_w and key[1:] == (place.site.name, pool.name, t)
                }
                limits[place.site.name, feeder, t] = rest.row(drawn, watts * 1000)
    for place in places:
        site = place.site
        work_mw: list[dict[int, Fraction]] = []
        for t in range(problem.grid.steps):
            drawn = {}
            for pool in site.gpu_pools:
                mine = [c for key, c in columns.items() if key[1:] == (site.name, pool.name, t)]
                serving[site.name, pool.name, t] = rest.row(dict.fromkeys(mine, Fraction(1)), 0)
                span_mw = Fraction(pool.node_span_w * pool.pue_milli(place.ambient[t]))
                drawn.update({c: span_mw for c in mine if span_mw})
            work_mw.append(drawn)
            base_mw = 0 if place.dark[t] else site.base_load_w * 1000
            limits[site.name, t] = rest.row(drawn, (0 if place.dark[t] else place.limit_w[t] * 1000) - base_mw)
            if place.ramped(t):
                shorter_s = min(place.step_s[t], place.step_s[max(0, t - 1)])
                allowed = Fraction(place.ramp_w_per_min * shorter_s * 1000, 60)
                then_mw = problem.state.sites[site.name].draw_w * 1000 if t == 0 else site.base_load_w * 1000
                change = dict(drawn)
                if t:
                    change.update({c: -a for c, a in work_mw[t - 1].items()})
                up = rest.row(change, allowed + then_mw - base_mw)
                down = rest.row({c: -a for c, a in change.items()}, allowed - then_mw + base_mw)
                ramps[site.name, t] = (up, down)
    return serving, limits, ramps


def _contracts(problem: Problem, place: _Place, rest: _Rest, columns) -> list[tuple[int, dict[int, Fraction]]]:
    """Rows and columns of the site's contracts; return each row with the weight that a draw of each step has in it."""
    site, found = place.site, []
    rest.usd += block_usd(problem, site, place.energy_price)
    base_mw = [0 if dark else site.base_load_w * 1000 for dark in place.dark]
    for hinge in hinges(problem, site, place.energy_price):
        above = rest.column(-hinge.usd)
        for weights, bound in hinge.lines:
            row = {above: Fraction(-1)}
            for (_, at, name, t), column in columns.items():
                if at == site.name and t in weights:
                    pool = next(p for p in site.gpu_pools if p.name == name)
                    row[column] = weights[t] * pool.node_span_w * pool.pue_milli(place.ambient[t])
            right = bound - sum(w * base_mw[t] for t, w in weights.items())
            found.append((rest.row(row, right), weights))
    return found


def _effect(path: Path, place: _Place, name: str, here, serving, limits, ramps, lines, ready) -> dict[int, Fraction]:
    """What a path adds to right-hand sides."""
    added: dict[int, Fraction] = {}

    def add(row: int, by: Fraction | int) -> None:
        added[row] = added.get(row, ZERO) + by

    for key, t in here.items():
        add(limits[key], -path.draw_mw[t])
        for feeder, machines, _ in place.feeders:
            if name in machines:
                add(limits[place.site.name, feeder, t], -path.draw_mw[t])
        if path.serves:
            add(serving[place.site.name, name, t], path.serves[t])
        if key in ramps:
            change = path.draw_mw[t] - (path.draw_mw[t - 1] if t else 0)
            up, down = ramps[key]
            add(up, -change)
            add(down, change)
    for t, row in ready[place.site.name].items() if path.shed_mw else ():
        add(row, path.shed_mw[t])
    for row, weights in lines[place.site.name]:
        add(row, -sum(weight * path.draw_mw[t] for t, weight in weights.items()))
    return added


def _search(rest: _Rest, paths: list[list[Path]], effects: list[list[dict[int, Fraction]]]) -> Fraction | None:
    """Solve the most promising whole decisions until no bound promises more than the best."""
    shape = tuple(len(p) for p in paths)
    fixed = _outer([[float(path.usd) for path in p] for p in paths], shape) + float(rest.usd)
    bound = np.full(shape, np.inf)
    dead = np.zeros(shape, dtype=bool)
    for row, coefficients in enumerate(rest.rows):
        if not coefficients:  # whole decisions alone: exact in doubles up to 9e15
            right = _outer([[float(e.get(row, ZERO)) for e in effect] for effect in effects], shape) + float(rest.right[row])
            dead |= right < -0.5
    best: Fraction | None = None
    while True:
        promise = np.where(dead, -np.inf, fixed + bound)
        point = np.unravel_index(int(promise.argmax()), shape) if shape else ()
        if promise[point] == -np.inf:
            return best
        if best is not None and promise[point] <= float(best) + ENOUGH * max(1.0, abs(float(best))):
            return best
        right = list(rest.right)
        for effect, n in zip(effects, point, strict=True):
            for row, by in effect[n].items():
                right[row] += by
        answer = maximise(rest.gain, rest.rows, right)
        prices = [float(p) for p in answer.prices]
        dual = _outer([[sum(prices[r] * float(by) for r, by in e.items()) for e in effect] for effect in effects], shape)
        dual = dual + sum(p * float(b) for p, b in zip(prices, rest.right, strict=True))
        dead[point] = True
        if answer.value is None:
            dead |= dual < -1e-6 * (1 + sum(map(abs, prices)))
            continue
        bound = np.minimum(bound, dual)
        usd = rest.usd + answer.value + sum((p[n].usd for p, n in zip(paths, point, strict=True)), ZERO)
        best = usd if best is None else max(best, usd)


def _outer(values: list[list[float]], shape: tuple[int, ...]) -> np.ndarray:
    total = np.zeros(shape)
    for axis, row in enumerate(values):
        total = total + np.asarray(row).reshape([-1 if n == axis else 1 for n in range(len(shape))])
    return total
