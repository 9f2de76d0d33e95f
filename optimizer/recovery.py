"""Recovery: what the state at the start already breaks is set free by rule, before there is a model, and named.

A plan must exist from every measured state. Three rules can make that impossible, and give way in this order:

min_up  Blocks and nodes that started before the plan are held on until they have run their minimum. Held ones beyond
        what is in service are let go. Where the others alone, in their lowest mode and without work, with base load and
        sleep, draw more than the limit in force, just as many are let go as must be: groups before pools, each kind in
        the order of the site. Feeders come first, in their order, then the site; who in the end fits below all of them,
        last first, stays held, so that nobody who was let go could have gone on. Who is let go in a step stays free after
        it. In a dark step all are let go.
pin     Pinned counts; `optimizer.pins` says when one ends early.
ramp    From the measured draw on, the draws that can be reached are an interval: in each step between the least that
        may be drawn (held machines, sleep, base load) and the most that can be drawn for sure (all blocks that do not
        rest in their highest mode, all nodes without work, up to the limit), and no further than the ramp from the
        interval of the step before; machines come whole, so that only the ramp less the largest block or node is sure.
        Beyond what ran before and goes on, machines count only where a start can last: in every step of their minimum
        run they are in service, and in their lowest mode fit below every limit beside all else that is held.
        Where nothing can be reached for sure, the ramp of that step does not bind. A step under an order, after one,
        dark, or after a dark one has no ramp anyway. Below a feeder that binds, all but its largest machine is sure.

Everything here is exact, in whole milliwatts, so that the audit can derive the same from the raw inputs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from models.plan import Recovery
from models.problem import Problem
from models.site import Site
from models.state import Cohorts
from optimizer.availability import group_available, modes_allowed, pool_available, power_w, reachable
from optimizer.compiled import Ints
from optimizer.pins import HeldPin, Limit, Machines, hold_pins, limits_of, must_mw, sure_mw
from optimizer.sets import Release, World, world
from optimizer.windows import cohort_arrays, still_held


@dataclass(frozen=True)
class Recovered:
    """What is released, for the model; the same in words, for the plan; and the world in which it is."""

    release: Release
    records: tuple[Recovery, ...]
    world: World = field(compare=False, repr=False)


def recover(problem: Problem) -> Recovered:
    """Return what must give way so that a plan exists; as a rule nothing."""
    here = world(problem)
    release: dict[str, dict[tuple[str, str], Sequence[int]]] = {"blocks": {}, "nodes": {}}
    ramps: set[tuple[str, int]] = set()
    pins: dict[str, int] = {}
    records: list[Recovery] = []
    for number, site in enumerate(here.sites):
        machines = [*_groups(here, number), *_pools(here, number)]
        records += _let_go(here, number, machines)
        for machine in machines:
            if machine.gives_way:
                release[machine.unit][site.name, machine.name] = machine.held.tolist()
        if here.problem.fleet.ramp_w_per_min(site) is not None:
            _last(here, number, machines)
        held_pins = hold_pins(here, number, machines)
        steep = _too_steep(here, number, machines, held_pins)
        if held_pins and steep != (without := _too_steep(here, number, machines, [])):
            held_pins, steep = [pin.given_up("the ramp could not be kept with it") for pin in held_pins], without
        for pin in held_pins:
            if pin.why:
                pins[pin.pin.name] = pin.ends
                records.append(pin.record())
        records += steep
        ramps |= {(site.name, record.step) for record in steep}
    released = Release(release["blocks"], release["nodes"], frozenset(ramps), pins)
    return Recovered(released, tuple(records), here.released(released))


def ramp_mw(world: World, site: Site) -> Ints | None:
    """Return by how much the draw of a site may change from the step before to each step, in milliwatts; None: by anything.

    A ramp lasts no longer than the shorter of the two steps; the first step has the measured state before it.
    """
    if (w_per_min := world.problem.fleet.ramp_w_per_min(site)) is None:
        return None
    shorter_s = np.minimum(world.step_s, np.concatenate((world.step_s[:1], world.step_s[:-1])))
    return np.asarray(1000 * w_per_min * shorter_s // 60, dtype=np.int64)


def _held(here: World, cohorts: Cohorts, hold_s: int) -> Ints:
    return still_held(here.start_s, hold_s, *cohort_arrays(here.problem.grid, cohorts))


def _groups(here: World, number: int) -> Iterator[Machines]:
    in_service, allowed = group_available(here), modes_allowed(here)
    for n in here.groups_at.get(number, []):
        g, pue = here.groups[n], here.group_pue_milli[n]
        group = g.group
        power_mw = tuple((power_w(here, g, k) - group.block_sleep_w) * pue for k in range(len(group.modes)))
        held = _held(here, g.state.started, group.min_up_s)
        resting = _held(here, g.state.stopped, group.min_down_s)
        modes = tuple(m.name for m in group.modes)
        yield Machines(
            group.name,
            "blocks",
            group.blocks,
            g.state.running,
            group.min_up_s,
            modes,
            in_service[n],
            held,
            resting,
            reachable(here, g),
            power_mw,
            here.asleep_mw[n] * here.energised[number],
            allowed[n],
        )


def _pools(here: World, number: int) -> Iterator[Machines]:
    in_service = pool_available(here)
    for n in here.pools_at.get(number, []):
        p, pue = here.pools[n], here.pool_pue_milli[n]
        hold_s = max(p.pool.min_up_s, p.pool.load_s)
        held = _held(here, p.state.started, hold_s)
        fixed = (p.pool.node_fixed_w * pue,)
        counts, zero, one = (p.pool.nodes, p.state.nodes_on, hold_s), np.zeros_like(held), np.ones_like(held)
        yield Machines(
            p.pool.name, "nodes", *counts, (), in_service[n], held, zero, one * p.pool.nodes, fixed, zero, one, p.pool, pue
        )


def _let_go(here: World, number: int, machines: Sequence[Machines]) -> Iterator[Recovery]:
    """Let held machines go where they cannot all stay on; `held` of each is lowered in place."""
    site = here.sites[number]
    paths = limits_of(here, number, machines)
    for t in _doubtful(machines, paths):
        limit_w = int(here.effective_limit_w[number, t])
        out = [max(0, int(m.held[t] - m.available[t])) for m in machines]
        held = {m.name: int(m.held[t]) - n for m, n in zip(machines, out, strict=True)}
        kept, binding = dict(held), f"the limit is {limit_w} W"
        for path in paths:
            if _free(path, kept, t):
                binding = f"feeder {path.name} carries no more" if path.name else f"the limit is {limit_w} W"
        _hold_again(paths, machines, held, kept, t)
        for gone, machine in zip(out, machines, strict=True):
            if not (free := gone + held[machine.name] - kept[machine.name]):
                continue
            machine.held[t:] = np.minimum(machine.held[t:], int(machine.held[t]) - free)
            machine.gives_way = True
            serviced = f"{int(machine.available[t])} are in service and " if gone and here.energised[number, t] else ""
            why = serviced + binding
            yield Recovery(
                site=site.name, step=t, rule="min_up", shortfall=free, unit=machine.unit,
                words=f"{machine.name}: {free} {machine.unit} stop before their minimum run, since {why}",
            )  # fmt: skip


def _doubtful(machines: Sequence[Machines], paths: Sequence[Limit]) -> list[int]:
    """Return the steps in which some that are held are not in service, or more than a limit; letting go adds no other."""
    over = [m.held > m.available for m in machines]
    over += [path.floor_mw + must_mw(path.machines, ()) > path.limit_mw for path in paths]
    return np.flatnonzero(np.any(over, axis=0)).tolist()


def _free(path: Limit, kept: dict[str, int], t: int) -> bool:
    """Let go, in place, of as many held machines below a limit as cannot stay on in a step; say whether there were any."""
    over_mw = _draw_mw(path, kept, t) - int(path.limit_mw[t])
    found = False
    for machine in path.machines:
        if over_mw > 0 and kept[machine.name]:
            drawn_mw = machine.least_drawn_mw(kept[machine.name], t)
            kept[machine.name] = machine.fitting(drawn_mw - over_mw, t)
            over_mw -= drawn_mw - machine.least_drawn_mw(kept[machine.name], t)
            found = True
    return found


def _hold_again(
    paths: Sequence[Limit], machines: Sequence[Machines], held: Mapping[str, int], kept: dict[str, int], t: int
) -> None:
    """Hold, in place, those again that were let go and fit below every limit after all, last first."""
    for machine in reversed(machines):
        above = [path for path in paths if machine in path.machines]
        room_mw = min(int(path.limit_mw[t]) - _draw_mw(path, kept, t) for path in above)
        drawn_mw = machine.least_drawn_mw(kept[machine.name], t)
        kept[machine.name] = min(held[machine.name], machine.fitting(drawn_mw + max(0, room_mw), t))


def _last(here: World, number: int, machines: Sequence[Machines]) -> None:
    """Work out how many of each can run their minimum when they start in a step; in place."""
    paths = limits_of(here, number, machines)
    rooms = [path.limit_mw - path.floor_mw - must_mw(path.machines, ()) for path in paths]
    for machine in machines:
        room_mw = np.min([room for path, room in zip(paths, rooms, strict=True) if machine in path.machines], axis=0)
        room_mw = room_mw + machine.drawn_mw(machine.held, machine.least_mw)
        fit = machine.available.copy()
        for t in np.flatnonzero(room_mw < machine.drawn_mw(fit, machine.least_mw)):
            fit[t] = min(int(fit[t]), machine.fitting(int(room_mw[t]), int(t)))
        if (fit < machine.there).any():
            over = np.searchsorted(here.start_s, here.start_s + max(1, machine.hold_s))
            machine.lasting = np.array([fit[t:until].min() for t, until in enumerate(over)], dtype=np.int64)


def _draw_mw(path: Limit, kept: Mapping[str, int], t: int) -> int:
    return int(path.floor_mw[t]) + sum(machine.least_drawn_mw(kept[machine.name], t) for machine in path.machines)


def _too_steep(here: World, number: int, machines: Sequence[Machines], pins: Sequence[HeldPin]) -> list[Recovery]:
    """Name the steps that the ramp does not let the site reach, with so many pins."""
    site, found = here.sites[number], []
    ramp, binds, energised = ramp_mw(here, site), here.ramp_binds[number], here.energised[number]
    if ramp is None:
        return []
    floor, most_w = here.floor_mw[number], here.problem.fleet.ramp_w_per_min(site)
    least = np.where(energised, floor + must_mw(machines, pins), 0).tolist()
    most = np.where(energised, sure_mw(here, number, machines, pins), 0).tolist()
    low = high = 1000 * here.problem.state.sites[site.name].draw_w
    largest = np.max([np.zeros_like(floor), *(m.one_mw for m in machines)], axis=0)
    reaches_mw = np.maximum(0, ramp - largest).tolist()
    for t, (lowest, highest, reach_mw, is_bound) in enumerate(zip(least, most, reaches_mw, binds.tolist(), strict=True)):
        below, above = low - reach_mw - highest, lowest - high - reach_mw
        if is_bound and max(below, above) <= 0:
            low, high = max(lowest, low - reach_mw), min(highest, high + reach_mw)
            continue
        low, high = lowest, highest
        if is_bound:
            way, short_w = ("fall", -(-below // 1000)) if below > 0 else ("rise", -(-above // 1000))
            words = f"the draw must {way} by {short_w} W more than {most_w} W per minute allow for sure"
            found.append(Recovery(site=site.name, step=t, rule="ramp", shortfall=short_w, unit="W", words=words))
    return found
