"""What all elements share, as sets and parameters: steps, sites, feeders, months, workloads and hubs, and who meets whom."""

from optimizer.data import Data, pairs
from optimizer.declare import STEPS, Model
from optimizer.sets import World


def declare_world(model: Model) -> None:
    """Declare what all elements share: steps and their lengths, sites and whether they are energised, workloads, hubs.

    STEPS, SITES, FEEDERS, MONTHS, WORKLOADS, HUBS
    ROUTES           (workload, hub) that may be served
    SITE_HUBS        (site, hub) with a pool of the hub at the site
    hours[t]         length of a step
    energised[s,t]   1, or 0 where the site is dark
    """
    for axis in (STEPS, "SITES", "FEEDERS", "MONTHS", "WORKLOADS", "HUBS"):
        model.axis(axis)
    model.sparse("ROUTES", "WORKLOADS", "HUBS")
    model.sparse("SITE_HUBS", "SITES", "HUBS")
    model.parameter("hours", STEPS)
    model.parameter("energised", "SITES", STEPS)
    model.sources.append(world_data)


def world_data(world: World) -> Data:
    """Return the data of what `declare_world` declares."""
    return {
        STEPS: [f"{start:%Y-%m-%dT%H:%MZ}" for start in world.problem.grid.starts],
        "SITES": [site.name for site in world.sites],
        "FEEDERS": [branch.label for branch in world.branches],
        "MONTHS": list(world.months),
        "WORKLOADS": [workload.name for workload in world.workloads],
        "HUBS": [hub.label for hub in world.hubs],
        "ROUTES": pairs((w, h) for h, hub in enumerate(world.hubs) for w in hub.work_per_node_h),
        "SITE_HUBS": pairs((p.site, p.hub) for p in world.pools if p.hub is not None),
        "hours": world.hours,
        "energised": world.energised,
    }
