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

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from zoneinfo import ZoneInfo

from models.asic import AsicGroup
from models.gpu import GpuPool
from models.state import Cohorts
from models.time_grid import TimeGrid
from optimizer.audit.ground import SiteFacts, containers_w
from optimizer.audit.machines import cohorts, minimum_run_s
from optimizer.audit.meter import MW_PER_W, ramp_allowed_mw, ramp_free
from optimizer.audit.pinned import Course, courses_of_pins

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
        forced.kept[machine.name] = _young(started, minimum_run_s(machine), grid)
    young = {name: tuple(counts) for name, counts in forced.kept.items()}
    must_mw = [_let_go(facts, forced, t) for t in range(grid.steps)]
    forced.missed = {name: [a - b for a, b in zip(counts, forced.kept[name], strict=True)] for name, counts in young.items()}
    able = {machine.name: _able(facts, machine, grid) for machine in facts.machines}
    ready = able if facts.ramp_w_per_min is None else _ready(facts, forced, able, grid)
    steep = _steep(facts, must_mw, _most_mw(facts, forced, ready), grid.step_s)
    courses = courses_of_pins(facts, forced.kept, able, grid)
    if courses:
        least_mw = [mw + sum(c.more_mw[t] for c in courses) for t, mw in enumerate(must_mw)]
        with_pins = _steep(facts, least_mw, _most_mw(facts, forced, ready, courses), grid.step_s)
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


def _young(dated: Cohorts, within_s: int, grid: TimeGrid) -> list[int]:
    """How many changed less than so many seconds before each step."""
    queue = cohorts(dated, grid)
    return [sum(count for since, count in queue if start_s - since < within_s) for start_s in grid.offset_s[:-1]]


def _drawn_mw(facts: SiteFacts, machine: AsicGroup | GpuPool, step: int, count: int) -> int:
    """What so many machines draw beyond sleep in their lowest mode, with the containers that nodes fill. [milliwatt]"""
    return count * facts.modes_mw[machine.name][0][step] + _containers_mw(facts, machine, step, count)


def _highest_mw(facts: SiteFacts, machine: AsicGroup | GpuPool, step: int, count: int) -> int:
    """What they draw in the highest mode that heat allows; nodes without work."""
    return count * facts.highest_mw[machine.name][step] + _containers_mw(facts, machine, step, count)


def _containers_mw(facts: SiteFacts, machine: AsicGroup | GpuPool, step: int, count: int) -> int:
    return containers_w(machine, count) * facts.pue_milli[machine.name][step] if isinstance(machine, GpuPool) else 0


