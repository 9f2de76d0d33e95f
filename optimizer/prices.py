"""Prices at which a plan's sites meet: what a node's work is worth at each hub, and one more unit of each workload.

They are the duals of the fleet's model with all integers relaxed. At these prices the sites' best profits and the
workloads' add up to a bound on every plan, so that what a plan of a site leaves at them is part of the plan's gap.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from models.problem import Problem
from models.service_level import PARTS
from models.workload import BatchWorkload, ReservedWorkload
from optimizer.compiled import Compiled, Floats
from optimizer.elements.service_level import level_seconds
from optimizer.sets import World, world
from optimizer.variants import Variant, reduced_cost, solve_variants
from optimizer.windows import not_yet_due


class UnpricedError(RuntimeError):
    """The prices could not be found in the time, or the solver could not prove them."""


@dataclass(frozen=True, eq=False)
class Prices:
    """Prices of a plan's fleet.

    node_usd: by hub, what the work of a node through each step is worth. [USD per node and step]
    work_usd_per_mwork: by workload, what one more million units asked for in each step are worth.
    """

    node_usd: Mapping[str, Floats]
    work_usd_per_mwork: Mapping[str, Floats]

    def priced(self, sites: Compiled) -> Compiled:
        """Return the model of some sites in which what they supply to the hubs earns these prices."""
        cost = sites.cost.copy()
        for label, columns in zip(sites.column_families["supplied"].labels[0], sites.columns["supplied"], strict=True):
            cost[columns] += self.node_usd[label.rsplit(" ", 1)[1]]
        return replace(sites, cost=cost)


def fleet_prices(problem: Problem, compiled: Compiled, *, deadline_s: float, memory_bytes: int) -> Prices:
    """Return the prices at the optimum of the relaxed fleet.

    Raises:
        UnpricedError: time was over first, or what came does not prove itself.
    """
    (answer,) = solve_variants(compiled, [Variant(is_relaxed=True)], deadline_s=deadline_s, memory_bytes=memory_bytes)
    if answer.row_dual is None:
        raise UnpricedError(f"the prices of the fleet could not be found in {deadline_s:.0f} s")
    hubs = zip(compiled.axes["HUBS"], compiled.rows["hub_balance"], strict=True)
    return Prices({hub: -answer.row_dual[rows] for hub, rows in hubs}, _work_values(problem, compiled, answer.row_dual))


def _work_values(problem: Problem, compiled: Compiled, row_dual: Floats) -> dict[str, Floats]:
    """Value of another million units by workload: every bound in which its demand stands, times the dual of the bound."""
    here = world(problem)
    reduced = reduced_cost(compiled, row_dual)
    found = {}
    prompt = dict(zip(compiled.row_families["demand_met"].labels[0], range(len(compiled.rows["demand_met"])), strict=True))
    batch = dict(zip(compiled.row_families["due"].labels[0], range(len(compiled.rows["due"])), strict=True))
    levels = _level_values(here, compiled, row_dual)
    for workload in here.workloads:
        if isinstance(workload, BatchWorkload):
            number = batch[workload.name]
            due = row_dual[compiled.rows["due"][number]]
            none = np.zeros(0)
            waits = np.array(
                [
                    not_yet_due(here.start_s, here.step_s, came, workload.deadline_s, none, none.astype(np.int64))
                    for came in np.eye(len(here.step_s))
                ]
            )
            found[workload.name] = row_dual[compiled.rows["backlog_balance"][number]] + waits @ due
            continue
        number = prompt[workload.name]
        asked = row_dual[compiled.rows["demand_met"][number]]
        none_served = np.maximum(0.0, reduced[compiled.columns["unserved"][number]])
        found[workload.name] = (asked + none_served) / here.hours + levels.get(workload.name, 0.0)
        if isinstance(workload, ReservedWorkload):
            found[workload.name] = found[workload.name] + workload.price_usd_per_mwork
    return found


def _level_values(here: World, compiled: Compiled, row_dual: Floats) -> dict[str, Floats]:
    """What another million units raise the work that service levels let go by, times what that is worth; by workload."""
    dual = dict(zip(compiled.row_families["level_kept"].labels[0], row_dual[compiled.rows["level_kept"]].tolist(), strict=True))
    found = {}
    for workload in here.workloads:
        if isinstance(workload, BatchWorkload) or (level := workload.service_level) is None:
            continue
        found[workload.name] = np.zeros(len(here.step_s))
        for period, inside in level_seconds(here, level).items():
            for t, s in inside.items():
                may_miss = (PARTS - level.served_ppm) / PARTS * s / float(here.step_s[t])
                found[workload.name][t] += may_miss * dual[f"{workload.name} {period}"]
    return found
