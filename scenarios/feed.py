"""The reference feed: replays one real week in a loop, re-dated to any instant.

A step takes the figures of its local weekday and hour in the zone of each series. The hour that a clock change repeats is
taken twice, the one that it leaves out is left out; a step of another length than an hour takes the mean over its time.
Nothing here reads a clock: the start comes as an argument.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from models.base import Record
from models.billing import MonthTotals, month_of, month_span
from models.fleet import Fleet
from models.problem import Label, Problem
from models.site import Site
from models.state import Cohort, GroupState, PoolState, SiteState, State
from models.time_grid import TimeGrid, hourly
from scenarios.reference import HOURS_OF_WEEK, DailyRange, Demand, TableSeries, reference_feed, reference_fleet, week_table

REPLAYED: Label = "replayed"
COLDEST_H, WARMEST_H = 5, 15
ASSUMED_NODE_SHARE = 0.75
"""Share of GPU nodes that an assumed state has on."""

_QUARTER_S = 900
"""Local hours begin on quarters of an hour of UTC in every zone of today, clock changes included."""


class Replay(Record):
    """The series of the reference feed over a grid, one value per step, and where each comes from."""

    hashprice_usd_per_ph_day: tuple[float, ...]
    prices_usd_per_mwh: dict[str, tuple[float, ...]]
    usd_per_unit: dict[str, tuple[float, ...]]
    ambient_c: dict[str, tuple[float, ...]]
    demand_work_per_h: dict[str, tuple[int, ...]]
    sources: dict[str, str]


def reference_problem(start: datetime, state: State | None = None, hours: int = 48, *, grid: TimeGrid | None = None) -> Problem:
    """Return the reference fleet's problem from an instant on: hourly steps, or the steps of `grid` if one is given.

    Without a state the fleet is assumed to run as `initial_state` says.
    """
    grid = hourly(start, hours) if grid is None else grid
    series = replay(grid)
    return Problem(
        name="reference",
        grid=grid,
        fleet=reference_fleet(),
        hashprice_usd_per_ph_day=series.hashprice_usd_per_ph_day,
        prices_usd_per_mwh=series.prices_usd_per_mwh,
        usd_per_unit=series.usd_per_unit,
        ambient_c=series.ambient_c,
        demand_work_per_h=series.demand_work_per_h,
        state=initial_state(reference_fleet(), grid.start, at_start(series.ambient_c)) if state is None else state,
        labels=(REPLAYED,),
        sources=series.sources,
    )


def replay(grid: TimeGrid) -> Replay:
    """Return every series of the reference feed over a grid."""
    feed = reference_feed()
    weights = {zone: week_weights(grid, zone) for zone in _zones()}

    def mean(values: Sequence[float], zone: str, digits: int) -> tuple[float, ...]:
        return tuple(round(sum(values[hour] * share for hour, share in step), digits) for step in weights[zone])

    demand = {name: mean(_demand_week(d), d.zone, 0) for name, d in feed.demand_work_per_h.items()}
    families = (feed.prices_usd_per_mwh, feed.usd_per_unit, feed.ambient_c)
    return Replay(
        hashprice_usd_per_ph_day=(round(feed.hashprice.usd_per_ph_day, 4),) * grid.steps,
        prices_usd_per_mwh={name: mean(week_table(s.table)[name], s.zone, 4) for name, s in feed.prices_usd_per_mwh.items()},
        usd_per_unit={name: (rate.usd_per_unit,) * grid.steps for name, rate in feed.usd_per_unit.items()},
        ambient_c={name: mean(_ambient_week(name, s), s.zone, 2) for name, s in feed.ambient_c.items()},
        demand_work_per_h={name: tuple(int(value) for value in values) for name, values in demand.items()},
        sources={"hashprice": f"{feed.hashprice.period}: {feed.hashprice.source}"}
        | {name: f"{s.period}: {s.source}; {s.licence}" for family in families for name, s in family.items()}
        | {name: d.source for name, d in feed.demand_work_per_h.items()},
    )


def week_weights(grid: TimeGrid, zone: str) -> list[list[tuple[int, float]]]:
    """Return for each step the local hours of the week (0 is Monday 00:00) that it covers, and each one's share of its time."""
    local, steps = ZoneInfo(zone), []
    for start, length_s in zip(grid.starts, grid.step_s, strict=True):
        seconds: dict[int, int] = {}
        done_s = 0
        while done_s < length_s:
            moment = start + timedelta(seconds=done_s)
            here_s = min(_QUARTER_S - int(moment.timestamp()) % _QUARTER_S, length_s - done_s)
            wall = moment.astimezone(local)
            hour = wall.weekday() * 24 + wall.hour
            seconds[hour] = seconds.get(hour, 0) + here_s
            done_s += here_s
        steps.append([(hour, s / length_s) for hour, s in seconds.items()])
    return steps


