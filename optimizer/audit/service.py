"""What the service levels of a workload cost, counted in whole units of work x 3600 x a million and no float before the end."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from models.problem import Problem
from models.service_level import ServiceLevel
from optimizer.audit.work import S_PER_H

PPM = 1_000_000


def shortfall_usd(problem: Problem, name: str, level: ServiceLevel, served: Sequence[int]) -> list[float]:
    """Return what each step bears of the work that is missing of a workload's level.

    Of what a period owed or was ahead before the plan, the horizon settles its share of the time that is left of the period;
    of what is demanded within the horizon, the level's share.
    """
    grid, demand = problem.grid, problem.demand_work_per_h[name]
    cost = [0.0 for _ in served]
    for period, begins, ends in _periods(level, grid.start, grid.end):
        inside_s = [
            max(0, int(min(ends, start.timestamp() + s) - max(begins, start.timestamp())))
            for start, s in zip(grid.starts, grid.step_s, strict=True)
        ]
        seen_s, left_s = sum(inside_s), int(ends - max(begins, grid.start.timestamp()))
        owed = Fraction(0)
        if (before := problem.state.service.get(name, {}).get(period)) is not None:
            owed = Fraction(level.served_ppm * before.demanded_work, PPM) - before.served_work
        asked = Fraction(sum(work * s for work, s in zip(demand, inside_s, strict=True)), S_PER_H)
        done = Fraction(sum(work * s for work, s in zip(served, inside_s, strict=True)), S_PER_H)
        missing = max(Fraction(0), owed * seen_s / left_s + asked * level.served_ppm / PPM - done)
        usd = level.shortfall_usd_per_mwork * float(missing / PPM)
        for t, s in enumerate(inside_s):
            cost[t] -= usd * s / seen_s
    return cost


def _periods(level: ServiceLevel, start: datetime, end: datetime) -> list[tuple[str, float, float]]:
    """Local days or months from one instant to another: name, first second, and first second after them."""
    zone, found = ZoneInfo(level.zone), []
    first = start.astimezone(zone).date()
    if level.period == "month":
        first = first.replace(day=1)
    while (begins := _midnight(first, zone)) < end.timestamp():
        after = first + timedelta(days=1)
        if level.period == "month":
            after = date(first.year + first.month // 12, first.month % 12 + 1, 1)
        name = f"{first:%Y-%m}" if level.period == "month" else f"{first:%Y-%m-%d}"
        found.append((name, begins, _midnight(after, zone)))
        first = after
    return found


def _midnight(day: date, zone: ZoneInfo) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()
