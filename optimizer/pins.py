"""Pins: how long each can be kept, from the state alone, before there is a model.

A pin ends early, and from then on is as if it had expired, at the first step in which one of these does not hold:

    - the count, and what the past still holds on beside it, are in service, do not rest after a stop, and can be reached
      with the starts that the day still allows
    - a pin of all that run is no less than what the past holds on; a pin of one mode leaves the others another mode
    - all that must run (pinned ones in their mode, held ones in their lowest), with sleep and base load, keep the limit

Machines that the pin itself starts must then run their minimum: where they could not, the pin never holds. Pins are taken
in the order in which they stand. Where the ramp could not be kept with the pins of a site, none of them holds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.availability import Pin
from models.gpu import GpuPool
from models.plan import Recovery
from optimizer.availability import pinned
from optimizer.compiled import Ints
from optimizer.sets import World


@dataclass
class Machines:
    """One group or pool, by step: how many are in service, and the past holds on or asleep; what each draws beyond sleep.

    reachable: most that can run after all starts that the days allow. before: how many ran before the first step.
    lasting: most that a start in a step may bring to, so that they can run their minimum; None: as many as there are.
    pool, pue: of nodes, which may fill containers that draw too.
    power_mw: by mode (a pool has one) and step, in milliwatts. asleep_mw: what all draw asleep. allowed: how many modes may run.
    """

    name: str
    unit: str
    there: int
    before: int
    hold_s: int
    modes: tuple[str, ...]
    available: Ints
    held: Ints
    resting: Ints
    reachable: Ints
    power_mw: tuple[Ints, ...]
    asleep_mw: Ints
    allowed: Ints
    pool: GpuPool | None = None
    pue: Ints | None = None
    lasting: Ints | None = None
    gives_way: bool = False

    @property
    def least_mw(self) -> Ints:
        """What one draws in its lowest mode, or without work."""
        return self.power_mw[0]

    @property
    def most_mw(self) -> Ints:
        """What one draws for sure at most: in the highest mode that the heat allows, or without work."""
        return self.top_mw(range(len(self.power_mw)))

    def top_mw(self, modes: Iterable[int]) -> Ints:
        """Return what one draws in the highest of some modes that may run; nothing where none may."""
        top = np.zeros_like(self.power_mw[0])
        for mode in modes:
            top = np.where(mode < self.allowed, self.power_mw[mode], top)
        return top

    def drawn_mw(self, counts: Ints, each_mw: Ints) -> Ints:
        """Return what so many draw beyond sleep at so much each, with the containers that they fill, by step."""
        drawn = counts * each_mw
        return np.asarray(drawn if self.pool is None else drawn + self.containers_mw(counts))

    def containers_mw(self, counts: Ints) -> Ints:
        """Return what the containers that so many fill draw, by step."""
        if self.pool is None or self.pue is None or not self.pool.nodes_per_container:
            return np.zeros_like(counts)
        return np.asarray(-(-counts // self.pool.nodes_per_container) * self.pool.container_base_w * self.pue)

    @property
    def one_mw(self) -> Ints:
        """What the draw can change by at most when one more or less runs."""
        return self.most_mw + self.containers_mw(np.ones_like(self.held))

    def least_drawn_mw(self, count: int, t: int) -> int:
        """Return what so many draw in a step in their lowest mode, or without work."""
        if self.pool is None or self.pue is None:
            return count * int(self.least_mw[t])
        return self.pool.power_w(count, self.pool.node_fixed_w) * int(self.pue[t])

    def fitting(self, room_mw: int, t: int) -> int:
        """Return how many draw no more than that in a step in their lowest mode, or without work."""
        if self.pool is None or self.pue is None:
            return max(0, room_mw) // int(self.least_mw[t])
        return self.pool.fitting(room_mw // int(self.pue[t]), self.pool.node_fixed_w)

    @property
    def sure(self) -> Ints:
        """How many can run for sure, by step."""
        able = np.minimum(np.minimum(self.there - self.resting, self.available), self.reachable)
        if self.lasting is not None:
            going = np.minimum(self.before, np.minimum.accumulate(self.available))
            able = np.minimum(able, np.maximum(going, self.lasting))
        return np.maximum(able, self.held)


@dataclass(frozen=True, eq=False)
class Limit:
    """A feeder, or the site, which has no name: its limit, what draws there anyway, the machines below it. [milliwatt]"""

    name: str
    limit_mw: Ints
    floor_mw: Ints
    machines: tuple[Machines, ...]


def limits_of(here: World, number: int, machines: Sequence[Machines]) -> list[Limit]:
    """Return the feeders of a site, whoever feeds others after them, and the site."""
    found = []
    for branch in here.branches_at(number):
        below = tuple(m for m in machines if m.name in branch.machines)
        asleep = np.asarray(sum((m.asleep_mw for m in below), start=np.int64(0)), dtype=np.int64)
        found.append(Limit(branch.name, branch.limit_mw, asleep, below))
    site_mw = np.where(here.energised[number], 1000 * here.effective_limit_w[number], 0)
    return [*found, Limit("", site_mw, here.floor_mw[number], tuple(machines))]


@dataclass(frozen=True, eq=False)
class HeldPin:
    """A pin of a machine, the first step in which it no longer holds, and why that is before it expires.

    on, must_mw: by step, how many run at least and what they draw beyond sleep, while it holds and while they must run on.
    """

    pin: Pin
    machine: Machines
    ends: int
    on: Ints
    must_mw: Ints
    why: str = ""

    def given_up(self, why: str) -> "HeldPin":
        """Return the pin as one that never holds."""
        return replace(self, ends=0, why=why)

    def record(self) -> Recovery:
        """Name that the pin ends early."""
        pin = self.pin
        held = f"{pin.count} {pin.mode or self.machine.unit}"
        return Recovery(
            site=pin.site, step=self.ends, rule="pin", shortfall=pin.count, unit=self.machine.unit,
            words=f"{pin.machine}: {pin.owner}'s pin to {held} no longer holds, since {self.why}",
        )  # fmt: skip


def hold_pins(here: World, number: int, machines: Sequence[Machines]) -> list[HeldPin]:
    """Return the pins of a site that have not expired, with how long each holds."""
    held: list[HeldPin] = []
    paths = limits_of(here, number, machines)
    for machine in machines:
        known = pinned(here, number, machine.name)
        if known is not None and known[1]:
            held.append(_course(here, machine, *known))
    held.sort(key=lambda h: here.problem.pins.index(h.pin))
    for n, pin in enumerate(held):
        rooms = [p.limit_mw - p.floor_mw - must_mw(p.machines, held[:n]) for p in paths if pin.machine in p.machines]
        room_mw = np.min(rooms, axis=0) + pin.machine.drawn_mw(pin.machine.held, pin.machine.least_mw)
        held[n] = _kept(here, pin, room_mw)
    return held


def _course(here: World, machine: Machines, pin: Pin, ends: int) -> HeldPin:
    """Return what a pin asks for: it holds until it expires, and what it starts runs its minimum."""
    on, must = _asked(machine, pin)
    starts = max(0, int(on[0]) - machine.before)
    runs_until = int(np.searchsorted(here.start_s, machine.hold_s)) if starts else 0
    after = np.arange(len(on)) >= ends
    started = np.where(np.arange(len(on)) < runs_until, starts, 0)
    on = np.where(after, machine.held + started, on)
    must = np.where(after, machine.drawn_mw(machine.held + started, machine.least_mw), must)
    return HeldPin(pin, machine, ends, on, must)


def _asked(machine: Machines, pin: Pin) -> tuple[Ints, Ints]:
    """How many run at least while a pin holds, and what they draw; more than there are where that is impossible."""
    impossible = machine.there + 1
    if pin.mode is None:
        on = np.where(machine.held > pin.count, impossible, pin.count)
        return on, machine.drawn_mw(on, machine.least_mw)
    mode = machine.modes.index(pin.mode)
    others = np.maximum(0, machine.held - pin.count)
    needed = np.maximum(mode + 1 if pin.count else 0, np.where(others > 0, 2 if mode == 0 else 1, 0))
    barred = needed > machine.allowed
    if len(machine.modes) == 1:
        return np.asarray(np.where((others > 0) | barred, impossible, pin.count)), np.asarray(pin.count * machine.power_mw[0])
    other_mw = machine.power_mw[1 if mode == 0 else 0]
    others = np.where(barred, impossible, others)
    drawn_mw = np.asarray(pin.count * machine.power_mw[mode] + others * other_mw, dtype=np.int64)
    return np.asarray(pin.count + others), drawn_mw


def _kept(here: World, pin: HeldPin, room_mw: Ints) -> HeldPin:
    """End a pin where it cannot be kept; `room_mw` is what the limit leaves to its machines."""
    machine, steps = pin.machine, len(pin.on)
    starts = max(0, int(pin.on[0]) - machine.before)
    runs_until = int(np.searchsorted(here.start_s, machine.hold_s)) if starts else 0
    reasons = (
        (pin.on > machine.available, f"fewer {machine.unit} are in service, or fewer may stop"),
        (pin.on > machine.there - machine.resting, f"too many {machine.unit} still rest"),
        (pin.on > machine.reachable, "the day allows fewer starts"),
        (pin.must_mw > np.maximum(room_mw, 0), "the limit leaves no room for it"),
    )
    for t in range(max(pin.ends, runs_until)):
        for broken, why in reasons:
            if broken[t]:
                if t < runs_until:
                    return pin.given_up(why)
                later = np.arange(steps) >= t
                return replace(
                    pin, ends=t, why=why,
                    on=np.where(later, machine.held, pin.on),
                    must_mw=np.where(later, machine.drawn_mw(machine.held, machine.least_mw), pin.must_mw),
                )  # fmt: skip
    return pin


def must_mw(machines: Iterable[Machines], pins: Sequence[HeldPin]) -> Ints:
    """Return what must be drawn beyond sleep, by step, while pins hold. [milliwatt]"""
    pinned = {pin.machine.name: pin.must_mw for pin in pins if pin.ends}
    drawn = (pinned.get(m.name, m.drawn_mw(m.held, m.least_mw)) for m in machines)
    return np.asarray(sum(drawn, start=np.int64(0)))


def sure_mw(here: World, number: int, machines: Sequence[Machines], pins: Sequence[HeldPin]) -> Ints:
    """Return what a site can draw for sure, by step, while pins hold. [milliwatt]

    A feeder that binds leaves all but its largest machine for sure, or what must run there.
    """
    pinned = {pin.machine.name: pin for pin in pins if pin.ends}
    sure = {m.name: m.asleep_mw + _sure_mw(m, pinned.get(m.name)) for m in machines}
    for path, branch in zip(limits_of(here, number, machines), here.branches_at(number), strict=False):
        tops = {name: mw for name, mw in sure.items() if name in branch.top}
        wanted = np.asarray(sum(tops.values(), start=np.int64(0)))
        largest = np.max([m.one_mw for m in path.machines], axis=0)
        must = path.floor_mw + must_mw(path.machines, pins)
        carried = np.where(wanted > path.limit_mw, np.maximum(must, path.limit_mw - largest), wanted)
        sure = {name: mw for name, mw in sure.items() if name not in tops} | {branch.name: carried}
    base_mw = 1000 * here.sites[number].base_load_w
    all_mw = base_mw + np.asarray(sum(sure.values(), start=np.int64(0)))
    return np.asarray(np.minimum(all_mw, 1000 * here.effective_limit_w[number]))


def _sure_mw(machine: Machines, held: HeldPin | None) -> Ints:
    free = machine.drawn_mw(machine.sure, machine.most_mw)
    if held is None:
        return free
    pin, holds = held.pin, np.arange(len(free)) < held.ends
    if pin.mode is None:
        return np.where(holds, machine.drawn_mw(np.full_like(machine.held, pin.count), machine.most_mw), free)
    mode = machine.modes.index(pin.mode)
    rest = np.maximum(0, machine.sure - pin.count) * machine.top_mw(k for k in range(len(machine.power_mw)) if k != mode)
    return np.where(holds, pin.count * machine.power_mw[mode] + rest, free)
