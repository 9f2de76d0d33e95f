r"""GPU pools: how many nodes are on or warm, and how much work they do.

A pool p has `nodes` identical nodes. One that starts loads its model first; it draws its fixed power from the start on.

Variables
    nodes_on[p,t]     nodes that are on                            integer, least_nodes .. most_nodes   [nodes]
    node_start[p,t]   nodes that start                             0 .. nodes                          [nodes]
    node_stop[p,t]    nodes that stop                              nodes_dropped .. nodes              [nodes]
    node_work[p,t]    work done, in fully loaded nodes             0 .. nodes that can serve anything  [nodes]
    nodes_warm[q,t]   nodes that keep their model and do nothing   integer, 0 .. nodes_in_service      [nodes]
    node_wake[q,t]    warm nodes that wake                         0 .. nodes                          [nodes]
    supplied[s,h,t]   work that the pools of hub h at s deliver    >= 0                                [nodes]

Constraints
    node_balance      nodes_on[p,t] + nodes_warm[p,t] - (the same at t-1) == node_start[p,t] - node_stop[p,t]
    node_min_up       starts in recent_node_starts[p,t] + carried_nodes[p,t] <= nodes_on[p,t]
    node_capacity     node_work[p,t] <= nodes_on[p,t] - carried_loading[p,t]
                      - (loading_share[p,t,h] * node_start[p,h] over loading[p,t]) - waking_share[q,t] * node_wake[q,t]
    node_wakes        nodes_on[p,t] - nodes_on[p,t-1] - node_start[p,t] <= node_wake[q,t]
    warm_in_service   nodes_on[p,t] + nodes_warm[q,t] <= nodes_in_service[q,t]
    work_supplied     supplied[s,h,t] == sum over p of hub h at s of node_work[p,t]

most_nodes[p,t] are the nodes in service, none where the site is dark; a pin holds the nodes that are on between its count and
its count.

q is a pool of WARMABLE, those whose nodes can be warm; elsewhere nodes_warm is 0 and its rows are absent. A node starts
from off into on, and whoever started stays on for its minimum run; it may be warm after that, and a warm one wakes or
stops at any time. A wake loses `wake_s` of its step, or all of it where the step is shorter: waking_share[q,t]. A start costs,
holds and loses no less than a wake, so that the counts are read with as few starts as they allow. nodes_dropped are those
that a recovery lets go while they load: they have nothing to keep, so that they stop and are not warm.

`node_start`, `node_stop` and `node_wake` are whole where the counts are. loading_share[p,t,h] is the share of step t that a
node started in step h spends loading; carried_nodes and carried_loading are what starts before the horizon still mean.

Contributes
    power_kw          node_pue[p,t] * (node_fixed_kw[p] * nodes_on[p,t] + node_span_kw[p] * node_work[p,t]
                      + warm_kw[q] * nodes_warm[q,t])
    power_kw_under    the same over the pools below feeder f
    work_nodes        supplied[s,h,t]
    gpu_start_cost    -start_cost_usd[p] * node_start[p,t]

Power as fixed and proportional part of a serving node: affine fits of measured power, see `models.gpu`.
"""

import numpy as np

from optimizer.availability import pinned, pool_available
from optimizer.contribution import Contribution, Earning
from optimizer.data import Data, Groups, pairs
from optimizer.declare import STEPS, Expr, Model, Reading
from optimizer.sets import World
from optimizer.windows import carried, cohort_arrays, losses, recent_changes

W_PER_KW = 1000


