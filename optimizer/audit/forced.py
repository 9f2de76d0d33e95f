"""Which broken rules the state at the start forces, worked out anew: only those are forgiven, and only if the plan names them.

Feeders come before the site everywhere, each as a limit of its own over what hangs on it.

min_up  Machines that ran before the plan stop within their minimum run only where they are not in service, or where
        all others that are still within it, in their lowest mode, with sleep and base load, would draw more than a
        limit; just as many as needed, ASIC groups before GPU pools, in the order of the site, below each limit in
        turn; and whoever then fits below all of them, last first, goes on. Whoever was let go stays free. In a dark
        step all are.
pin     A pin ends early where `optimizer.audit.pinned` finds that it cannot be kept; all of a site do where the ramp could
        not be kept with them.
ramp    From the measured draw, the draws within reach widen step by step, between what must draw and what surely can,
        by the ramp less the largest machine, since machines come whole. Nothing surely draws that would have to start
        and stop again too soon, for want of room or service. Where they miss what a step allows altogether, its ramp
        does not bind.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from models.asic import AsicGroup
from models.gpu import GpuPool
from models.state import Cohorts
from models.time_grid import TimeGrid
from optimizer.audit.ground import SiteFacts
from optimizer.audit.machines import minimum_run_s
from optimizer.audit.meter import MILLIWATT_PER_W
from optimizer.audit.pinned import courses_of_pins
from optimizer.audit.reach import able_to_run, lowest_mw, ready_to_run, steep_steps, still_young

Entry = tuple[str, int, str, float]
"""Rule, step, unit and shortfall of a recovery."""


@dataclass
class Forced:
    """What the state of one site forces.

    kept: by group and pool, how many of the machines that ran before must go on, by step.
    ramps: steps whose ramp does not bind.
    pins: for each pin of the site that still holds in some step, the first step in which it does not.
    missed: by group and pool, how many of them stopped while their minimum run was not over yet, by step.
    entries: the recoveries that a plan must name, no more and no fewer.
    """

    kept: dict[str, list[int]] = field(default_factory=dict)
    missed: dict[str, list[int]] = field(default_factory=dict)
    ramps: set[int] = field(default_factory=set)
    pins: dict[str, int] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)


def forced_by_state(facts: SiteFacts, grid: TimeGrid) -> Forced:
    """Work out which rules give way at a site, before looking at any plan."""
    forced = Forced()
    for machine in facts.machines:
        started = _started(facts, machine)
        forced.kept[machine.name] = still_young(started, minimum_run_s(machine), grid)
    young = {name: tuple(counts) for name, counts in forced.kept.items()}
    must_mw = [_let_go(facts, forced, t) for t in range(grid.steps)]
    forced.missed = {name: [a - b for a, b in zip(counts, forced.kept[name], strict=True)] for name, counts in young.items()}
    able = {machine.name: able_to_run(facts, machine, grid) for machine in facts.machines}
    ready = able if facts.ramp_w_per_min is None else ready_to_run(facts, forced.kept, able, grid)
    steep = steep_steps(facts, forced.kept, must_mw, ready, (), grid.step_s)
    courses = courses_of_pins(facts, forced.kept, able, grid)
    if courses:
        least_mw = [mw + sum(c.more_mw[t] for c in courses) for t, mw in enumerate(must_mw)]
        with_pins = steep_steps(facts, forced.kept, least_mw, ready, courses, grid.step_s)
        if with_pins != steep:
            courses = [c.given_up() for c in courses]
    for course in courses:
        forced.pins[course.pin.name] = course.ends
        if course.ends < course.expires:
            unit = "blocks" if course.of_group else "nodes"
            forced.entries.append(("pin", course.ends, unit, course.pin.count))
    for t, short_w in steep:
        forced.ramps.add(t)
        forced.entries.append(("ramp", t, "W", short_w))
    return forced


def _started(facts: SiteFacts, machine: AsicGroup | GpuPool) -> Cohorts:
    if isinstance(machine, AsicGroup):
        return facts.now.groups[machine.name].started
    return facts.now.pools[machine.name].started


def _let_go(facts: SiteFacts, forced: Forced, t: int) -> int:
    """Let go of what cannot run on, below feeders first, and return what must draw in the step. [milliwatt]"""
    if not any(kept[t] for kept in forced.kept.values()):
        return 0 if facts.dark[t] else facts.floor_mw[t]
    young = {m.name: forced.kept[m.name][t] for m in facts.machines}
    stay = {m.name: min(young[m.name], facts.in_service[m.name][t]) for m in facts.machines}
    serviceable = dict(stay)
    room_mw: list[tuple[Sequence[str], int]] = []
    for floor_mw, limit_mw, names in _limits(facts, t):
        below = [m for m in facts.machines if m.name in names]
        spare = limit_mw - floor_mw - sum(lowest_mw(facts, m, t, stay[m.name]) for m in below)
        for machine in below:
            while spare < 0 < stay[machine.name]:
                before_mw = lowest_mw(facts, machine, t, stay[machine.name])
                stay[machine.name] -= min(stay[machine.name], max(1, -spare // lowest_mw(facts, machine, t, 1)))
                spare += before_mw - lowest_mw(facts, machine, t, stay[machine.name])
        room_mw.append((names, limit_mw - floor_mw))
    for machine in reversed(facts.machines):
        while stay[machine.name] < serviceable[machine.name]:
            stay[machine.name] += 1
            if not _fits(facts, stay, room_mw, t):
                stay[machine.name] -= 1
                break
    for machine in facts.machines:
        if gone := young[machine.name] - stay[machine.name]:
            kept = forced.kept[machine.name]
            kept[t:] = [min(stay[machine.name], count) for count in kept[t:]]
            unit = "blocks" if isinstance(machine, AsicGroup) else "nodes"
            forced.entries.append(("min_up", t, unit, gone))
    drawn_mw = facts.floor_mw[t] + sum(lowest_mw(facts, m, t, stay[m.name]) for m in facts.machines)
    return 0 if facts.dark[t] else drawn_mw


def _limits(facts: SiteFacts, t: int) -> Iterator[tuple[int, int, Sequence[str]]]:
    """What draws anyway below each feeder and the site, what may, and which machines are there. [milliwatt]"""
    for _, limit_w, names in facts.feeders:
        yield sum(facts.asleep_mw[n][t] for n in names), limit_w[t] * MILLIWATT_PER_W, names
    yield facts.floor_mw[t], facts.limit_w[t] * MILLIWATT_PER_W, [m.name for m in facts.machines]


def _fits(facts: SiteFacts, stay: dict[str, int], room_mw: Sequence[tuple[Sequence[str], int]], t: int) -> bool:
    drawn_mw = {m.name: lowest_mw(facts, m, t, stay[m.name]) for m in facts.machines}
    return all(sum(drawn_mw[name] for name in names) <= room for names, room in room_mw)
