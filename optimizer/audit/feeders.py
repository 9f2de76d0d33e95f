"""What hangs on each feeder of a site, what it carries at most, and what is dead because of it."""

from collections.abc import Sequence

from models.problem import Problem
from models.site import Site

Feeding = tuple[str, list[int], tuple[str, ...]]
"""Name of a feeder, its limit by step in watts, and the machines below it."""


def feeders_of(problem: Problem, site: Site) -> list[Feeding]:
    """A feeder carries its members, and whatever its feeders carry."""
    carried: dict[str, tuple[str, ...]] = {}
    found = []
    for feeder in site.feeders:
        machines: tuple[str, ...] = ()
        for member in feeder.members:
            machines += carried.get(member, (member,))
        carried[feeder.name] = machines
        varying = problem.feeder_limit_w.get(site.name, {}).get(feeder.name)
        limit_w = [min(feeder.limit_w, w) for w in varying] if varying else [feeder.limit_w] * problem.grid.steps
        found.append((feeder.name, limit_w, machines))
    return found


def live_machines(site: Site, pue: dict[str, list[int]], feeders: Sequence[Feeding]) -> dict[str, list[bool]]:
    """A feeder that cannot carry the sleep of what still lives below it is dead, with all below it."""
    live = {name: [True] * len(milli) for name, milli in pue.items()}
    asleep_w = {g.name: g.blocks * g.miners_per_block * g.sleep_power_w for g in site.asic_groups}
    for _, limit_w, machines in feeders:
        for t, watts in enumerate(limit_w):
            if sum(asleep_w.get(n, 0) * pue[n][t] for n in machines if live[n][t]) > watts * 1000:
                for name in machines:
                    live[name][t] = False
    return live
