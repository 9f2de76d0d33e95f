"""Which draws a site can reach from the measured one, step by step: what surely can run, what must, and how fast it may change.

Everything by step and in whole milliwatts; `kept` are the machines that ran before the plan and must go on, by group and pool.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from zoneinfo import ZoneInfo

from models.asic import AsicGroup
from models.gpu import GpuPool
from models.state import Cohorts
from models.time_grid import TimeGrid
from optimizer.audit.ground import SiteFacts, containers_w
from optimizer.audit.machines import cohorts, minimum_run_s
from optimizer.audit.meter import MILLIWATT_PER_W, ramp_allowed_mw, ramp_free
from optimizer.audit.pinned import Course

Counts = dict[str, list[int]]
"""By group and pool, how many of its machines, by step."""


def still_young(dated: Cohorts, within_s: int, grid: TimeGrid) -> list[int]:
    """How many changed less than so many seconds before each step."""
    if not dated:
        return [0] * grid.steps
    queue = cohorts(dated, grid)
    return [sum(count for since, count in queue if start_s - since < within_s) for start_s in grid.offset_s[:-1]]


def lowest_mw(facts: SiteFacts, machine: AsicGroup | GpuPool, step: int, count: int) -> int:
    """What so many machines draw beyond sleep in their lowest mode, with the containers that nodes fill. [milliwatt]"""
    return count * facts.modes_mw[machine.name][0][step] + _containers_mw(facts, machine, step, count)


def _all_lowest_mw(facts: SiteFacts, machine: AsicGroup | GpuPool, counts: Sequence[int]) -> list[int]:
    """The same by step."""
    drawn_mw = [count * mw for count, mw in zip(counts, facts.modes_mw[machine.name][0], strict=True)]
    return _with_containers(facts, machine, counts, drawn_mw)


def _all_highest_mw(facts: SiteFacts, machine: AsicGroup | GpuPool, counts: Sequence[int]) -> list[int]:
    """What they draw by step in the highest mode that heat allows; nodes without work."""
    drawn_mw = [count * mw for count, mw in zip(counts, facts.highest_mw[machine.name], strict=True)]
    return _with_containers(facts, machine, counts, drawn_mw)


def _with_containers(facts: SiteFacts, machine: AsicGroup | GpuPool, counts: Sequence[int], drawn_mw: list[int]) -> list[int]:
    if not isinstance(machine, GpuPool) or machine.nodes_per_container is None:
        return drawn_mw
    return [mw + _containers_mw(facts, machine, t, counts[t]) for t, mw in enumerate(drawn_mw)]


def _containers_mw(facts: SiteFacts, machine: AsicGroup | GpuPool, step: int, count: int) -> int:
    return containers_w(machine, count) * facts.pue_milli[machine.name][step] if isinstance(machine, GpuPool) else 0


def able_to_run(facts: SiteFacts, machine: AsicGroup | GpuPool, grid: TimeGrid) -> list[int]:
    """How many machines are in service, do not rest, and can be reached by the starts that the days allow."""
    served = facts.in_service[machine.name]
    if isinstance(machine, GpuPool):
        return served
    resting = still_young(facts.now.groups[machine.name].stopped, machine.min_down_s, grid)
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


def ready_to_run(facts: SiteFacts, kept: Counts, able: Counts, grid: TimeGrid) -> Counts:
    """How many can run without a start that could not last: those from before, and new ones that fit through their minimum."""
    kept_mw = {m.name: _all_lowest_mw(facts, m, kept[m.name]) for m in facts.machines}
    left_mw = [
        (names, [room - sum(drawn) for room, *drawn in zip(rooms, *(kept_mw[n] for n in names), strict=True)])
        for names, rooms in _rooms_mw(facts)
    ]
    ready: Counts = {}
    for machine in facts.machines:
        name, now, served = machine.name, facts.now, facts.in_service[machine.name]
        left = map(min, zip(*(left for names, left in left_mw if name in names), strict=True))
        room_mw = [mw + own for mw, own in zip(left, kept_mw[name], strict=True)]
        all_mw = _all_lowest_mw(facts, machine, served)
        fit = [
            most if mw <= room else _fitting(facts, machine, t, room)
            for t, (most, mw, room) in enumerate(zip(served, all_mw, room_mw, strict=True))
        ]
        if min(fit) >= max(able[name]):  # there is always room for all, so that nobody need look ahead
            ready[name] = able[name]
            continue
        going = now.groups[name].running if isinstance(machine, AsicGroup) else now.pools[name].nodes_on
        run_s, ready[name] = minimum_run_s(machine), []
        for t, begins_s in enumerate(grid.offset_s[:-1]):
            going = min(going, served[t])
            until = bisect_left(grid.offset_s, begins_s + run_s, lo=t + 1, hi=grid.steps)
            ready[name].append(min(able[name][t], max(going, min(fit[t:until]))))
    return ready


def _rooms_mw(facts: SiteFacts) -> Iterator[tuple[Sequence[str], list[int]]]:
    """By step, what may be drawn beyond sleep and base load below each feeder and at the site, and by which machines."""
    for _, limit_w, names in facts.feeders:
        asleep_mw = (facts.asleep_mw[n] for n in names)
        yield names, [w * MILLIWATT_PER_W - sum(mw) for w, *mw in zip(limit_w, *asleep_mw, strict=True)]
    floors = zip(facts.limit_w, facts.floor_mw, strict=True)
    yield [m.name for m in facts.machines], [w * MILLIWATT_PER_W - mw for w, mw in floors]


def _added(first: Sequence[int], others: Iterable[Sequence[int]]) -> list[int]:
    """Return a series with others added to it."""
    return list(map(sum, zip(first, *others, strict=True)))


def _fitting(facts: SiteFacts, machine: AsicGroup | GpuPool, t: int, room_mw: int) -> int:
    """How many of those in service draw no more than that in their lowest mode."""
    most = facts.in_service[machine.name][t]
    return bisect_right(range(1, most + 1), room_mw, key=partial(lowest_mw, facts, machine, t))


def _most_mw(facts: SiteFacts, kept: Counts, able: Counts, courses: Sequence[Course], one_mw: Counts) -> list[int]:
    """What a site can surely draw: machines in their highest mode, nodes without work, pinned ones as pinned.

    What a feeder cannot carry of it is lost but for its largest machine, and never what must run.
    """
    pinned = {course.pin.machine: course for course in courses}
    sure = {m.name: _sure_mw(facts, kept, able, pinned.get(m.name), m) for m in facts.machines}
    must = {m.name: _must_mw(facts, kept, pinned.get(m.name), m) for m in facts.machines} if facts.feeders else {}
    for feeder, (_, limit_w, names) in zip(facts.site.feeders, facts.feeders, strict=True):
        wanted = map(sum, zip(*[sure.pop(n) for n in feeder.members], strict=True))
        held = map(sum, zip(*(must[n] for n in names), strict=True))
        largest = map(max, zip(*(one_mw[n] for n in names), strict=True))
        sure[feeder.name] = [
            mw if mw <= watts * MILLIWATT_PER_W else max(least, watts * MILLIWATT_PER_W - most)
            for mw, least, watts, most in zip(wanted, held, limit_w, largest, strict=True)
        ]
    base_mw = [facts.site.base_load_w * MILLIWATT_PER_W] * len(facts.dark)
    bounded = zip(_added(base_mw, sure.values()), facts.limit_w, facts.dark, strict=True)
    return [0 if dark else min(mw, limit_w * MILLIWATT_PER_W) for mw, limit_w, dark in bounded]


def _sure_mw(facts: SiteFacts, kept: Counts, able: Counts, course: Course | None, machine: AsicGroup | GpuPool) -> list[int]:
    counts = list(map(max, able[machine.name], kept[machine.name]))
    sure_mw = _all_highest_mw(facts, machine, counts)
    if course is not None:
        sure_mw[: course.ends] = course.most_mw[: course.ends]
    return _added(facts.asleep_mw[machine.name], [sure_mw])


def _must_mw(facts: SiteFacts, kept: Counts, course: Course | None, machine: AsicGroup | GpuPool) -> list[int]:
    drawn_mw = _added(facts.asleep_mw[machine.name], [_all_lowest_mw(facts, machine, kept[machine.name])])
    return drawn_mw if course is None else _added(drawn_mw, [course.more_mw])


def steep_steps(
    facts: SiteFacts, kept: Counts, must_mw: list[int], able: Counts, courses: Sequence[Course],
    step_s: Sequence[int],
) -> list[tuple[int, int]]:  # fmt: skip
    """Follow the lowest and the highest draw within reach; return the steps that both miss, and by how many watts."""
    if facts.ramp_w_per_min is None:
        return []
    missed = []
    free, allowed_mw = ramp_free(facts), ramp_allowed_mw(facts, step_s)
    one_mw = {m.name: _all_highest_mw(facts, m, [1] * len(step_s)) for m in facts.machines}
    most_mw = _most_mw(facts, kept, able, courses, one_mw)
    largest_mw = list(map(max, zip(*one_mw.values(), strict=True))) if one_mw else [0] * len(step_s)
    low = high = facts.now.draw_w * MILLIWATT_PER_W
    for t, (least, most, allowed) in enumerate(zip(must_mw, most_mw, allowed_mw, strict=True)):
        reach = max(0, allowed - largest_mw[t])
        short_mw = max(low - reach - most, least - high - reach)
        if not free[t] and short_mw <= 0:
            low, high = max(least, low - reach), min(most, high + reach)
            continue
        if not free[t]:
            missed.append((t, -(-short_mw // MILLIWATT_PER_W)))
        low, high = least, most
    return missed
