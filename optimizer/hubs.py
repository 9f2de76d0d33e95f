"""Hubs: pools that serve the same workloads equally well, wherever they stand."""

from collections.abc import Mapping
from dataclasses import dataclass

from models.problem import Problem


@dataclass(frozen=True)
class Hub:
    """Pools that serve the same workloads equally well at the same routing cost; work is routed to hubs.

    work_per_node_h, routing_usd_per_mwork: by position of the workload in the fleet.
    pools: (site name, pool name).
    """

    label: str
    work_per_node_h: Mapping[int, int]
    routing_usd_per_mwork: Mapping[int, float]
    pools: tuple[tuple[str, str], ...]


def hubs(problem: Problem) -> tuple[Hub, ...]:
    """Return the hubs of a fleet: pools with equal maps from workload to (work per node-hour, routing cost)."""
    found: dict[tuple[tuple[int, int, float], ...], list[tuple[str, str]]] = {}
    for site in problem.fleet.sites:
        for pool in site.gpu_pools:
            admitted = tuple(
                (n, work, workload.routing_usd_per_mwork[site.region])
                for n, workload in enumerate(problem.fleet.workloads)
                if problem.fleet.admits(workload, site) and (work := workload.work_per_node_h(pool))
            )
            if admitted:
                found.setdefault(admitted, []).append((site.name, pool.name))
    return tuple(
        Hub(f"hub-{n}", {w: work for w, work, _ in served}, {w: usd for w, _, usd in served}, tuple(pools))
        for n, (served, pools) in enumerate(found.items())
    )