def _let_go(facts: SiteFacts, forced: Forced, t: int) -> int:
    """Let go of what cannot run on, below feeders first, and return what must draw in the step. [milliwatt]"""
    young = {m.name: forced.kept[m.name][t] for m in facts.machines}
    if not any(young.values()):
        return 0 if facts.dark[t] else facts.floor_mw[t]
    stay = {m.name: min(young[m.name], facts.in_service[m.name][t]) for m in facts.machines}
    serviceable = dict(stay)
    room_mw: list[tuple[Sequence[str], int]] = []
    for floor_mw, limit_mw, names in _limits(facts, t):
        below = [m for m in facts.machines if m.name in names]
        spare = limit_mw - floor_mw - sum(_drawn_mw(facts, m, t, stay[m.name]) for m in below)
        for machine in below:
            while spare < 0 < stay[machine.name]:
                before_mw = _drawn_mw(facts, machine, t, stay[machine.name])
                stay[machine.name] -= min(stay[machine.name], max(1, -spare // _drawn_mw(facts, machine, t, 1)))
                spare += before_mw - _drawn_mw(facts, machine, t, stay[machine.name])
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
    drawn_mw = facts.floor_mw[t] + sum(_drawn_mw(facts, m, t, stay[m.name]) for m in facts.machines)
    return 0 if facts.dark[t] else drawn_mw


def _limits(facts: SiteFacts, t: int) -> Iterator[tuple[int, int, Sequence[str]]]:
    """What draws anyway below each feeder and the site, what may, and which machines are there. [milliwatt]"""
    for _, limit_w, names in facts.feeders:
        yield sum(facts.asleep_mw[n][t] for n in names), limit_w[t] * MW_PER_W, names
    yield facts.floor_mw[t], facts.limit_w[t] * MW_PER_W, [m.name for m in facts.machines]


def _fits(facts: SiteFacts, stay: dict[str, int], room_mw: Sequence[tuple[Sequence[str], int]], t: int) -> bool:
    drawn_mw = {m.name: _drawn_mw(facts, m, t, stay[m.name]) for m in facts.machines}
    return all(sum(drawn_mw[name] for name in names) <= room for names, room in room_mw)


def _able(facts: SiteFacts, machine: AsicGroup | GpuPool, grid: TimeGrid) -> list[int]:
    """How many machines are in service, do not rest, and can be reached by the starts that the days allow."""
    served = facts.in_service[machine.name]
    if isinstance(machine, GpuPool):
        return served
    resting = _young(facts.now.groups[machine.name].stopped, machine.min_down_s, grid)
    able = [min(n, machine.blocks - rest) for n, rest in zip(served, resting, strict=True)]
    if machine.max_starts_per_day is None:
        return able
    now = facts.now.groups[machine.name]
    each_day = machine.blocks * machine.max_starts_per_day
    days = [start.astimezone(ZoneInfo(facts.site.zone)).date() for start in grid.starts]
    for t, day in enumerate(days):
        starts = sum(max(0, each_day - (now.starts_today if d == facts.today else 0)) for d in set(days) if d <= day)
        able[t] = min(able[t], now.running + starts)
    return able


def _ready(facts: SiteFacts, forced: Forced, able: dict[str, list[int]], grid: TimeGrid) -> dict[str, list[int]]:
    """How many can run without a start that could not last: those from before, and new ones that fit through their minimum."""
    fit: dict[str, list[int]] = {m.name: [] for m in facts.machines}
    for t in range(grid.steps):
        drawn_mw = {m.name: _drawn_mw(facts, m, t, forced.kept[m.name][t]) for m in facts.machines}
        left_mw = [(names, limit - floor - sum(drawn_mw[n] for n in names)) for floor, limit, names in _limits(facts, t)]
        for machine in facts.machines:
            room_mw = min(left for names, left in left_mw if machine.name in names) + drawn_mw[machine.name]
            fit[machine.name].append(_fitting(facts, machine, t, room_mw))
    ready: dict[str, list[int]] = {m.name: [] for m in facts.machines}
    for machine in facts.machines:
        name, now = machine.name, facts.now
        going = now.groups[name].running if isinstance(machine, AsicGroup) else now.pools[name].nodes_on
        for t, begins_s in enumerate(grid.offset_s[:-1]):
            going = min(going, facts.in_service[name][t])
            until = bisect_left(grid.offset_s, begins_s + minimum_run_s(machine), lo=t + 1, hi=grid.steps)
            ready[name].append(min(able[name][t], max(going, min(fit[name][t:until]))))
    return ready


def _fitting(facts: SiteFacts, machine: AsicGroup | GpuPool, t: int, room_mw: int) -> int:
    """How many of those in service draw no more than that in their lowest mode."""
    most = facts.in_service[machine.name][t]
    if _drawn_mw(facts, machine, t, most) <= room_mw:
        return most
    return bisect_right(range(1, most + 1), room_mw, key=partial(_drawn_mw, facts, machine, t))


def _most_mw(facts: SiteFacts, forced: Forced, able: dict[str, list[int]], courses: Sequence[Course] = ()) -> list[int]:
    """What a site can surely draw: machines in their highest mode, nodes without work, pinned ones as pinned.

    What a feeder cannot carry of it is lost but for its largest machine, and never what must run.
    """
    pinned = {course.pin.machine: course for course in courses}
    most_mw = [0 if dark else facts.site.base_load_w * MW_PER_W for dark in facts.dark]
    for t in range(len(most_mw)):
        sure = {m.name: _sure_mw(facts, forced, able, pinned.get(m.name), m, t) for m in facts.machines}
        must = {m.name: _must_mw(facts, forced, pinned.get(m.name), m, t) for m in facts.machines if facts.feeders}
        for feeder, (_, limit_w, names) in zip(facts.site.feeders, facts.feeders, strict=True):
            below = [m for m in facts.machines if m.name in names]
            wanted, held, limit_mw = sum(sure.pop(n) for n in feeder.members), sum(must[n] for n in names), limit_w[t] * MW_PER_W
            largest = max(_highest_mw(facts, m, t, 1) for m in below)
            sure[feeder.name] = wanted if wanted <= limit_mw else max(held, limit_mw - largest)
        most_mw[t] += sum(sure.values())
    bounded = zip(most_mw, facts.limit_w, facts.dark, strict=True)
    return [0 if dark else min(mw, limit_w * MW_PER_W) for mw, limit_w, dark in bounded]


def _sure_mw(
    facts: SiteFacts, forced: Forced, able: dict[str, list[int]], course: Course | None, machine: AsicGroup | GpuPool, t: int
) -> int:
    asleep = facts.asleep_mw[machine.name][t]
    if course is not None and t < course.ends:
        return asleep + course.most_mw[t]
    return asleep + _highest_mw(facts, machine, t, max(able[machine.name][t], forced.kept[machine.name][t]))


def _must_mw(facts: SiteFacts, forced: Forced, course: Course | None, machine: AsicGroup | GpuPool, t: int) -> int:
    more = course.more_mw[t] if course is not None else 0
    return facts.asleep_mw[machine.name][t] + _drawn_mw(facts, machine, t, forced.kept[machine.name][t]) + more


def _steep(facts: SiteFacts, must_mw: list[int], most_mw: list[int], step_s: Sequence[int]) -> list[tuple[int, int]]:
    """Follow the lowest and the highest draw within reach; return the steps that both miss, and by how many watts."""
    if facts.ramp_w_per_min is None:
        return []
    missed = []
    free, allowed_mw = ramp_free(facts), ramp_allowed_mw(facts, step_s)
    low = high = facts.now.draw_w * MW_PER_W
    for t, (least, most, allowed) in enumerate(zip(must_mw, most_mw, allowed_mw, strict=True)):
        reach = max(0, allowed - max((_highest_mw(facts, m, t, 1) for m in facts.machines), default=0))
        short_mw = max(low - reach - most, least - high - reach)
        if not free[t] and short_mw <= 0:
            low, high = max(least, low - reach), min(most, high + reach)
            continue
        if not free[t]:
            missed.append((t, -(-short_mw // MW_PER_W)))
        low, high = least, most
    return missed