def gpu_inference(model: Model) -> Contribution:
    """Add every GPU pool of every site; its work stays at the site until it is supplied to a hub."""
    supply = work_supply(model)
    _sets_and_parameters(model)
    model.variable("nodes_on", "POOLS", STEPS, integer=True, bounds=_available, stage="commitment")
    model.variable("node_start", "POOLS", STEPS, bounds=_nodes)
    model.variable("node_stop", "POOLS", STEPS, bounds=_stopping)
    model.variable("node_work", "POOLS", STEPS, bounds=_useful, stage="service")
    model.variable("nodes_warm", "WARMABLE", STEPS, integer=True, bounds=_in_service, stage="commitment")
    model.variable("node_wake", "WARMABLE", STEPS, bounds=_warmable)

    @model.constraint("POOLS", STEPS)
    def node_balance(m: Reading, p: Expr, t: Expr) -> Expr:
        change = m.nodes_on[p, t] - m.previous(m.nodes_on, m.nodes_on_before, p, t)
        warmer = sum(m.nodes_warm[q, t] - m.previous(m.nodes_warm, m.nodes_warm_before, q, t) for q in m.warm_of[p])
        return change + warmer == m.node_start[p, t] - m.node_stop[p, t]

    @model.constraint("POOLS", STEPS)
    def node_min_up(m: Reading, p: Expr, t: Expr) -> Expr:
        return sum(m.node_start[p, h] for h in m.recent_node_starts[p, t]) + m.carried_nodes[p, t] <= m.nodes_on[p, t]

    @model.constraint("POOLS", STEPS)
    def node_capacity(m: Reading, p: Expr, t: Expr) -> Expr:
        lost = sum(m.loading_share[p, t, h] * m.node_start[p, h] for h in m.loading[p, t]) + m.carried_loading[p, t]
        waking = sum(m.waking_share[q, t] * m.node_wake[q, t] for q in m.warm_of[p])
        return m.node_work[p, t] + lost + waking <= m.nodes_on[p, t]

    @model.constraint("WARMABLE", STEPS)
    def node_wakes(m: Reading, q: Expr, t: Expr) -> Expr:
        return sum(_gone_on(m, p, t) for p in m.pool_of[q]) <= m.node_wake[q, t]

    @model.constraint("WARMABLE", STEPS)
    def warm_in_service(m: Reading, q: Expr, t: Expr) -> Expr:
        return sum(m.nodes_on[p, t] for p in m.pool_of[q]) + m.nodes_warm[q, t] <= m.nodes_in_service[q, t]

    @model.constraint("SITE_HUBS", STEPS)
    def work_supplied(m: Reading, s: Expr, h: Expr, t: Expr) -> Expr:
        return m.supplied[s, h, t] == sum(m.node_work[p, t] for p in m.pools_of[s, h])

    return Contribution(
        power_kw=_power_kw,
        power_kw_under=_power_kw_under,
        work_nodes=supply.work_nodes,
        money=(Earning("gpu_start_cost", ("SITES", STEPS), _start_cost),),
    )


def nodes_loaded(m: Reading, p: Expr, t: Expr) -> Expr:
    """Return the nodes of a pool that are on or warm, as rule(m, p, t). [nodes]."""
    return m.nodes_on[p, t] + sum(m.nodes_warm[q, t] for q in m.warm_of[p])


def work_supply(model: Model) -> Contribution:
    """Add only what leaves the sites for the hubs: one of the two sides that the coupling joins."""
    model.ragged("sites_of", by=["HUBS"], of=["SITES"])
    model.sources.append(supply_data)
    model.variable("supplied", "SITE_HUBS", STEPS)
    return Contribution(work_nodes=_work_nodes)


