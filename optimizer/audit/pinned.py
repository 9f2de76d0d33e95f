"""Pinned counts: how long the state lets each be kept, and whether the plan keeps it that long.

A pin ends in the first step in which its machines are not in service or still rest; in which minimum runs of the past hold
on more than it allows (for a mode: more than other modes can take); or in which what must run, with the pins before it,
draws more than the limit. Machines that a pin starts must be able to run their minimum, else it never holds.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from models.asic import AsicGroup
from models.availability import Pin
from models.gpu import GpuPool
from models.plan import SitePlan
from models.time_grid import TimeGrid
from optimizer.audit.ground import Findings, SiteFacts, barred, containers_w
from optimizer.audit.machines import Life, minimum_run_s


@dataclass(frozen=True)
class Course:
    """A pin as long as it can be kept, by step.

    expires: the step with which it would end; ends: the one with which it does.
    more_mw: what it makes the site draw beyond what must run anyway, also after it, where its starts must run on.
    most_mw: what its machines can draw beyond sleep while it holds. [milliwatt]
    """

    pin: Pin
    of_group: bool
    expires: int
    ends: int
    more_mw: list[int]
    most_mw: list[int]

    def given_up(self) -> "Course":
        """Return the pin as one that never holds."""
        return replace(self, ends=0, more_mw=[0] * len(self.more_mw))


def _drawn_mw(facts: SiteFacts, machine: AsicGroup | GpuPool, each_mw: Sequence[int], step: int, count: int) -> int:
    """What so many draw in a step at so much each, with the containers that nodes fill. [milliwatt]"""
    shared_w = containers_w(machine, count) if isinstance(machine, GpuPool) else 0
    return count * each_mw[step] + shared_w * facts.pue_milli[machine.name][step]


def highest_mw(facts: SiteFacts, machine: AsicGroup | GpuPool, modes: Iterable[int]) -> list[int]:
    """What one machine draws beyond sleep in the highest of some modes that is not too hot; nothing where all are."""
    top = [0] * len(facts.ambient_c)
    for mode in modes:
        drawn = facts.modes_mw[machine.name][mode]
        hot = [isinstance(machine, AsicGroup) and barred(machine.modes[mode], c) for c in facts.ambient_c]
        top = [old if out else new for old, new, out in zip(top, drawn, hot, strict=True)]
    return top


def courses_of_pins(
    facts: SiteFacts, kept: Mapping[str, list[int]], able: Mapping[str, list[int]], grid: TimeGrid
) -> list[Course]:
    """Follow the pins of a site in their order; `kept` must go on of the past, `able` are in service and do not rest."""
    courses: list[Course] = []
    if not facts.pins:
        return courses
    limits: list[tuple[Sequence[int], Sequence[int], Collection[str]]] = [
        (limit_w, [sum(facts.asleep_mw[n][t] for n in names) for t in range(grid.steps)], names)
        for _, limit_w, names in facts.feeders
    ]
    limits.append((facts.limit_w, facts.floor_mw, [m.name for m in facts.machines]))
    lowest = {name: by_mode[0] for name, by_mode in facts.modes_mw.items()}
    must = {m.name: [_drawn_mw(facts, m, lowest[m.name], t, n) for t, n in enumerate(kept[m.name])] for m in facts.machines}
    for pin, expires in facts.pins:
        if expires:
            machine = next(m for m in facts.machines if m.name == pin.machine)
            room_mw = [
                min(w[t] * 1000 - floor[t] - sum(must[n][t] for n in names) for w, floor, names in limits if pin.machine in names)
                for t in range(grid.steps)
            ]
            course = _follow(facts, machine, pin, expires, kept[pin.machine], able[pin.machine], room_mw, grid)
            must[pin.machine] = [mw + more for mw, more in zip(must[pin.machine], course.more_mw, strict=True)]
            courses.append(course)
    return courses


def _follow(
    facts: SiteFacts, machine: AsicGroup | GpuPool, pin: Pin, expires: int,
    kept: Sequence[int], able: Sequence[int], room_mw: Sequence[int], grid: TimeGrid,
) -> Course:  # fmt: skip
    of_group = isinstance(machine, AsicGroup)
    before = facts.now.groups[pin.machine].running if of_group else facts.now.pools[pin.machine].nodes_on
    beside = [0 if pin.mode is None else max(0, on - pin.count) for on in kept]
    starts = max(0, pin.count + beside[0] - before)
    must_run = sum(start_s < minimum_run_s(machine) for start_s in grid.offset_s[:-1]) if starts else 0
    lowest_mw = facts.modes_mw[machine.name][0]
    pinned_mw, other_mw, highest_mw = _powers(facts, machine, pin)
    more_mw = [0] * grid.steps
    ends = expires
    for t in range(max(expires, must_run)):
        if t < expires:
            on, draw_mw = pin.count + beside[t], _drawn_mw(facts, machine, pinned_mw, t, pin.count) + beside[t] * other_mw[t]
        else:
            on, draw_mw = kept[t] + starts, _drawn_mw(facts, machine, lowest_mw, t, kept[t] + starts)
        crowded = t < expires and (kept[t] > on or (beside[t] > 0 and not any(other_mw)))
        crowded |= t < expires and _too_hot(machine, pin, beside[t], facts.ambient_c[t])
        more = draw_mw - _drawn_mw(facts, machine, lowest_mw, t, kept[t])
        if crowded or on > able[t] or more > max(0, room_mw[t]):
            ends = t if t >= must_run else 0
            more_mw = more_mw if ends else [0] * grid.steps
            break
        more_mw[t] = more
    most_mw = [
        _drawn_mw(facts, machine, highest_mw if pin.mode is None else pinned_mw, t, pin.count)
        + (0 if pin.mode is None else max(0, kept[t] - pin.count, able[t] - pin.count) * highest_mw[t])
        for t in range(grid.steps)
    ]
    return Course(pin, of_group, expires, ends, more_mw, most_mw)


def _too_hot(machine: AsicGroup | GpuPool, pin: Pin, beside: int, ambient_c: float) -> bool:
    """Whether heat bars the pinned mode, or the lowest other mode for those beside it."""
    if pin.mode is None or isinstance(machine, GpuPool):
        return False
    number = [m.name for m in machine.modes].index(pin.mode)
    used = ([number] if pin.count else []) + ([1 if number == 0 else 0] if beside and len(machine.modes) > 1 else [])
    return any(barred(machine.modes[k], ambient_c) for k in used)


def _powers(facts: SiteFacts, machine: AsicGroup | GpuPool, pin: Pin) -> tuple[list[int], list[int], list[int]]:
    """What a pinned machine draws at least, one beside it in the lowest other mode, and one in the highest it may have."""
    by_mode = facts.modes_mw[machine.name]
    if pin.mode is None or isinstance(machine, GpuPool):
        return by_mode[0], by_mode[0], facts.highest_mw[machine.name]
    number = [m.name for m in machine.modes].index(pin.mode)
    others = [k for k in range(len(machine.modes)) if k != number]
    if not others:
        nothing = [0] * len(facts.limit_w)
        return by_mode[number], nothing, nothing
    return by_mode[number], by_mode[others[0]], highest_mw(facts, machine, others)


def check_pins(facts: SiteFacts, made: SitePlan, lives: Mapping[str, Life], ends: Mapping[str, int], found: Findings) -> None:
    """Pinned counts stand to the block and node, as long as the state lets them."""
    for pin, _ in facts.pins:
        counts: Sequence[int] = lives[pin.machine].on if pin.mode is None else made.groups[pin.machine].mode_blocks[pin.mode]
        for t in range(ends.get(pin.name, 0)):
            if counts[t] != pin.count:
                words = f"{pin.owner}'s pin holds {pin.count} {pin.mode or lives[pin.machine].unit}"
                found.say(facts.site.name, t, f"{pin.machine}: {words}, the plan has {counts[t]}")
