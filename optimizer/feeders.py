"""Feeders of sites with all machines that hang on them, their limits by step, and what is dead because of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.problem import Problem
from models.site import Site
from optimizer.compiled import Flags, Ints

MILLIWATT_PER_W = 1000


@dataclass(frozen=True, eq=False)
class Branch:
    """A feeder of a site (by position): its members, the machines below it at any depth, its limit by step. [milliwatt]"""

    site: int
    name: str
    label: str
    top: tuple[str, ...]
    machines: tuple[str, ...]
    limit_mw: Ints


def branches(problem: Problem, number: int, site: Site) -> list[Branch]:
    """Return the feeders of a site with what hangs on them; whoever feeds others comes after them."""
    series = problem.feeder_limit_w.get(site.name, {})
    below: dict[str, tuple[str, ...]] = {}
    found = []
    for feeder in site.feeders:
        below[feeder.name] = tuple(name for member in feeder.members for name in below.get(member, (member,)))
        limit_w = np.minimum(feeder.limit_w, np.array(series.get(feeder.name, (feeder.limit_w,) * problem.grid.steps)))
        label = f"{site.name}/{feeder.name}"
        limit_mw = np.asarray(MILLIWATT_PER_W * limit_w, dtype=np.int64)
        found.append(Branch(number, feeder.name, label, feeder.members, below[feeder.name], limit_mw))
    return found


def live(feeding: Sequence[Branch], asleep_mw: Mapping[str, Ints]) -> dict[str, Flags]:
    """Return for each machine of a site, by step, whether no feeder above it is dead.

    feeding: the site's feeders. asleep_mw: what all of a machine draws asleep, by machine and step.
    """
    lit: dict[str, Flags] = {name: np.ones(len(mw), dtype=np.bool_) for name, mw in asleep_mw.items()}
    for branch in feeding:
        floor_mw = sum((lit[name] * asleep_mw[name] for name in branch.machines), start=np.int64(0))
        for name in branch.machines:
            lit[name] = lit[name] & (branch.limit_mw >= floor_mw)
    return lit
