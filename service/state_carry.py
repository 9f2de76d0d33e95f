"""Carries the state from plan to plan: what was measured, else acknowledged, else commanded; and says which.

The walk begins at the state with which the plan in force began, applies its commands at their steps and the measured
points between them, and ends at the instant at which the next plan begins. Points are facts; they change counts at the
instant at which they were measured. A fact older than a quarter of an hour no longer tells what runs: from then on the
command is believed again. What the meter counts by month is counted on the way, at the draw that each moment is believed
to have had.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from models.asic import AsicGroup
from models.fleet import Fleet
from models.gpu import GpuPool
from models.site import Site
from models.state import Cohort, GroupState, PoolState, SiteState, State, StateSource
from models.time_grid import local_date, local_midnight
from service.in_force import InForce, Segment, in_force, segments
from service.ledger import Ledger
from service.meter_count import MeterCount
from service.service_carry import carried_service, levels
from service.store.records import TelemetryPoint
from service.work_carry import carried_backlog
from service.work_count import Piece, WorkCount

FRESH = timedelta(minutes=15)
"""A measurement older than this no longer tells what runs."""
SETTLE = timedelta(minutes=2)
"""After a command changes machines, a measurement of less than this age shows the change half done."""
HOTTEST_C = 60.0


@dataclass(frozen=True)
class Observed:
    """What came back from one site: measured points that may be used, by time, and how it answered to versions."""

    points: tuple[TelemetryPoint, ...] = ()
    applied: frozenset[int] = frozenset()
    refused: frozenset[int] = frozenset()
    begun: Mapping[int, datetime] = field(default_factory=dict)
    """When the site began to carry out a version, as it told us; one that was cut off begins late."""


def carried_state(
    fleet: Fleet,
    plans: Sequence[InForce],
    observed: Mapping[str, Observed],
    *,
    now: datetime,
    at: datetime,
    assumed: Mapping[str, SiteState],
) -> State:
    """Return the state of all sites at `at`, as it is known at `now`.

    `plans` are the published plans from the one in force at `now` on; where there is none, or none of a site, what was
    measured in the last quarter of an hour is laid over what is `assumed`.
    """
    base = in_force(plans, now)
    counted = counted_workloads(fleet)
    sites: dict[str, SiteState] = {}
    done: list[Piece] = []
    for site in fleet.sites:
        begun = base.plan.grid.start if base else now
        known = base.problem.state.sites.get(site.name) if base else None
        heard_since = base.plan.created_at if base and known else now - FRESH
        known_at = base.problem.state.at if base and known else now
        seen = observed.get(site.name, Observed())
        work = WorkCount(site.name, counted, seen.points, begun, now)
        walk = _Walk(site, known or assumed.get(site.name), begun, heard_since, known_at, work)
        sites[site.name] = walk.run(_heard(site, plans, seen), seen, now=now, at=at)
        done += work.pieces
    if base is None:
        return State(at=at, sites=sites)
    run = segments(plans, base.plan.grid.start, at)
    service = carried_service(fleet, base, run, done, at)
    return State(at=at, sites=sites, backlog=carried_backlog(fleet, base, run, done), service=service)


def counted_workloads(fleet: Fleet) -> set[str]:
    """Return the workloads whose work is counted from plan to plan: those with a service level, and batch work."""
    return {*levels(fleet), *(w.name for w in fleet.workloads if w.kind == "batch")}


def _heard(site: Site, plans: Sequence[InForce], seen: Observed) -> list[InForce]:
    """Leave out the versions that the site told us it did not carry out; of mere advice, all that it did not say it took."""
    if site.authority == "advise":
        return [p for p in plans if p.version in seen.applied]
    return [p for p in plans if p.version not in seen.refused]


class _Walk:
    """One site on its way from the state at the beginning of the plan in force to the beginning of the next."""

    def __init__(
        self, site: Site, known: SiteState | None, begun: datetime, heard_since: datetime, known_at: datetime, work: WorkCount
    ) -> None:
        self.site, self.begun, self.heard_since, self.known_at, self.work = site, begun, heard_since, known_at, work
        groups = known.groups if known else {}
        pools = known.pools if known else {}
        self.ledgers = {g.name: _ledger(groups.get(g.name), g.blocks) for g in site.asic_groups}
        self.starts_known = {name: group.starts_today for name, group in groups.items()}
        self.ledgers |= {p.name: _ledger(pools.get(p.name), p.nodes) for p in site.gpu_pools}
        self.modes = {g.name: clipped_modes(g, groups[g.name].mode_blocks if g.name in groups else {}) for g in site.asic_groups}
        for group in site.asic_groups:  # the fleet may have changed since: no more run than there are
            self.ledgers[group.name].set_running(sum(self.modes[group.name].values()), begun)
        self.warm: dict[str, int] = {}
        for pool in site.gpu_pools:
            warm = pools[pool.name].nodes_warm if pool.name in pools else 0
            self.warm[pool.name] = warm if pool.warm_w is not None else 0
            self._set_nodes(pool, self.ledgers[pool.name].running, self.warm[pool.name], begun)
        self.draw_w = known.draw_w if known else asleep_w(site)
        self.count = MeterCount(site.zone, {**site.billed_months, **(known.months if known else {})})
        self.source: StateSource = known.source if known else "assumed"
        self.as_of = min(known.as_of, begun) if known else begun
        self.commanded: Segment | None = None

    def run(self, plans: Sequence[InForce], seen: Observed, *, now: datetime, at: datetime) -> SiteState:
        """Walk to `at` and return the state there."""
        steps = segments(plans, self.begun, at, self.site.name)
        points = [p for p in seen.points if self._tells(p, steps, now)]
        newest = max((p.at for p in points), default=None)
        happenings: list[tuple[datetime, int, Segment | TelemetryPoint | None]] = [
            (max(s.start, late), 0, s) for s in steps if (late := seen.begun.get(s.plan.version, s.start)) < s.end
        ]
        happenings += [(p.at, 1, p) for p in points]
        if newest is not None and newest + FRESH <= now:
            happenings.append((newest + FRESH, 2, None))  # the fact is too old: the command is believed again
        counted = self.begun
        for when, _, what in sorted(happenings, key=lambda h: h[:2]):
            self._count(counted, max(counted, when))
            counted = max(counted, when)
            if isinstance(what, TelemetryPoint):
                self._measure(what)
            elif isinstance(what, Segment):
                self._command(what, when, seen)
            elif self.commanded is not None:
                self._command(self.commanded, when, seen)
        self._count(counted, at)
        return self._state(at)

    def _count(self, start: datetime, end: datetime) -> None:
        self.count.add(self.draw_w, start, end)
        self.work.add(self.commanded, {p.name: self.ledgers[p.name].running for p in self.site.gpu_pools}, start, end)

    def _tells(self, point: TelemetryPoint, steps: Sequence[Segment], now: datetime) -> bool:
        """Whether a point is news since the plan in force was made, and not from the middle of a change.

        What a plan did not know when it was made may be older than its first step: a block that tripped meanwhile is
        started anew by that step, and has to run its minimum from there.
        """
        return self.heard_since < point.at <= now and not any(s.start <= point.at < s.start + SETTLE for s in steps)

    def _measure(self, point: TelemetryPoint) -> None:
        for group in self.site.asic_groups:
            if (modes := point.mode_blocks.get(group.name)) is not None:
                self.modes[group.name] = clipped_modes(group, modes)
                self.ledgers[group.name].set_running(sum(self.modes[group.name].values()), point.at)
        for pool in self.site.gpu_pools:
            nodes, warm = point.nodes_on.get(pool.name), point.nodes_warm.get(pool.name)
            if nodes is not None or warm is not None:
                on = self.ledgers[pool.name].running if nodes is None else nodes
                self._set_nodes(pool, on, self.warm[pool.name] if warm is None else warm, point.at)
        self.draw_w = min(point.draw_w, nameplate_metered_w(self.site))
        self.source, self.as_of = "measured", point.at

    def _command(self, segment: Segment, when: datetime, seen: Observed) -> None:
        self.commanded = segment
        plan = segment.plan.plan.sites.get(self.site.name)
        if plan is None:
            return
        changed = self.source == "assumed"
        for group in self.site.asic_groups:
            if group.name in plan.groups:
                modes = {m: n for m, series in plan.groups[group.name].mode_blocks.items() if (n := series[segment.step])}
                modes = clipped_modes(group, modes)
                changed |= modes != {m: n for m, n in self.modes[group.name].items() if n}
                self.modes[group.name] = modes
                self.ledgers[group.name].set_running(sum(modes.values()), when)
        for pool in self.site.gpu_pools:
            if pool.name in plan.pools:
                told = plan.pools[pool.name]
                warm = told.nodes_warm[segment.step] if told.nodes_warm else 0
                changed |= self._set_nodes(pool, told.nodes_on[segment.step], warm, when)
        if changed or self.source != "measured" or when - self.as_of >= FRESH:
            self.draw_w, self.as_of = plan.draw_w[segment.step], when
            self.source = "acknowledged" if segment.plan.version in seen.applied else "commanded"

    def _set_nodes(self, pool: GpuPool, on: int, warm: int, at: datetime) -> bool:
        """Set how many nodes of a pool are on and warm; whoever is on now and was warm has woken, not started."""
        ledger, before = self.ledgers[pool.name], self.warm[pool.name]
        on = min(on, pool.nodes)
        warm = min(warm, pool.nodes - on) if pool.warm_w is not None else 0
        started = max(0, on + warm - ledger.running - before)
        ledger.wake(on - ledger.running - started, at - timedelta(seconds=max(pool.min_up_s, pool.load_s)))
        self.warm[pool.name] = warm
        fewer = ledger.set_running(max(0, on - started), at)  # others may get warm while new ones start
        return ledger.set_running(on, at) or fewer or warm != before

    def _state(self, at: datetime) -> SiteState:
        groups, pools = {}, {}
        for group in self.site.asic_groups:
            ledger = self.ledgers[group.name]
            groups[group.name] = GroupState(
                mode_blocks={m: n for m, n in self.modes[group.name].items() if n},
                started=ledger.running_since(at, timedelta(seconds=max(group.min_up_s, group.warm_up_s))),
                stopped=_youngest(ledger.stopped_since(at, timedelta(seconds=group.min_down_s)), group.blocks - ledger.running),
                starts_today=self._starts_today(group, at),
            )
        for pool in self.site.gpu_pools:
            since = self.ledgers[pool.name].running_since(at, timedelta(seconds=max(pool.min_up_s, pool.load_s)))
            pools[pool.name] = PoolState(started=since, nodes_warm=self.warm[pool.name])
        return SiteState(
            draw_w=self.draw_w, months=self.count.totals(at), groups=groups, pools=pools, source=self.source,
            as_of=min(self.as_of, at),
        )  # fmt: skip

    def _starts_today(self, group: AsicGroup, at: datetime) -> int:
        """Starts since the local midnight before `at`; nobody asks for them where their number is free."""
        if group.max_starts_per_day is None:
            return 0
        today = local_date(self.site.zone, at)
        before = self.starts_known.get(group.name, 0) if local_date(self.site.zone, self.known_at) == today else 0
        return before + self.ledgers[group.name].starts_since(local_midnight(self.site.zone, today))


def _ledger(known: GroupState | PoolState | None, total: int) -> Ledger:
    stopped: tuple[Cohort, ...] = known.stopped if isinstance(known, GroupState) else ()
    return Ledger(list(known.started) if known else [], list(stopped), total)


def _youngest(cohorts: Sequence[Cohort], room: int) -> tuple[Cohort, ...]:
    """Keep no more machines than there is room for, those that changed last first."""
    kept = []
    for cohort in reversed(cohorts):
        if (count := min(cohort.count, room)) > 0:
            kept.append(Cohort(count=count, since=cohort.since))
            room -= count
    return tuple(reversed(kept))


def clipped_modes(group: AsicGroup, modes: Mapping[str, int]) -> dict[str, int]:
    """Return counts by mode that the group can have: known modes, lowest power first, no more than there are blocks."""
    left, kept = group.blocks, {}
    for mode in group.modes:
        count = min(modes.get(mode.name, 0), left)
        left -= count
        if count:
            kept[mode.name] = count
    return kept


def asleep_w(site: Site) -> int:
    """Return what the meter shows while all machines are off: base load and sleeping miners. [W]"""
    return site.base_load_w + sum(_metered(g, g.blocks * g.block_sleep_w, 25.0) for g in site.asic_groups)


def nameplate_metered_w(site: Site) -> int:
    """Return the most that the meter can show: all machines at their highest mode in the worst heat. [W]"""
    miners = sum(_metered(g, g.blocks * g.block_power_w(g.modes[-1], HOTTEST_C), HOTTEST_C) for g in site.asic_groups)
    nodes = sum(_metered(p, p.power_w(p.nodes, p.node_full_w), HOTTEST_C) for p in site.gpu_pools)
    return site.base_load_w + miners + nodes


def _metered(machine: AsicGroup | GpuPool, watts: int, ambient_c: float) -> int:
    pue_milli = machine.pue_milli(ambient_c) if isinstance(machine, GpuPool) else machine.cooling.pue_milli(ambient_c)
    return -(-watts * pue_milli // 1000)
