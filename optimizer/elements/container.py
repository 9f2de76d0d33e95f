r"""GPU containers: cooling and network that draw as soon as any node inside is on or warm.

A pool c of CONTAINED stands in containers of nodes_per_container[c] nodes each, which its nodes fill one after the other.

Variables
    containers_on[c,t]  containers with such a node inside           integer, 0 .. containers     [containers]

Constraints
    container_room      nodes inside at c in t <= nodes_per_container[c] * containers_on[c,t]
    container_use       nodes_per_container[c] * (containers_on[c,t] - 1) + 1 <= nodes inside at c in t

Both together make it the number of containers that so many nodes fill: counts, with no decision of their own, so that no
empty container draws where power is paid for.

Contributes
    power_kw            container_pue[c,t] * container_base_kw[c] * containers_on[c,t]
    power_kw_under      the same over the pools below feeder f
"""

import numpy as np

from optimizer.contribution import Contribution
from optimizer.data import Data, Groups, pairs
from optimizer.declare import STEPS, Expr, Model, Reading, Rule
from optimizer.sets import World

W_PER_KW = 1000


def gpu_containers(model: Model, nodes_inside: Rule) -> Contribution:
    """Add the containers of every pool that has some; `nodes_inside(m, p, t)` are those of a pool that are on or warm."""
    model.axis("CONTAINED")
    model.ragged("pool_inside", by=["CONTAINED"], of=["POOLS"])
    model.ragged("contained_at", by=["SITES"], of=["CONTAINED"])
    model.ragged("contained_under", by=["FEEDERS"], of=["CONTAINED"])
    for name in ("containers", "nodes_per_container", "container_base_kw"):
        model.parameter(name, "CONTAINED")
    model.parameter("container_pue", "CONTAINED", STEPS)
    model.sources.append(container_data)
    model.variable("containers_on", "CONTAINED", STEPS, integer=True, bounds=_containers)

    @model.constraint("CONTAINED", STEPS)
    def container_room(m: Reading, c: Expr, t: Expr) -> Expr:
        return sum(nodes_inside(m, p, t) for p in m.pool_inside[c]) <= m.nodes_per_container[c] * m.containers_on[c, t]

    @model.constraint("CONTAINED", STEPS)
    def container_use(m: Reading, c: Expr, t: Expr) -> Expr:
        full = m.nodes_per_container[c] * m.containers_on[c, t]
        return full - sum(nodes_inside(m, p, t) for p in m.pool_inside[c]) <= m.nodes_per_container[c] - 1

    return Contribution(power_kw=_power_kw, power_kw_under=_power_kw_under)


def _containers(m: Reading, c: Expr, t: Expr) -> tuple[Expr, Expr]:
    return 0, m.containers[c]


def _power_kw(m: Reading, s: Expr, t: Expr) -> Expr:
    return sum(_metered_kw(m, c, t) for c in m.contained_at[s])


def _power_kw_under(m: Reading, f: Expr, t: Expr) -> Expr:
    return sum(_metered_kw(m, c, t) for c in m.contained_under[f])


def _metered_kw(m: Reading, c: Expr, t: Expr) -> Expr:
    return m.container_pue[c, t] * m.container_base_kw[c] * m.containers_on[c, t]


def container_data(world: World) -> Data:
    """Return sets and parameters of the containers of a world."""
    numbers = [n for n, p in enumerate(world.pools) if p.pool.nodes_per_container]
    pools = [world.pools[n] for n in numbers]
    each = np.array([p.pool.nodes_per_container for p in pools], dtype=np.int64)
    places = np.arange(len(pools), dtype=np.int64)
    under = pairs(
        (f, c)
        for f, b in enumerate(world.branches)
        for c, p in enumerate(pools)
        if b.site == p.site and p.pool.name in b.machines
    )
    return {
        "CONTAINED": [p.label for p in pools],
        "pool_inside": Groups.of(len(pools), places, np.array(numbers, dtype=np.int64)),
        "contained_at": Groups.of(len(world.sites), np.array([p.site for p in pools], dtype=np.int64), places),
        "contained_under": Groups.of(len(world.branches), under[:, 0], under[:, 1]),
        "containers": -(-np.array([p.pool.nodes for p in pools], dtype=np.int64) // np.maximum(each, 1)),
        "nodes_per_container": each,
        "container_base_kw": [p.pool.container_base_w / W_PER_KW for p in pools],
        "container_pue": world.pool_pue_milli[numbers] / 1000,
    }
