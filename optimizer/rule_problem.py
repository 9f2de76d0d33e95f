"""What the rule plan needs of one site: its machines, its limits by step, and what is wished of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from models.asic import AsicGroup
from models.gpu import GpuPool
from models.site import Site
from models.time_grid import TimeGrid

ASLEEP = -1


@dataclass
class Unit:
    """A group or pool: counts that the past holds, and what one of it draws beyond sleep.

    before: how many ran before the first step, by mode (a pool has one). power_mw: by mode and step.
    held, resting: by step, how many of the past must run on, may not start. most: by step, how many are in service.
    day: by step, which of the local days it begins on. starts_left: by day, how many may start; absent: any number.
    allowed: by step, how many modes from the lowest on; absent: all.
    pin: mode (-1 for any), count, and the first step in which it no longer holds.
    """

    machine: AsicGroup | GpuPool
    total: int
    before: list[int]
    hold_s: int
    rest_s: int
    power_mw: list[list[int]]
    held: list[int]
    resting: list[int]
    most: list[int]
    pin: tuple[int, int, int] | None = None
    day: list[int] = field(default_factory=list)
    starts_left: list[int] | None = None
    allowed: list[int] | None = None

    def pinned(self, step: int) -> tuple[int, int] | None:
        """Return mode and count of the pin that holds in a step, if any."""
        return self.pin[:2] if self.pin is not None and step < self.pin[2] else None

    def must(self, step: int, held: int) -> list[int]:
        """Return how many must run in a step by mode, if so many are held on: in the lowest mode, or as pinned."""
        modes = [0] * len(self.power_mw)
        modes[0] = min(held, self.most[step])
        if (pin := self.pinned(step)) is not None:
            mode, count = pin
            modes[0] = count if mode < 0 else 0
            if mode >= 0:
                modes[mode] = count
                if held > count:
                    modes[1 if mode == 0 else 0] = held - count
        return modes

    def must_mw(self, step: int) -> int:
        """Return what must be drawn beyond sleep in a step."""
        return self.drawn_mw(step, self.must(step, self.held[step]))

    def drawn_mw(self, step: int, modes: Sequence[int]) -> int:
        """Return what so many by mode draw beyond sleep in a step, with the containers that nodes fill."""
        if isinstance(self.machine, GpuPool):
            return self.machine.power_w(modes[0], self.machine.node_fixed_w) * self._pue_milli(step)
        return sum(count * power[step] for count, power in zip(modes, self.power_mw, strict=True))

    def lowest_mw(self, step: int, count: int) -> int:
        """Return what so many draw beyond sleep in a step in their lowest mode, or without work."""
        return self.drawn_mw(step, [count, *[0] * (len(self.power_mw) - 1)])

    def fitting(self, step: int, on: int, room_mw: int) -> int:
        """Return how many more than `on` may run in the lowest mode, or without work, for no more than that."""
        if isinstance(self.machine, GpuPool):
            room_mw += self.drawn_mw(step, [on])
            return self.machine.fitting(room_mw // self._pue_milli(step), self.machine.node_fixed_w) - on
        return room_mw // self.power_mw[0][step]

    def _pue_milli(self, step: int) -> int:
        return self.power_mw[0][step] // self.machine.node_fixed_w if isinstance(self.machine, GpuPool) else 1000

    @property
    def busy_mw(self) -> list[int]:
        """What the draw grows by at most with one more: a block in its highest mode, a full node in a container of its own."""
        if isinstance(self.machine, AsicGroup):
            return self.power_mw[-1]
        return [self.busy_nodes_mw(t, 1) for t in range(len(self.held))]

    def busy_nodes_mw(self, step: int, nodes: int) -> int:
        """Return what so many nodes draw at full load."""
        if isinstance(self.machine, AsicGroup):
            return 0
        return self.machine.power_w(nodes, self.machine.node_full_w) * self._pue_milli(step)


@dataclass(frozen=True)
class Wish:
    """One step up for up to `count` machines of a unit: asleep (-1) or in a mode, to a mode; wishes come dearest first.

    may_start: whether machines that do not run yet may be started for it.
    """

    unit: str
    source: int
    target: int
    count: int
    may_start: bool = True


@dataclass
class Load:
    """Work that a pool is asked to do in a step: workload, work per hour, and node-work per hour, dearest first."""

    workload: str
    work_per_h: int
    rate: int


@dataclass(frozen=True)
class Path:
    """A feeder: its limit and what sleeps below it, by step, and the units below it. [milliwatt]"""

    limit_mw: list[int]
    floor_mw: list[int]
    units: tuple[str, ...]


@dataclass
class SiteProblem:
    """All that the rule needs of one site.

    ramp_mw: how far the draw may change into a step; None where anything goes.
    wishes: what a step wants of the groups, given how many blocks ran before it, and how many must run.
    nodes: how many nodes each pool should have on, by step. work: by pool and step, what it should do.
    loading_s: node-seconds by pool and step in which nodes that started before still load.
    """

    site: Site
    grid: TimeGrid
    units: dict[str, Unit]
    floor_mw: list[int]
    limit_mw: list[int]
    dark: list[bool]
    ramp_mw: list[int | None]
    draw_before_mw: int
    wishes: Callable[[int, dict[str, int], dict[str, int]], Sequence[Wish]]
    nodes: dict[str, list[int]]
    work: dict[str, list[list[Load]]]
    loading_s: dict[str, list[int]]
    paths: list[Path] = field(default_factory=list)
