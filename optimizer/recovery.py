"""Recovery: what the state at the start already breaks is set free by rule, before there is a model, and named.

A plan must exist from every measured state. Two rules of the past can make that impossible, and give way in this order:

min_up  Blocks and nodes that started before the plan are held on until they have run their minimum. Where the held
        ones alone, in their lowest mode and without work, with base load and sleep, draw more than the limit in force,
        just as many are let go as must be: groups before pools, each kind in the order of the site; who then fits after
        all, last first, stays held, so that nobody who was let go could have gone on. Who is let go in a step stays free
        after it. In a dark step all are let go.
ramp    From the measured draw on, the draws that can be reached are an interval: in each step between the least that
        may be drawn (held machines, sleep, base load) and the most that can be drawn for sure (all blocks that do not
        rest in their highest mode, all nodes without work, up to the limit), and no further than the ramp from the
        interval of the step before; machines come whole, so that only the ramp less the largest block or node is sure.
        Where nothing can be reached for sure, the ramp of that step does not bind. A step under an order, after one,
        dark, or after a dark one has no ramp anyway.

Everything here is exact, in whole milliwatts, so that the audit can derive the same from the raw inputs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from models.plan import Recovery
from models.problem import Problem
from models.site import Site
from models.state import Cohorts
from optimizer.compiled import Ints
from optimizer.sets import Release, World, world
from optimizer.windows import cohort_arrays, still_held


@dataclass(frozen=True)
class Recovered:
    """What is released, for the model; and the same in words, for the plan."""

    release: Release
    records: tuple[Recovery, ...]


@dataclass
class _Machines:
    """One group or pool, by step: how many the past holds on or asleep, and what one draws beyond sleep, in milliwatts."""

    name: str
    unit: str
    there: int
    held: Ints
    resting: Ints
    least_mw: Ints
    most_mw: Ints
    gives_way: bool = False


def recover(problem: Problem) -> Recovered:
    """Return what must give way so that a plan exists; as a rule nothing."""
    here = world(problem)
    release: dict[str, dict[tuple[str, str], Sequence[int]]] = {"blocks": {}, "nodes": {}}
    ramps: set[tuple[str, int]] = set()
    records: list[Recovery] = []
    for number, site in enumerate(here.sites):
        machines = [*_groups(here, number), *_pools(here, number)]
        records += _let_go(here, number, machines)
        for machine in machines:
            if machine.gives_way:
                release[machine.unit][site.name, machine.name] = machine.held.tolist()
        for record in _too_steep(here, number, machines):
            records.append(record)
            ramps.add((site.name, record.step))
    return Recovered(Release(release["blocks"], release["nodes"], frozenset(ramps)), tuple(records))


def ramp_mw(world: World, site: Site) -> Ints | None:
    """Return by how much the draw of a site may change from the step before to each step, in milliwatts; None: by anything.

    A ramp lasts no longer than the shorter of the two steps; the first step has the measured state before it.
    """
    if site.ramp_w_per_min is None:
        return None
    shorter_s = np.minimum(world.step_s, np.concatenate((world.step_s[:1], world.step_s[:-1])))
    return np.asarray(1000 * site.ramp_w_per_min * shorter_s // 60, dtype=np.int64)


def _held(here: World, cohorts: Cohorts, hold_s: int) -> Ints:
    return still_held(here.start_s, hold_s, *cohort_arrays(here.problem.grid, cohorts))


def _groups(here: World, number: int) -> Iterator[_Machines]:
    for g, pue in zip(here.groups, here.group_pue_milli, strict=True):
        if g.site == number:
            low, high = (g.group.block_power_w(m) - g.group.block_sleep_w for m in (g.group.modes[0], g.group.modes[-1]))
            held = _held(here, g.state.started, g.group.min_up_s)
            resting = _held(here, g.state.stopped, g.group.min_down_s)
            yield _Machines(g.group.name, "blocks", g.group.blocks, held, resting, low * pue, high * pue)


def _pools(here: World, number: int) -> Iterator[_Machines]:
    for p, pue in zip(here.pools, here.pool_pue_milli, strict=True):
        if p.site == number:
            held = _held(here, p.state.started, max(p.pool.min_up_s, p.pool.load_s))
            fixed = p.pool.node_fixed_w * pue
            yield _Machines(p.pool.name, "nodes", p.pool.nodes, held, np.zeros_like(held), fixed, fixed)


def _let_go(here: World, number: int, machines: Sequence[_Machines]) -> Iterator[Recovery]:
    """Let held machines go where they cannot all stay on; `held` of each is lowered in place."""
    site = here.sites[number]
    for t, limit_w in enumerate(here.effective_limit_w[number].tolist()):
        dark = not here.energised[number, t]
        draw_mw = int(here.floor_mw[number, t]) + sum(int(m.held[t] * m.least_mw[t]) for m in machines)
        limit_mw, go = 1000 * limit_w, []
        for machine in machines:
            held, each_mw = int(machine.held[t]), int(machine.least_mw[t])
            go.append(held if dark else min(held, -(-max(0, draw_mw - limit_mw) // each_mw)))
            draw_mw -= go[-1] * each_mw
        for number_of, machine in reversed(list(enumerate(machines))):
            each_mw = int(machine.least_mw[t])
            back = 0 if dark else min(go[number_of], (limit_mw - draw_mw) // each_mw)
            go[number_of] -= back
            draw_mw += back * each_mw
        for free, machine in zip(go, machines, strict=True):
            if not free:
                continue
            machine.held[t:] = np.minimum(machine.held[t:], int(machine.held[t]) - free)
            machine.gives_way = True
            yield Recovery(
                site=site.name, step=t, rule="min_up", shortfall=free, unit=machine.unit,
                words=f"{machine.name}: {free} {machine.unit} stop before their minimum run, since the limit is {limit_w} W",
            )  # fmt: skip


def _too_steep(here: World, number: int, machines: Sequence[_Machines]) -> Iterator[Recovery]:
    """Name the steps that the ramp does not let the site reach."""
    site = here.sites[number]
    ramp, binds, energised = ramp_mw(here, site), here.ramp_binds[number], here.energised[number]
    if ramp is None:
        return
    floor = here.floor_mw[number]
    least = floor + sum(m.held * m.least_mw for m in machines)
    sure = floor + sum(np.maximum(m.there - m.resting, m.held) * m.most_mw for m in machines)
    most = np.minimum(sure, 1000 * here.effective_limit_w[number])
    low = high = 1000 * here.problem.state.sites[site.name].draw_w
    for t in range(len(floor)):
        lowest, highest = (int(least[t]), int(most[t])) if energised[t] else (0, 0)
        sure_mw = max(0, int(ramp[t]) - max((int(m.most_mw[t]) for m in machines), default=0))
        below, above = low - sure_mw - highest, lowest - high - sure_mw
        if binds[t] and max(below, above) <= 0:
            low, high = max(lowest, low - sure_mw), min(highest, high + sure_mw)
            continue
        low, high = lowest, highest
        if binds[t]:
            way, short_w = ("fall", -(-below // 1000)) if below > 0 else ("rise", -(-above // 1000))
            yield Recovery(
                site=site.name, step=t, rule="ramp", shortfall=short_w, unit="W",
                words=f"the draw must {way} by {short_w} W more than {site.ramp_w_per_min} W per minute allow for sure",
            )  # fmt: skip