def _sets_and_parameters(model: Model) -> None:
    model.axis("POOLS")
    model.sparse("LOADING", "POOLS", STEPS, STEPS)
    model.axis("WARMABLE")
    model.ragged("pool_of", by=["WARMABLE"], of=["POOLS"])
    model.ragged("warm_of", by=["POOLS"], of=["WARMABLE"])
    for name in ("nodes_warm_before", "warm_kw", "warmable_nodes"):
        model.parameter(name, "WARMABLE")
    for name in ("nodes_in_service", "waking_share"):
        model.parameter(name, "WARMABLE", STEPS)
    model.ragged("pools_at", by=["SITES"], of=["POOLS"])
    model.ragged("pools_under", by=["FEEDERS"], of=["POOLS"])
    model.ragged("pools_of", by=["SITE_HUBS"], of=["POOLS"])
    for name in ("recent_node_starts", "loading"):
        model.ragged(name, by=["POOLS", STEPS], of=[STEPS])
    for name in ("nodes", "nodes_on_before", "node_fixed_kw", "node_span_kw", "start_cost_usd"):
        model.parameter(name, "POOLS")
    for name in ("node_pue", "least_nodes", "most_nodes", "useful_nodes", "carried_nodes", "carried_loading", "nodes_dropped"):
        model.parameter(name, "POOLS", STEPS)
    model.parameter("loading_share", "LOADING")
    model.sources.append(gpu_data)


def _available(m: Reading, p: Expr, t: Expr) -> tuple[Expr, Expr]:
    return m.least_nodes[p, t], m.most_nodes[p, t]


def _nodes(m: Reading, p: Expr, t: Expr) -> tuple[Expr, Expr]:
    return 0, m.nodes[p]


def _stopping(m: Reading, p: Expr, t: Expr) -> tuple[Expr, Expr]:
    return m.nodes_dropped[p, t], m.nodes[p]


def _in_service(m: Reading, q: Expr, t: Expr) -> tuple[Expr, Expr]:
    return 0, m.nodes_in_service[q, t]


def _warmable(m: Reading, q: Expr, t: Expr) -> tuple[Expr, Expr]:
    return 0, m.warmable_nodes[q]


def _gone_on(m: Reading, p: Expr, t: Expr) -> Expr:
    return m.nodes_on[p, t] - m.previous(m.nodes_on, m.nodes_on_before, p, t) - m.node_start[p, t]


def _useful(m: Reading, p: Expr, t: Expr) -> tuple[Expr, Expr]:
    return 0, m.useful_nodes[p, t]


def _work_nodes(m: Reading, h: Expr, t: Expr) -> Expr:
    return sum(m.supplied[s, h, t] for s in m.sites_of[h])


def _power_kw(m: Reading, s: Expr, t: Expr) -> Expr:
    return sum(_metered_kw(m, p, t) for p in m.pools_at[s])


def _power_kw_under(m: Reading, f: Expr, t: Expr) -> Expr:
    return sum(_metered_kw(m, p, t) for p in m.pools_under[f])


def _metered_kw(m: Reading, p: Expr, t: Expr) -> Expr:
    warm_kw = sum(m.warm_kw[q] * m.nodes_warm[q, t] for q in m.warm_of[p])
    return m.node_pue[p, t] * (m.node_fixed_kw[p] * m.nodes_on[p, t] + m.node_span_kw[p] * m.node_work[p, t] + warm_kw)


def _start_cost(m: Reading, s: Expr, t: Expr) -> Expr:
    return sum(-m.start_cost_usd[p] * m.node_start[p, t] for p in m.pools_at[s])


def supply_data(world: World) -> Data:
    """Return the sites that can deliver to each hub."""
    site_hubs = pairs((p.site, p.hub) for p in world.pools if p.hub is not None)
    return {"sites_of": Groups.of(len(world.hubs), site_hubs[:, 1], site_hubs[:, 0])}


