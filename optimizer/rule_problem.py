"""What the rule plan needs of one site: its machines, its limits by step, and what is wished of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from models.asic import AsicGroup
from models.gpu import GpuPool
from models.site import Site
from models.time_grid import TimeGrid

ASLEEP = -1


@dataclass
class Unit:
    """A group or pool: counts that the past holds, and what one of it draws beyond sleep.

    before: how many ran before the first step, by mode (a pool has one). power_mw: by mode and step.
    held, resting: by step, how many of the past must run on, may not start.
    """

    machine: AsicGroup | GpuPool
    total: int
    before: list[int]
    hold_s: int
    rest_s: int
    power_mw: list[list[int]]
    held: list[int]
    resting: list[int]

    @property
    def busy_mw(self) -> list[int]:
        """What one draws at most: a block in its highest mode, a node at full load."""
        if isinstance(self.machine, AsicGroup):
            return self.power_mw[-1]
        fixed_w, span_w = self.machine.node_fixed_w, self.machine.node_span_w
        return [mw // fixed_w * (fixed_w + span_w) for mw in self.power_mw[0]]


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
