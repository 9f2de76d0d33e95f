"""What may run in each step: machines in service, and pins with how long they hold; from raw inputs and a recovery alone."""

from collections.abc import Sequence

import numpy as np

from models.availability import Pin
from optimizer.compiled import Ints
from optimizer.sets import World


def group_available(here: World) -> Ints:
    """Return the blocks of each ASIC group that are in service, by step; none where the site is dark."""
    return _available(here, [(g.site, g.group.name, g.group.blocks) for g in here.groups])


def pool_available(here: World) -> Ints:
    """Return the nodes of each GPU pool that are in service, by step; none where the site is dark."""
    return _available(here, [(p.site, p.pool.name, p.pool.nodes) for p in here.pools])


def pinned(here: World, site: int, machine: str) -> tuple[Pin, int] | None:
    """Return the pin of a machine of a site, and the first step in which it no longer holds; None where there is none."""
    for pin in here.problem.pins:
        if (pin.site, pin.machine) == (here.sites[site].name, machine):
            ends = int(np.searchsorted(here.start_s, (pin.expires - here.problem.grid.start).total_seconds()))
            return pin, min(ends, here.release.pins.get(pin.name, ends))
    return None


def _available(here: World, machines: Sequence[tuple[int, str, int]]) -> Ints:
    there = np.zeros((len(machines), len(here.step_s)), dtype=np.int64)
    for n, (site, name, count) in enumerate(machines):
        there[n] = count
        for outage in here.problem.outages:
            if (outage.site, outage.machine) == (here.sites[site].name, name):
                there[n] -= outage.count * here.touched(outage.start, outage.end)
        there[n] = np.where(here.energised[site], np.maximum(there[n], 0), 0)
    return there
