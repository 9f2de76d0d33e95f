"""The state that a plan leaves behind when its first steps are carried out to the letter.

Whoever has run longest stops first, and whoever has rested longest starts first, as plans and audit count. Batch work is
done in the order of its due dates, and what arrives in a step counts as having come at its end.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Self

from models.asic import AsicGroup
from models.billing import MonthTotals, split_by_month
from models.plan import Plan
from models.problem import Problem
from models.service_level import PeriodWork
from models.site import Site
from models.state import Cohort, Cohorts, GroupState, Lot, PoolState, SiteState, State
from models.time_grid import local_date, local_midnight
from models.workload import BatchWorkload

S_PER_H = 3600
CARRIED: dict[type, frozenset[str]] = {
    State: frozenset(("at", "sites", "backlog", "service")),
    SiteState: frozenset(("draw_w", "months", "groups", "pools", "source", "as_of")),
    GroupState: frozenset(("mode_blocks", "started", "stopped", "starts_today")),
    PoolState: frozenset(("started", "nodes_warm")),
}
"""What this module carries. A state that holds more is refused: a replay that forgot something would prove nothing."""
UNCARRIED = "is not carried from plan to plan"


class NotCarriedError(ValueError):
    """A state holds something that `advance` does not know how to carry."""


def advance(problem: Problem, plan: Plan, steps: int = 1) -> State:
    """Return the state after the first steps of a plan of this problem.

    Raises:
        NotCarriedError: the state holds something that is not carried here.
    """
    refuse_unknown(problem)
    at = problem.grid.starts[0] + timedelta(seconds=problem.grid.offset_s[steps])
    sites = {site.name: _site_after(problem, plan, site, steps, at) for site in problem.fleet.sites}
    backlog, service = _backlog_after(problem, plan, steps), _service_after(problem, plan, steps, at)
    return State(at=at, sites=sites, backlog=backlog, service=service)


def refuse_unknown(problem: Problem) -> None:
    """Refuse a state, or a fleet that will bring one about, with anything in it that is not carried here."""
    state = problem.state
    machines = [m for site in state.sites.values() for m in (*site.groups.values(), *site.pools.values())]
    for record in (state, *state.sites.values(), *machines):
        for name in type(record).model_fields.keys() - CARRIED[type(record)]:
            if getattr(record, name) != type(record).model_fields[name].get_default(call_default_factory=True):
                raise NotCarriedError(f"{type(record).__name__}.{name} = {getattr(record, name)!r} {UNCARRIED}")
    for site in problem.fleet.sites:
        if site.reserves:
            raise NotCarriedError(f"what {site.name} sells of its reserves {UNCARRIED}")


def _site_after(problem: Problem, plan: Plan, site: Site, steps: int, at: datetime) -> SiteState:
    now, made, starts = problem.state.sites[site.name], plan.sites[site.name], problem.grid.starts[:steps]
    groups, pools = {}, {}
    for group in site.asic_groups:
        counts = made.groups[group.name].mode_blocks
        on = [sum(series[t] for series in counts.values()) for t in range(steps)]
        known = now.groups[group.name]
        run = _Run(group.blocks, known.started, known.stopped).follow(on, starts)
        groups[group.name] = GroupState(
            mode_blocks={mode: series[steps - 1] for mode, series in counts.items() if series[steps - 1]},
            started=_settled(run.started, at - timedelta(seconds=max(group.min_up_s, group.warm_up_s))),
            stopped=tuple(c for c in run.stopped if c.since > at - timedelta(seconds=group.min_down_s)),
            starts_today=_starts_today(problem, site, group, run.starts, at),
        )
    for pool in site.gpu_pools:
        state, nodes = now.pools[pool.name], made.pools[pool.name]
        warm = (nodes.nodes_warm or (0,) * steps)[:steps]
        hold = timedelta(seconds=max(pool.min_up_s, pool.load_s))
        run = _Run(pool.nodes, state.started, ()).follow(nodes.nodes_on[:steps], starts, (state.nodes_warm, *warm), hold)
        pools[pool.name] = PoolState(started=_settled(run.started, at - hold), nodes_warm=warm[-1])
    months = dict(now.months)
    for t, start in enumerate(starts):
        for month, seconds in split_by_month(site.zone, start, start + timedelta(seconds=problem.grid.step_s[t])):
            counted = months.get(month, MonthTotals())
            months[month] = MonthTotals(
                peak_w=max(counted.peak_w, made.draw_w[t]),
                energy_wh=counted.energy_wh + round(made.draw_w[t] * seconds / S_PER_H),
            )
    return SiteState(
        draw_w=made.draw_w[steps - 1], months=months, groups=groups, pools=pools, source="commanded", as_of=at
    )  # fmt: skip


class _Run:
    """Machines of one kind: those that run and those whose stop is remembered, oldest first; the rest have rested for long."""

    def __init__(self, total: int, started: Cohorts, stopped: Cohorts) -> None:
        self.started = deque(sorted(started, key=lambda c: c.since))
        self.stopped = deque(sorted(stopped, key=lambda c: c.since))
        self.running = sum(c.count for c in started)
        self.rested = total - self.running - sum(c.count for c in stopped)
        self.starts: list[tuple[datetime, int]] = []

    def follow(
        self, on: Sequence[int], instants: Sequence[datetime], warm: Sequence[int] = (), hold: timedelta = timedelta(0)
    ) -> Self:
        """Follow counts; of nodes that can be warm, how many were before and are in each step: who wakes is held no more."""
        for t, (count, instant) in enumerate(zip(on, instants, strict=True)):
            more_warm = warm[t + 1] - warm[t] if warm else 0
            if (woken := min(count - self.running, -more_warm)) > 0:
                self.started.appendleft(Cohort(count=woken, since=instant - hold))
                self.running += woken
            elif more_warm > 0 and (stay := self.running - more_warm) >= 0:
                _take(self.started, more_warm)  # they are warm from here on, whoever starts in their place
                self.running = stay
            change = count - self.running
            if change > 0:
                long_ago = min(change, self.rested)
                self.rested -= long_ago
                _take(self.stopped, change - long_ago)
                self.started.append(Cohort(count=change, since=instant))
                self.starts.append((instant, change))
            elif change < 0:
                _take(self.started, -change)
                self.stopped.append(Cohort(count=-change, since=instant))
            self.running = count
        return self


def _take(queue: deque[Cohort], count: int) -> None:
    """Remove machines from the old end."""
    while count and queue:
        oldest = queue.popleft()
        if oldest.count > count:
            queue.appendleft(Cohort(count=oldest.count - count, since=oldest.since))
        count -= min(count, oldest.count)


def _settled(started: Iterable[Cohort], long_ago: datetime) -> Cohorts:
    """Those that nothing holds any more as one cohort, the others as they are."""
    old = [c for c in started if c.since <= long_ago]
    free = Cohort(count=sum(c.count for c in old), since=max(c.since for c in old)) if old else None
    return (*((free,) if free else ()), *(c for c in started if c.since > long_ago))


def _starts_today(problem: Problem, site: Site, group: AsicGroup, starts: Sequence[tuple[datetime, int]], at: datetime) -> int:
    """Starts since the local midnight before `at`; nobody asks for them where their number is free."""
    if group.max_starts_per_day is None:
        return 0
    midnight = local_midnight(site.zone, local_date(site.zone, at))
    before = problem.state.sites[site.name].groups[group.name].starts_today if problem.state.at >= midnight else 0
    return before + sum(count for instant, count in starts if instant >= midnight)


def _backlog_after(problem: Problem, plan: Plan, steps: int) -> dict[str, tuple[Lot, ...]]:
    waiting = {}
    for workload in problem.fleet.workloads:
        if isinstance(workload, BatchWorkload):
            lots = deque(sorted(problem.state.backlog.get(workload.name, ()), key=lambda lot: lot.due))
            for t in range(steps):
                _work_off(problem, plan, workload, lots, t)
            if lots:
                waiting[workload.name] = tuple(lots)
    return waiting


def _service_after(problem: Problem, plan: Plan, steps: int, at: datetime) -> dict[str, dict[str, PeriodWork]]:
    """What was asked and served of the present period of each service level."""
    found = {}
    for workload in problem.fleet.workloads:
        if isinstance(workload, BatchWorkload) or (level := workload.service_level) is None:
            continue
        period = level.period_of(at)
        before = problem.state.service.get(workload.name, {}).get(period, PeriodWork())
        demand, unserved = problem.demand_work_per_h[workload.name], plan.workloads[workload.name].unserved_work_per_h
        asked = missed = 0
        for t, start in enumerate(problem.grid.starts[:steps]):
            inside_s = dict(level.split(start, start + timedelta(seconds=problem.grid.step_s[t]))).get(period, 0)
            asked, missed = asked + demand[t] * inside_s, missed + unserved[t] * inside_s
        found[workload.name] = {
            period: PeriodWork(
                demanded_work=before.demanded_work + asked // S_PER_H,
                served_work=before.served_work + (asked - missed) // S_PER_H,
            )
        }
    return found


def _work_off(problem: Problem, plan: Plan, workload: BatchWorkload, lots: deque[Lot], t: int) -> None:
    """One step: what arrives waits from its end on, what is done is taken off the lots, the first due first."""
    length_s = problem.grid.step_s[t]
    due = problem.grid.starts[t] + timedelta(seconds=length_s + workload.deadline_s)
    pools = [pool for site in plan.sites.values() for pool in site.pools.values() if workload.name in pool.work_per_h]
    done = sum(pool.work_per_h[workload.name][t] for pool in pools) * length_s // S_PER_H
    if came := problem.demand_work_per_h[workload.name][t] * length_s // S_PER_H:
        lots.append(Lot(work=came, due=due))
    while done and lots:
        first = lots.popleft()
        if first.work > done:
            lots.appendleft(Lot(work=first.work - done, due=first.due))
        done -= min(done, first.work)
