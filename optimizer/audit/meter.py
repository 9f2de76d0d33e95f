"""What the meter shows: exact draws, the limit in force, darkness, ramps, and the watts that the plan reports."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from operator import add

from models.asic import AsicGroup
from models.gpu import GpuPool
from models.plan import SitePlan
from optimizer.audit.ground import Findings, SiteFacts, Watt, containers_w, first_difference, mega
from optimizer.audit.machines import Life, warm_nodes
from optimizer.audit.work import Load

MILLIWATT_PER_W = 1000


@dataclass(frozen=True)
class Draws:
    """Exact metered power by step: of running miners, of GPU nodes, of the whole site, and of each machine. [milliwatt]"""

    hashing: list[int]
    inference: list[Watt]
    total: list[Watt]
    machines: dict[str, list[Watt]]


def metered(facts: SiteFacts, made: SitePlan, lives: dict[str, Life], loads: dict[str, Load]) -> Draws:
    """Add up machines, cooling and base load; nothing draws at a dark site."""
    hashing = [0 for _ in facts.limit_w]
    inference: list[Watt] = [0 for _ in facts.limit_w]
    idle = [0 if dark else facts.site.base_load_w * MILLIWATT_PER_W for dark in facts.dark]
    each: dict[str, list[Watt]] = {}
    for group in facts.site.asic_groups:
        running, asleep = _group(facts, group, made, lives[group.name])
        hashing, idle = list(map(add, hashing, running)), list(map(add, idle, asleep))
        each[group.name] = list(map(add, running, asleep))
    for pool in facts.site.gpu_pools:
        each[pool.name] = _pool(facts, pool, made, lives[pool.name], loads[pool.name])
        inference = [so_far + drawn if so_far else drawn for so_far, drawn in zip(inference, each[pool.name], strict=True)]
    total = [mw + resting + drawn for mw, resting, drawn in zip(hashing, idle, inference, strict=True)]
    return Draws(hashing, inference, total, each)


def _group(facts: SiteFacts, group: AsicGroup, made: SitePlan, life: Life) -> tuple[list[int], list[int]]:
    """What the running blocks of a group draw, and the sleeping ones, by step; none sleeps in the dark. [milliwatt]"""
    each_asleep_w = group.miners_per_block * group.sleep_power_w
    each_asleep_mw = [each_asleep_w * milli for milli in facts.pue_milli[group.name]]
    running = [0 for _ in each_asleep_mw]
    for mode, above_mw in zip(group.modes, facts.modes_mw[group.name], strict=True):
        counts = made.groups[group.name].mode_blocks[mode.name]
        hashing = zip(running, counts, above_mw, each_asleep_mw, strict=True)
        running = [mw + count * (above + asleep) for mw, count, above, asleep in hashing]
    sleeping = zip(life.on, each_asleep_mw, facts.dark, facts.live[group.name], strict=True)
    return running, [(group.blocks - on) * mw if lit and not dark else 0 for on, mw, dark, lit in sleeping]


def _pool(facts: SiteFacts, pool: GpuPool, made: SitePlan, life: Life, load: Load) -> list[Watt]:
    """What the nodes of a pool draw by step, idle or at work, with the containers that they fill. [milliwatt]"""
    drawn: list[Watt] = []
    counted = zip(life.on, warm_nodes(pool, made), facts.pue_milli[pool.name], load.numerators, strict=True)
    for nodes, warm, pue, work in counted:
        idle_w = nodes * pool.node_fixed_w + warm * (pool.warm_w or 0) + containers_w(pool, nodes + warm)
        if work and pool.node_span_w:
            drawn.append(Fraction((idle_w * load.denominator + pool.node_span_w * work) * pue, load.denominator))
        else:
            drawn.append(idle_w * pue)
    return drawn


def check_limit(facts: SiteFacts, draws: Draws, found: Findings) -> None:
    """No draw above the limit, not by a milliwatt."""
    for t, draw in enumerate(draws.total):
        limit = facts.limit_w[t] * MILLIWATT_PER_W
        if facts.dark[t] and draw:
            dark = f"the site is dark (limit {mega(limit)}, floor {mega(facts.floor_mw[t])})"
            found.say(facts.site.name, t, f"draws {mega(draw)}, {dark}")
        elif draw > limit:
            found.say(facts.site.name, t, f"draws {mega(draw)}, limit {mega(limit)}")


def check_feeders(facts: SiteFacts, draws: Draws, found: Findings) -> None:
    """No feeder carries more than its limit, not by a milliwatt."""
    for name, limit_w, machines in facts.feeders:
        for t, watts in enumerate(limit_w):
            carried: Watt = sum((draws.machines[machine][t] for machine in machines), start=0)
            if carried > watts * MILLIWATT_PER_W:
                found.say(facts.site.name, t, f"feeder {name} carries {mega(carried)}, limit {mega(watts * MILLIWATT_PER_W)}")


def check_reported(facts: SiteFacts, made: SitePlan, draws: Draws, found: Findings) -> None:
    """The plan's own figures: draw rounded up, its parts rounded down, the limit in force as it is; each in every step."""
    figures: tuple[tuple[str, Sequence[int], list[int]], ...] = (
        ("draw_w", made.draw_w, [-(-w // MILLIWATT_PER_W) for w in draws.total]),
        ("hashing_w", made.hashing_w, [w // MILLIWATT_PER_W for w in draws.hashing]),
        ("inference_w", made.inference_w, [int(w // MILLIWATT_PER_W) for w in draws.inference]),
        ("limit_w", made.limit_w, facts.limit_w),
    )
    for name, got, exact in figures:
        if (t := first_difference(got, exact)) is not None:
            found.say(facts.site.name, t, f"the plan says {name} {got[t]}, it is {exact[t]}")


def ramp_free(facts: SiteFacts) -> list[bool]:
    """Steps into which a site may change as fast as it can: under an order, after one, dark, or lit again."""
    free = []
    for t, (ordered, dark) in enumerate(zip(facts.ordered, facts.dark, strict=True)):
        before = t > 0 and (facts.ordered[t - 1] or facts.dark[t - 1])
        free.append(facts.ramp_w_per_min is None or ordered or dark or before)
    return free


def ramp_allowed_mw(facts: SiteFacts, step_s: Sequence[int]) -> list[int]:
    """Return by how much the draw may change into each step: the ramp over the shorter of both steps, in milliwatts."""
    ramp_w_per_min = facts.ramp_w_per_min or 0
    return [ramp_w_per_min * min(step_s[max(t - 1, 0)], step_s[t]) * MILLIWATT_PER_W // 60 for t in range(len(step_s))]
