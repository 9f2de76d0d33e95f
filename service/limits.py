"""Limits that series tell, of meters and of feeders: a limit must hold, so nothing that was told is thrown away.

Where several series tell of one limit, the lowest counts in each step. Neither what is overdue nor what ends before the
plan does is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from models.base import iso
from models.fleet import Fleet
from models.problem import Problem
from models.site import Site
from models.time_grid import TimeGrid
from service.series_flags import told_of
from service.series_reading import back, lowest
from service.store import Store
from service.store.records import late_by
from service.store.series_records import SeriesDeclaration, SeriesPoint

SOON = timedelta(hours=2)
"""Until then at most the next hourly plan is in force: what binds later can wait for it."""


@dataclass(frozen=True)
class Limits:
    """Limits by step: of sites by name, of feeders by site and name; only those that a series tells of. And notes."""

    limit_w: dict[str, tuple[int, ...]]
    feeder_limit_w: dict[str, dict[str, tuple[int, ...]]]
    notes: tuple[str, ...]


def limits(store: Store, fleet: Fleet, grid: TimeGrid, *, now: datetime) -> Limits:
    """Return the limits of a fleet over a grid, as they are known now."""
    told: dict[str, list[SeriesDeclaration]] = {}
    for declaration in store.series.declarations("limit"):
        told.setdefault(str(declaration.subject), []).append(declaration)
    reading = _Reading(store, grid, now)
    at_meter: dict[str, tuple[int, ...]] = {}
    at_feeders: dict[str, dict[str, tuple[int, ...]]] = {}
    for site in fleet.sites:
        declared = told.get(site.name, [])
        if own := [d for d in declared if d.feeder is None]:
            at_meter[site.name] = reading.limit(own, site.connection_limit_w, site.name, f"the connection of {site.name}")
        for feeder in site.feeders:
            if own := [d for d in declared if d.feeder == feeder.name]:
                name = f"{site.name}/{feeder.name}"
                carried_w = reading.limit(own, feeder.limit_w, name, f"the rating of {name}")
                at_feeders.setdefault(site.name, {})[feeder.name] = carried_w
        reading.point_out_unknown(site, declared)
    return Limits(at_meter, at_feeders, tuple(reading.notes))


def lower_than_known(told: Limits, problem: Problem, now: datetime) -> list[str]:
    """Name the sites and feeders of which a lower limit is told than a problem knows, with the first step from now on.

    told: limits over the problem's own grid. What begins only after the next hourly plan is in force is left to that.
    """
    found = []
    for site in problem.fleet.sites:
        pairs = [(site.name, told.limit_w.get(site.name), problem.limit_w.get(site.name), site.connection_limit_w)]
        known = problem.feeder_limit_w.get(site.name, {})
        for feeder in site.feeders:
            said = told.feeder_limit_w.get(site.name, {}).get(feeder.name)
            pairs.append((f"{site.name}/{feeder.name}", said, known.get(feeder.name), feeder.limit_w))
        for name, said, held, rated_w in pairs:
            if said is not None and (words := _lower(said, held or (rated_w,) * len(said), problem.grid, now)):
                found.append(f"{name} {words}")
    return found


def _lower(told: Sequence[int], known: Sequence[int], grid: TimeGrid, now: datetime) -> str:
    for start, step_s, new_w, old_w in zip(grid.starts, grid.step_s, told, known, strict=True):
        if new_w < old_w and start < now + SOON and start + timedelta(seconds=step_s) > now:
            return f"from {iso(start)}: {new_w} W, the plan knows {old_w} W"
    return ""


class _Reading:
    """One look at the series of limits."""

    def __init__(self, store: Store, grid: TimeGrid, now: datetime) -> None:
        self.store, self.grid, self.now = store, grid, now
        self.notes: list[str] = []

    def limit(self, declared: Sequence[SeriesDeclaration], rated_w: int, whose: str, otherwise: str) -> tuple[int, ...]:
        """Return the limit of a meter or feeder in each step: the lowest that any series says of any moment of it."""
        found_w = [rated_w] * self.grid.steps
        for declaration in declared:
            points, why = known_points(self.store, declaration, self.grid, self.now)
            if not points or points[0].start > self.grid.start:
                last = self.store.series.last_before(declaration.name, self.grid.start)
                points = [*([last] if last else []), *points]
            if not points:
                self.notes.append(f"limit_missing: {why}; {otherwise} limits it")
                continue
            found = lowest(declaration, points, self.grid)
            self.notes += [note for note in told_of(declaration, points) if note.startswith("limit_filled")]
            if found.not_told:
                words = f"{found.not_told} step(s) that series {declaration.name} of {whose} does not cover"
                self.notes.append(f"limit_missing: {words} take the lower of the values around them")
            if why:
                self.notes.append(f"limit_overdue: {why}; what it says is kept to")
            found_w = [min(w, int(value)) for w, value in zip(found_w, found.values, strict=True)]
        return tuple(found_w)

    def point_out_unknown(self, site: Site, declared: Sequence[SeriesDeclaration]) -> None:
        """Say which series tell of feeders that a site does not have."""
        known = {feeder.name for feeder in site.feeders}
        for d in declared:
            if d.feeder is not None and d.feeder not in known:
                self.notes.append(f"limit_ignored: series {d.name} is of feeder {d.feeder}, which {site.name} does not have")


def known_points(
    store: Store, declaration: SeriesDeclaration, grid: TimeGrid, now: datetime
) -> tuple[list[SeriesPoint], str | None]:
    """Return what is known of a series over a grid and shortly before it, and what is wrong with it, in words."""
    name = declaration.name
    points = store.series.values(name, grid.start - back(declaration), grid.end, known_by=now)
    newest = store.series.newest_known_at(name)
    if newest is None or not points:
        return points, f"series {name} has no value from {iso(grid.start)} on"
    return points, late_by(f"series {name}", newest, now, declaration.late_after_s)
