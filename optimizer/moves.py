"""What else a site could do in a step: each alternative as bounds that force it, and in words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from models.asic import AsicGroup
from models.explanation import Move
from models.gpu import GpuPool
from models.plan import GroupPlan, PoolPlan, SitePlan
from models.site import Site
from optimizer.compiled import Compiled, Floats
from optimizer.variants import Variant


@dataclass(frozen=True)
class Alternative:
    """One change of one machine in one step: by name of the family, the labels whose count is forced, and to what."""

    move: Move
    thing: str
    words: str
    family: str
    counts: Mapping[str, int]

    def forced(self, compiled: Compiled, step: int) -> Variant:
        """Return the site's model with this alternative forced; what outages and pins rule out has crossed bounds."""
        labels = compiled.column_families[self.family].labels[0]
        columns = np.array([compiled.columns[self.family][labels.index(label), step] for label in self.counts], dtype=np.int64)
        wanted = np.array(list(self.counts.values()), dtype=np.float64)
        lower, upper = np.maximum(wanted, compiled.col_lower[columns]), np.minimum(wanted, compiled.col_upper[columns])
        return Variant(columns, lower, upper)


def alternatives(site: Site, plan: SitePlan, step: int) -> list[Alternative]:
    """Return what one block or node more or less, or one block in the next mode, would be."""
    found: list[Alternative] = []
    for group in site.asic_groups:
        found += _of_group(site.name, group, plan.groups[group.name], step)
    for pool in site.gpu_pools:
        found += _of_pool(site.name, pool, plan.pools[pool.name], step)
    return found


def _of_group(site: str, group: AsicGroup, plan: GroupPlan, step: int) -> Iterator[Alternative]:
    modes = [mode.name for mode in group.modes]
    counts = {mode: plan.mode_blocks[mode][step] for mode in modes}

    def moved(move: Move, words: str, taken: str | None, given: str | None) -> Alternative:
        changed = {m: n - (m == taken) + (m == given) for m, n in counts.items()}
        labels = {f"{site}/{group.name} {mode}": count for mode, count in changed.items()}
        return Alternative(move, group.name, words, "in_mode", labels)

    for low, high in pairwise(modes):
        if counts[low]:
            yield moved("raise_mode", f"raise a block of {group.name} from {low} to {high}", low, high)
        if counts[high]:
            yield moved("lower_mode", f"lower a block of {group.name} from {high} to {low}", high, low)
    if sum(counts.values()) < group.blocks:
        yield moved("start_block", f"run one more block of {group.name}, in {modes[0]}", None, modes[0])
    if running := [mode for mode in modes if counts[mode]]:
        yield moved("stop_block", f"run one block of {group.name} less (of those in {running[0]})", running[0], None)


def _of_pool(site: str, pool: GpuPool, plan: PoolPlan, step: int) -> Iterator[Alternative]:
    on, label = plan.nodes_on[step], f"{site}/{pool.name}"
    if on < pool.nodes:
        yield Alternative("serve_more", pool.name, f"keep one more node of {pool.name} on", "nodes_on", {label: on + 1})
    if on:
        yield Alternative("serve_less", pool.name, f"keep one node of {pool.name} less on", "nodes_on", {label: on - 1})
    if plan.nodes_warm is None:
        return
    warm = plan.nodes_warm[step]
    if on + warm < pool.nodes:
        yield Alternative("warm_more", pool.name, f"keep one more node of {pool.name} warm", "nodes_warm", {label: warm + 1})
    if warm:
        yield Alternative("warm_less", pool.name, f"keep one node of {pool.name} less warm", "nodes_warm", {label: warm - 1})


def only_modes_free(compiled: Compiled, x: Floats, step: int, more_kw: float) -> Variant:
    """Return the relaxed model with every count but the mode split as in the plan, and a trace more limit in one step.

    The trace makes the dual that of the next MW, not of the last one, where the limit lies on a kink.
    """
    draw = compiled.columns["draw"][0, step]
    counts = np.setdiff1d(np.flatnonzero(compiled.integer), compiled.columns["in_mode"].ravel())
    return Variant(
        np.concatenate((counts, [draw])),
        np.concatenate((np.round(x[counts]), [compiled.col_lower[draw]])),
        np.concatenate((np.round(x[counts]), [compiled.col_upper[draw] + more_kw])),
        is_relaxed=True,
    )