def gpu_data(world: World) -> Data:
    """Return sets and parameters of the GPU pools of a world."""
    pools = [p.pool for p in world.pools]
    nodes = np.array([pool.nodes for pool in pools], dtype=np.int64)
    under = pairs(
        (n, f)
        for f, b in enumerate(world.branches)
        for n in world.pools_at.get(b.site, ())
        if world.pools[n].pool.name in b.machines
    )
    lit = world.energised[[p.site for p in world.pools]]
    least, most = np.zeros((len(pools), len(world.step_s)), dtype=np.int64), pool_available(world).copy()
    for n, p in enumerate(world.pools):
        if (held := pinned(world, p.site, p.pool.name)) is not None:
            least[n, : held[1]] = most[n, : held[1]] = held[0].count
    serves = np.array([p.hub is not None for p in world.pools], dtype=np.bool_)
    return {
        "POOLS": [p.label for p in world.pools],
        "pools_at": Groups.of(len(world.sites), np.array([p.site for p in world.pools], np.int64), np.arange(len(pools))),
        "pools_under": Groups.of(len(world.branches), under[:, 1], under[:, 0]),
        "pools_of": _pools_of_site_hubs(world),
        "nodes": nodes,
        "nodes_on_before": [p.state.nodes_on for p in world.pools],
        "node_fixed_kw": [pool.node_fixed_w / W_PER_KW for pool in pools],
        "node_span_kw": [pool.node_span_w / W_PER_KW for pool in pools],
        "start_cost_usd": [pool.start_cost_usd for pool in pools],
        "node_pue": world.pool_pue_milli / 1000,
        "least_nodes": least,
        "most_nodes": most,
        "useful_nodes": np.where(lit & serves[:, None], nodes[:, None], 0),
        **_history(world),
        **_warmth(world),
    }


def _warmth(world: World) -> Data:
    """The pools whose nodes can be warm."""
    numbers = [n for n, p in enumerate(world.pools) if p.pool.warm_w is not None]
    pools = [world.pools[n] for n in numbers]
    places = np.arange(len(pools), dtype=np.int64)
    wake_s = np.array([p.pool.wake_s for p in pools], dtype=np.float64).reshape(-1, 1)
    return {
        "WARMABLE": [p.label for p in pools],
        "pool_of": Groups.of(len(pools), places, np.array(numbers, dtype=np.int64)),
        "warm_of": Groups.of(len(world.pools), np.array(numbers, dtype=np.int64), places),
        "nodes_warm_before": [p.state.nodes_warm for p in pools],
        "warm_kw": [(p.pool.warm_w or 0) / W_PER_KW for p in pools],
        "warmable_nodes": [p.pool.nodes for p in pools],
        "nodes_in_service": pool_available(world)[numbers],
        "waking_share": np.minimum(1.0, wake_s / world.step_s),
    }


def _pools_of_site_hubs(world: World) -> Groups:
    site_hubs = pairs((p.site, p.hub) for p in world.pools if p.hub is not None).tolist()
    position = {tuple(pair): n for n, pair in enumerate(site_hubs)}
    serving = [(position[p.site, p.hub], n) for n, p in enumerate(world.pools) if p.hub is not None]
    owner, member = np.array(serving, dtype=np.int64).reshape(-1, 2).T
    return Groups.of(len(site_hubs), owner, member)


def _history(world: World) -> Data:
    """Windows of starts within the horizon, and what the past still holds in each step."""
    start_s, step_s = world.start_s, world.step_s
    pools = [p.pool for p in world.pools]
    loading, shares, loading_by_step = losses(start_s, step_s, [pool.load_s for pool in pools])
    held, lost, dropped = [], [], []
    for p in world.pools:
        most = world.release.nodes.get((world.sites[p.site].name, p.pool.name))
        started = cohort_arrays(world.problem.grid, p.state.started)
        on, losing, unready = carried(start_s, step_s, p.pool.min_up_s, p.pool.load_s, *started, most)
        held.append(on)
        lost.append(losing)
        dropped.append(unready)
    return {
        "recent_node_starts": recent_changes(start_s, [pool.min_up_s for pool in pools]),
        "LOADING": loading,
        "loading": loading_by_step,
        "loading_share": shares,
        "carried_nodes": np.reshape(held, (len(pools), len(step_s))),
        "carried_loading": np.reshape(lost, (len(pools), len(step_s))),
        "nodes_dropped": np.reshape(dropped, (len(pools), len(step_s))),
    }
