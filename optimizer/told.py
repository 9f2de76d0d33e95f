"""What an older plan tells a fleet's machines on today's grid, as far as it reaches."""

from bisect import bisect_right
from dataclasses import dataclass, replace
from datetime import datetime

from models.asic import AsicGroup
from models.plan import GroupPlan, Plan
from models.problem import Problem
from models.site import Site
from optimizer.decisions import SiteDecisions


@dataclass(frozen=True)
class Told:
    """What an older plan tells one site's machines, by step of today's grid, as far as it reaches."""

    blocks: dict[str, list[list[int]]]
    nodes: dict[str, list[int]]
    warm: dict[str, list[int]]

    def kept_by(self, made: SiteDecisions) -> bool:
        """Whether decisions are what was told, warm nodes aside."""
        for name, rows in self.blocks.items():
            series = list(made.mode_blocks[name].values())
            if any([counts[t] for counts in series] != row for t, row in enumerate(rows)):
                return False
        return all(made.nodes_on[name][: len(path)] == path for name, path in self.nodes.items())

    def with_warmth(self, made: SiteDecisions) -> SiteDecisions:
        """Return decisions with as many nodes warm as was told, and none beyond what was told."""
        warm = {name: [*path, *[0] * (len(made.nodes_on[name]) - len(path))] for name, path in self.warm.items() if any(path)}
        return replace(made, nodes_warm=warm) if warm else made


def told(problem: Problem, old: Plan | None, site: Site) -> Told | None:
    """Return what an older plan tells a site, or None where it tells nothing of today's first step or of other machines."""
    plan = old.sites.get(site.name) if old else None
    if old is None or plan is None:
        return None
    if plan.groups.keys() != {g.name for g in site.asic_groups} or plan.pools.keys() != {p.name for p in site.gpu_pools}:
        return None
    then = [_step_at(old, start) for start in problem.grid.starts]
    if then[0] is None:
        return None
    reach = [t for t in then if t is not None]
    warmable = {p.name for p in site.gpu_pools if p.warm_w is not None}
    warm = {name: p.nodes_warm for name, p in plan.pools.items() if name in warmable and p.nodes_warm is not None}
    return Told(
        blocks={group.name: [_row(group, plan.groups[group.name], t) for t in reach] for group in site.asic_groups},
        nodes={name: [pool.nodes_on[t] for t in reach] for name, pool in plan.pools.items()},
        warm={name: [counts[t] for t in reach] for name, counts in warm.items()},
    )


def _step_at(plan: Plan, instant: datetime) -> int | None:
    """Return the step of a plan in which an instant lies."""
    t = bisect_right(plan.grid.offset_s, (instant - plan.grid.start).total_seconds()) - 1
    return t if 0 <= t < plan.grid.steps else None


def _row(group: AsicGroup, made: GroupPlan, t: int) -> list[int]:
    return [made.mode_blocks[mode.name][t] if mode.name in made.mode_blocks else 0 for mode in group.modes]
