"""A simulated site: real blocks and nodes, one by one, which trip, stick, fail to start and are measured with noise.

It does what it is told where its machines can, protects them where it must (no start before the minimum rest is over),
and keeps its own book of what was done to each block, so that a test can judge plans by what happened to machines.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from models.asic import AsicGroup, Mode
from models.gpu import GpuPool
from models.setpoint import FailSafe, SetPointStep
from models.site import Site
from models.state import SiteState
from service.store.records import TelemetryPoint

LONG_AGO = timedelta(days=2)


@dataclass
class Machine:
    """One block or node: its mode (None is off), when it last started or stopped, and whether its mode is stuck.

    A node is "on" or "warm"; one that wakes goes on since it started.
    """

    mode: str | None
    since: datetime
    stuck: bool = False


@dataclass(frozen=True)
class Chances:
    """How often things go wrong, per block and hour: trips, modes that stick; and per start: starts that fail."""

    trip: float = 0.0
    stick: float = 0.0
    start_fails: float = 0.0
    noise: float = 0.0
    """Largest relative error of the measured draw."""


@dataclass
class SimulatedSite:
    """The machines of one site, and the book that it keeps.

    `stopped_early` lists commands that stopped a block within its minimum run, `refused` starts that its protection did
    not allow, `deviations` what the machines did by themselves.
    """

    site: Site
    ambient_c: Callable[[datetime], float]
    rng: Random
    chances: Chances = Chances()
    blocks: dict[str, list[Machine]] = field(default_factory=dict)
    nodes: dict[str, list[Machine]] = field(default_factory=dict)
    load: dict[str, float] = field(default_factory=dict)
    dark: bool = False
    stopped_early: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    deviations: list[str] = field(default_factory=list)

    def begin(self, state: SiteState, at: datetime) -> None:
        """Set all machines to a state; what has no date changed long ago."""
        for group in self.site.asic_groups:
            known = state.groups[group.name]
            modes = [mode for mode, count in known.mode_blocks.items() for _ in range(count)]
            dates = [c.since for c in known.started for _ in range(c.count)]
            off = [c.since for c in known.stopped for _ in range(c.count)]
            off += [at - LONG_AGO] * (group.blocks - len(modes) - len(off))
            running = [Machine(m, since) for m, since in zip(modes, dates, strict=True)]
            self.blocks[group.name] = running + [Machine(None, since) for since in off[: group.blocks - len(modes)]]
        for pool in self.site.gpu_pools:
            dates = [c.since for c in state.pools[pool.name].started for _ in range(c.count)]
            nodes = [Machine("on", since) for since in dates]
            nodes += [Machine("warm", at - LONG_AGO) for _ in range(state.pools[pool.name].nodes_warm)]
            self.nodes[pool.name] = nodes + [Machine(None, at - LONG_AGO) for _ in range(pool.nodes - len(nodes))]

    # --- what it is told ----------------------------------------------------------------------------------------------

    def apply(self, step: SetPointStep, at: datetime) -> None:
        """Carry out one step of a set-point."""
        self.dark = step.draw_w == 0
        for group in self.site.asic_groups:
            self._apply_group(group, step.mode_blocks.get(group.name, {}), at)
        busy = self._busy_share(step, at)
        for pool in self.site.gpu_pools:
            self._apply_pool(pool, step.nodes_on.get(pool.name, 0), step.nodes_warm.get(pool.name, 0), at)
            self.load[pool.name] = busy * step.nodes_on.get(pool.name, 0)

    def fail_safe(self, told: FailSafe, at: datetime) -> None:
        """Do what the last document says for the case that nothing newer comes."""
        for group in self.site.asic_groups:
            self._apply_group(group, told.mode_blocks.get(group.name, {}), at)
        for pool in self.site.gpu_pools:
            self._apply_pool(pool, told.nodes_on.get(pool.name, 0), 0, at)
            self.load[pool.name] = 0.0

    def _busy_share(self, step: SetPointStep, at: datetime) -> float:
        """Return how busy all nodes are that are on, from the metered power that the step gives inference."""
        on = [(p, step.nodes_on.get(p.name, 0), p.pue_milli(self.ambient_c(at))) for p in self.site.gpu_pools]
        warm = step.nodes_warm
        idle_mw = sum(p.power_w(count, p.node_fixed_w, warm.get(p.name, 0)) * pue for p, count, pue in on)
        span_mw = sum(count * pool.node_span_w * pue for pool, count, pue in on)
        return min(1.0, max(0.0, (1000 * step.inference_w - idle_mw) / span_mw)) if span_mw else 0.0

    def _apply_group(self, group: AsicGroup, wanted: dict[str, int], at: datetime) -> None:
        blocks = self.blocks[group.name]
        self._set_running(
            group.name, blocks, sum(wanted.values()), timedelta(seconds=group.min_up_s), timedelta(seconds=group.min_down_s), at
        )
        modes = [mode for mode, count in wanted.items() for _ in range(count)]
        running = [b for b in blocks if b.mode is not None]
        for block in running:
            if block.stuck and block.mode in modes:
                modes.remove(block.mode)
        for block, mode in zip((b for b in running if not b.stuck), modes, strict=False):
            block.mode = mode

    def _apply_pool(self, pool: GpuPool, wanted: int, warm: int, at: datetime) -> None:
        """Start no more than the counts ask for: others that are to be on wake; those on for longest get warm."""
        nodes, times = self.nodes[pool.name], (timedelta(seconds=pool.min_up_s), timedelta(0))
        asleep = [n for n in nodes if n.mode == "warm"]
        on = sorted((n for n in nodes if n.mode == "on"), key=lambda n: n.since)
        started = max(0, wanted + warm - len(on) - len(asleep))
        woken = max(0, wanted - len(on) - started)
        for node in asleep[:woken]:
            node.mode = "on"
        for node in asleep[woken:][warm:]:
            node.mode, node.since = None, at
        for node in on[: max(0, warm - len(asleep[woken:]))]:
            if at - node.since < times[0] and not self.dark:
                self.stopped_early.append(f"{self.site.name} {pool.name} at {at:%d %H:%M}: ran since {node.since:%d %H:%M:%S}")
            node.mode = "warm"
        self._set_running(pool.name, [n for n in nodes if n.mode != "warm"], wanted, *times, at)

    def _set_running(
        self, name: str, machines: list[Machine], wanted: int, min_up: timedelta, min_down: timedelta, at: datetime
    ) -> None:
        running = sorted((m for m in machines if m.mode is not None), key=lambda m: m.since)
        for machine in running[: max(0, len(running) - wanted)]:
            if at - machine.since < min_up and not self.dark:
                self.stopped_early.append(f"{self.site.name} {name} at {at:%d %H:%M}: ran since {machine.since:%d %H:%M:%S}")
            machine.mode, machine.since, machine.stuck = None, at, False
        for machine in sorted((m for m in machines if m.mode is None), key=lambda m: m.since)[: max(0, wanted - len(running))]:
            if at - machine.since < min_down:
                self.refused.append(f"{self.site.name} {name} at {at:%d %H:%M}: rests since {machine.since:%d %H:%M:%S}")
            elif self.rng.random() < self.chances.start_fails:
                self.deviations.append(f"{self.site.name} {name} at {at:%d %H:%M}: a start failed")
                machine.since = at
            else:
                machine.mode, machine.since = "on", at

    # --- what happens by itself ---------------------------------------------------------------------------------------

    def pass_time(self, at: datetime, hours: float) -> None:
        """Let machines trip and stick, as they do over so many hours."""
        for group in self.site.asic_groups:
            for block in self.blocks[group.name]:
                if block.mode is None:
                    continue
                if self.rng.random() < self.chances.trip * hours:
                    block.mode, block.since, block.stuck = None, at, False
                    self.deviations.append(f"{self.site.name} {group.name} at {at:%d %H:%M}: a block tripped")
                elif self.rng.random() < self.chances.stick * hours:
                    block.stuck = not block.stuck

    # --- what it measures ---------------------------------------------------------------------------------------------

    def measure(self, at: datetime) -> TelemetryPoint:
        """Return what the site's meters and machines show."""
        true_w = self.draw_w(at)
        return TelemetryPoint(
            at=at,
            draw_w=max(0, int(true_w * (1 + self.rng.uniform(-self.chances.noise, self.chances.noise)))),
            mode_blocks={name: _counts(blocks) for name, blocks in self.blocks.items()},
            nodes_on={name: sum(n.mode == "on" for n in nodes) for name, nodes in self.nodes.items()},
            nodes_warm={p.name: self._warm(p.name) for p in self.site.gpu_pools if p.warm_w is not None},
        )

    def _warm(self, pool: str) -> int:
        return sum(n.mode == "warm" for n in self.nodes[pool])

    def draw_w(self, at: datetime) -> int:
        """Return the true draw at the meter. [W]"""
        if self.dark:
            return 0
        ambient_c = self.ambient_c(at)
        total_mw = 1000 * self.site.base_load_w
        for group in self.site.asic_groups:
            modes: dict[str, Mode] = {m.name: m for m in group.modes}
            watts = sum(
                group.block_power_w(modes[b.mode], ambient_c) if b.mode else group.block_sleep_w for b in self.blocks[group.name]
            )
            total_mw += watts * group.cooling.pue_milli(ambient_c)
        for pool in self.site.gpu_pools:
            on = sum(n.mode == "on" for n in self.nodes[pool.name])
            total_mw += int(
                (
                    pool.power_w(on, pool.node_fixed_w, self._warm(pool.name))
                    + min(self.load.get(pool.name, 0.0), on) * pool.node_span_w
                )
                * pool.pue_milli(ambient_c)
            )
        return -(-total_mw // 1000)


def _counts(blocks: list[Machine]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for block in blocks:
        if block.mode is not None:
            counts[block.mode] = counts.get(block.mode, 0) + 1
    return counts
