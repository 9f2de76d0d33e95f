"""What may run in each step: machines in service, pins with how long they hold, starts that a day still allows."""

from collections.abc import Callable, Sequence
from datetime import date
from functools import lru_cache, wraps

import numpy as np

from models.availability import Pin
from models.derating import HeatDerating
from models.time_grid import local_date
from optimizer.compiled import Floats, Ints
from optimizer.sets import Group, World


def once(rule: Callable[[World], Ints]) -> Callable[[World], Ints]:
    """Work a table of the whole world out once and keep it there, to be read only: many ask for it, some site by site."""

    @wraps(rule)
    def kept(here: World) -> Ints:
        known = vars(here)
        if rule.__name__ not in known:
            known[rule.__name__] = table = rule(here)
            table.setflags(write=False)
        return np.asarray(known[rule.__name__])

    return kept


@once
def group_available(here: World) -> Ints:
    """Return the blocks of each ASIC group that may run, by step; none in the dark, below a dead feeder, or in too much heat."""
    return np.where(modes_allowed(here) > 0, group_in_service(here), 0)


@once
def group_in_service(here: World) -> Ints:
    """Return the same whatever the heat."""
    return _available(here, [(g.site, g.group.name, g.group.blocks) for g in here.groups])


@once
def pool_available(here: World) -> Ints:
    """Return the nodes of each GPU pool that are in service, by step; none in the dark or below a dead feeder."""
    return _available(here, [(p.site, p.pool.name, p.pool.nodes) for p in here.pools])


def pinned(here: World, site: int, machine: str) -> tuple[Pin, int] | None:
    """Return the pin of a machine of a site, and the first step in which it no longer holds; None where there is none."""
    for pin in here.problem.pins:
        if (pin.site, pin.machine) == (here.sites[site].name, machine):
            ends = int(np.searchsorted(here.start_s, (pin.expires - here.problem.grid.start).total_seconds()))
            return pin, min(ends, here.release.pins.get(pin.name, ends))
    return None


@once
def modes_allowed(here: World) -> Ints:
    """Return how many modes of each ASIC group, from the lowest on, the heat allows, by step."""
    allowed = np.zeros((len(here.groups), len(here.step_s)), dtype=np.int64)
    for n, g in enumerate(here.groups):
        most_c = np.array([np.inf if mode.max_ambient_c is None else mode.max_ambient_c for mode in g.group.modes])
        allowed[n] = (np.array(ambient(here, g))[:, None] <= most_c).sum(axis=1)
    return allowed


def ambient(here: World, group: Group) -> tuple[float, ...]:
    """Return the outside temperature at a group, by step."""
    return here.problem.ambient_c[here.sites[group.site].ambient]


def power_w(here: World, group: Group, mode: int) -> Ints:
    """Return what a block draws in a mode, at the machines, by step."""
    return _of_modes(here, group)[0][mode]


def hash_ph_per_s(here: World, group: Group, mode: int) -> Floats:
    """Return what a block hashes in a mode, by step."""
    return _of_modes(here, group)[1][mode]


def _of_modes(here: World, group: Group) -> tuple[list[Ints], list[Floats]]:
    """Return what a block draws and hashes in each mode, by step; worked out once for each group of a world."""
    known: dict[str, tuple[list[Ints], list[Floats]]] = vars(here).setdefault("of_modes", {})
    if group.label not in known:
        examples_c, kind = _kinds_of_heat(group.group.derating, ambient(here, group))
        drawn = [[group.group.block_power_w(mode, c) for c in examples_c] for mode in group.group.modes]
        made = [[group.group.block_hash_ph_per_s(mode, c) for c in examples_c] for mode in group.group.modes]
        known[group.label] = [np.array(w, dtype=np.int64)[kind] for w in drawn], [np.array(ph)[kind] for ph in made]
    return known[group.label]


@lru_cache(maxsize=1024)
def _kinds_of_heat(derating: HeatDerating, ambient_c: tuple[float, ...]) -> tuple[tuple[float, ...], Ints]:
    """Return temperatures that stand for all that take and add as much, and by step which of them it is; most steps are alike."""
    milli = {c: (derating.hash_milli(c), derating.power_milli(c)) for c in set(ambient_c)}
    example_c = {factors: c for c, factors in sorted(milli.items())}
    number = {factors: n for n, factors in enumerate(example_c)}
    return tuple(example_c.values()), np.array([number[milli[c]] for c in ambient_c], dtype=np.int64)


def starts_left(here: World, group: Group) -> dict[date, int] | None:
    """Return how many blocks of a group may still start on each local day of the horizon; None where that is free.

    A day counts for every step that begins in it; what started before the plan counts for the day of the state.
    """
    if group.group.max_starts_per_day is None:
        return None
    zone = here.sites[group.site].zone
    left = dict.fromkeys(days(here, zone), group.group.blocks * group.group.max_starts_per_day)
    if (today := local_date(zone, here.problem.state.at)) in left:
        left[today] = max(0, left[today] - group.state.starts_today)
    return left


def days(here: World, zone: str) -> list[date]:
    """Return the local day in which each step begins."""
    return [local_date(zone, start) for start in here.problem.grid.starts]


def reachable(here: World, group: Group) -> Ints:
    """Return how many blocks of a group can run at most after all starts that the days up to each step allow."""
    if (left := starts_left(here, group)) is None:
        return np.full(len(here.step_s), group.group.blocks, dtype=np.int64)
    counted = days(here, here.sites[group.site].zone)
    return np.array([group.state.running + sum(n for day, n in left.items() if day <= now) for now in counted], dtype=np.int64)


def _available(here: World, machines: Sequence[tuple[int, str, int]]) -> Ints:
    there = np.zeros((len(machines), len(here.step_s)), dtype=np.int64)
    there[:] = np.array([count for _, _, count in machines], dtype=np.int64)[:, None]
    place = {(here.sites[site].name, name): n for n, (site, name, _) in enumerate(machines)}
    for outage in here.problem.outages:
        if (n := place.get((outage.site, outage.machine))) is not None:
            there[n] -= outage.count * here.touched(outage.start, outage.end)
    for n, (site, name, _) in enumerate(machines):
        there[n] = np.where(here.energised[site] & here.live[site][name], np.maximum(there[n], 0), 0)
    return there
