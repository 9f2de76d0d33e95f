"""What the meter shows: exact draws, the limit in force, darkness, ramps, and the watts that the plan reports."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from models.plan import SitePlan
from optimizer.audit.ground import Findings, SiteFacts, Watt, containers_w, first_difference, mega
from optimizer.audit.machines import Life, warm_nodes
from optimizer.audit.work import Load

MW_PER_W = 1000
"""Milliwatts in a watt."""


@dataclass(frozen=True)
class Draws:
    """Exact metered power by step: of running miners, of GPU nodes, of the whole site, and of each machine. [milliwatt]"""

    hashing: list[int]
    inference: list[Watt]
    total: list[Watt]
    machines: dict[str, list[Watt]]


def metered(facts: SiteFacts, made: SitePlan, lives: dict[str, Life], loads: dict[str, Load]) -> Draws:
    """Add up machines, cooling and base load; nothing draws at a dark site."""
    steps = range(len(facts.limit_w))
    hashing = [0 for _ in steps]
    inference: list[Watt] = [0 for _ in steps]
    total: list[Watt] = [0 if facts.dark[t] else facts.site.base_load_w * MW_PER_W for t in steps]
    each: dict[str, list[Watt]] = {machine.name: [0 for _ in steps] for machine in facts.machines}
    for group in facts.site.asic_groups:
        asleep_w = group.miners_per_block * group.sleep_power_w
        asleep_mw = [asleep_w * milli for milli in facts.pue_milli[group.name]]
        for mode, above_mw in zip(group.modes, facts.modes_mw[group.name], strict=True):
            for t, count in enumerate(made.groups[group.name].mode_blocks[mode.name]):
                hashing[t] += count * (above_mw[t] + asleep_mw[t])
                each[group.name][t] += count * (above_mw[t] + asleep_mw[t])
        for t, on in enumerate(lives[group.name].on):
            if not facts.dark[t] and facts.live[group.name][t]:
                total[t] += (group.blocks - on) * asleep_mw[t]
                each[group.name][t] += (group.blocks - on) * asleep_mw[t]
    for pool in facts.site.gpu_pools:
        pue, load = facts.pue_milli[pool.name], loads[pool.name]
        for t, (nodes, warm) in enumerate(zip(lives[pool.name].on, warm_nodes(pool, made), strict=True)):
            idle_w = nodes * pool.node_fixed_w + warm * (pool.warm_w or 0) + containers_w(pool, nodes + warm)
            drawn: Watt = idle_w * pue[t]
            if load.numerators[t] and pool.node_span_w:
                work_w = idle_w * load.denominator + pool.node_span_w * load.numerators[t]
                drawn = Fraction(work_w * pue[t], load.denominator)
            inference[t] += drawn
            each[pool.name][t] = drawn
    for t in steps:
        total[t] += hashing[t] + inference[t]
    return Draws(hashing, inference, total, each)


def check_limit(facts: SiteFacts, draws: Draws, found: Findings) -> None:
    """No draw above the limit, not by a milliwatt."""
    for t, draw in enumerate(draws.total):
        limit = facts.limit_w[t] * MW_PER_W
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
            if carried > watts * MW_PER_W:
                found.say(facts.site.name, t, f"feeder {name} carries {mega(carried)}, limit {mega(watts * MW_PER_W)}")


def check_reported(facts: SiteFacts, made: SitePlan, draws: Draws, found: Findings) -> None:
    """The plan's own figures: draw rounded up, its parts rounded down, the limit in force as it is; each in every step."""
    figures: tuple[tuple[str, Sequence[int], list[int]], ...] = (
        ("draw_w", made.draw_w, [-(-w // MW_PER_W) for w in draws.total]),
        ("hashing_w", made.hashing_w, [w // MW_PER_W for w in draws.hashing]),
        ("inference_w", made.inference_w, [int(w // MW_PER_W) for w in draws.inference]),
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
    return [ramp_w_per_min * min(step_s[max(t - 1, 0)], step_s[t]) * MW_PER_W // 60 for t in range(len(step_s))]