def at_start(series: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return the first value of each series."""
    return {name: values[0] for name, values in series.items()}


def initial_state(fleet: Fleet, at: datetime, ambient_c: Mapping[str, float] | None = None) -> State:
    """Return the state that is assumed where nothing is measured, the same since a day before `at`.

    Blocks run in their lowest mode and three quarters of the nodes are on, as many as the connection carries. The meter is
    assumed to have shown the same since the month began, where no bill tells more. `ambient_c` is the outside temperature
    by series: miners that run hot draw more, or must not run; where it is not known, heat is left out.
    """
    return State(at=at, sites={site.name: _assumed(site, at, (ambient_c or {}).get(site.ambient)) for site in fleet.sites})


def _assumed(site: Site, at: datetime, ambient_c: float | None) -> SiteState:
    since = at - timedelta(days=1)
    pues = {g.name: g.cooling.pue_milli(g.cooling.above_c if ambient_c is None else ambient_c) for g in site.asic_groups}
    asleep = sum(g.blocks * g.block_sleep_w * pues[g.name] for g in site.asic_groups)
    draw_mw, limit_mw = site.base_load_w * 1000 + asleep, site.connection_limit_w * 1000  # milliwatts
    if draw_mw > limit_mw:
        return _dark(site, at, since)
    pools, groups = {}, {}
    for pool in site.gpu_pools:
        pue = pool.pue_milli(pool.cooling.above_c if ambient_c is None else ambient_c)
        nodes = min(math.ceil(pool.nodes * ASSUMED_NODE_SHARE), pool.fitting((limit_mw - draw_mw) // pue, pool.node_full_w))
        draw_mw += pool.power_w(nodes, pool.node_full_w) * pue
        pools[pool.name] = PoolState(started=(Cohort(count=nodes, since=since),) if nodes else ())
    for group in site.asic_groups:
        low = group.modes[0]
        block_mw = (group.block_power_w(low, ambient_c) - group.block_sleep_w) * pues[group.name]
        barred = ambient_c is not None and group.modes_allowed(ambient_c) == 0
        blocks = 0 if barred else min(group.blocks, (limit_mw - draw_mw) // block_mw)
        draw_mw += blocks * block_mw
        groups[group.name] = GroupState(
            mode_blocks={low.name: blocks} if blocks else {},
            started=(Cohort(count=blocks, since=since),) if blocks else (),
            stopped=(Cohort(count=group.blocks - blocks, since=since),) if blocks < group.blocks else (),
        )
    draw_w = -(-draw_mw // 1000)
    months = _metered(site, draw_w, at)
    return SiteState(draw_w=draw_w, months=months, groups=groups, pools=pools, source="assumed", as_of=at)


def _metered(site: Site, draw_w: int, at: datetime) -> dict[str, MonthTotals]:
    present = month_of(site.zone, at)
    hours = (at - month_span(site.zone, present)[0]) / timedelta(hours=1)
    so_far = MonthTotals(peak_w=draw_w if hours else 0, energy_wh=round(draw_w * hours))
    return {present: so_far, **{m: totals for m, totals in site.billed_months.items() if m <= present}}


def _dark(site: Site, at: datetime, since: datetime) -> SiteState:
    groups = {g.name: GroupState(stopped=(Cohort(count=g.blocks, since=since),)) for g in site.asic_groups}
    pools = {p.name: PoolState() for p in site.gpu_pools}
    return SiteState(draw_w=0, months=_metered(site, 0, at), groups=groups, pools=pools, as_of=at)


@cache
def _zones() -> frozenset[str]:
    feed = reference_feed()
    families = (feed.prices_usd_per_mwh, feed.ambient_c, feed.demand_work_per_h)
    return frozenset(series.zone for family in families for series in family.values())


def _ambient_week(name: str, series: TableSeries | DailyRange) -> tuple[float, ...]:
    if isinstance(series, TableSeries):
        return week_table(series.table)[name]
    span_c = series.high_c - series.low_c
    return tuple(series.low_c + span_c * _warmth(hour % 24) for hour in range(HOURS_OF_WEEK))


def _warmth(hour: int) -> float:
    """Where an hour stands between the coldest (0) and the warmest (1), on two half waves."""
    since_coldest_h, rising_h = (hour - COLDEST_H) % 24, WARMEST_H - COLDEST_H
    if since_coldest_h <= rising_h:
        return (1 - math.cos(math.pi * since_coldest_h / rising_h)) / 2
    return (1 + math.cos(math.pi * (since_coldest_h - rising_h) / (24 - rising_h))) / 2


def _demand_week(demand: Demand) -> tuple[float, ...]:
    if demand.shape is None:
        return (float(demand.mean_work_per_h),) * HOURS_OF_WEEK
    requests = week_table(reference_feed().shapes[demand.shape].table)[demand.shape]
    mean = sum(requests) / HOURS_OF_WEEK
    flat = demand.flat_share
    return tuple(demand.mean_work_per_h * (flat + (1 - flat) * r / mean) for r in requests)
