r"""End values: what machines that still run are worth when the horizon ends.

Contributes
    asic_end_value    sum over g at s of block_end_usd[g] * on[g,t] - late_end_usd[g] * (starts in late_starts[g])
    gpu_end_value     sum over p at s of node_end_usd[p] * (nodes of p that are on or warm in t)

Both stand in the last step t of the horizon. A block that runs can do all that one at rest can, and one at rest becomes
one that runs for the price of a start: so a running block is worth between nothing and that price more. block_end_usd[g]
is the group's share of it: wear, and the hash of the lowest mode that a warm-up loses at the last step's hashprice and
heat. A block that the plan starts so late that it still warms up at the end has not paid for all of its warm-up:
late_end_usd[g] takes that part of the value back. So no start pays by its end value alone. A node's is the share of its
start cost; a warm one saves a start as well. Without these values the last hours of every window would be planned as if
all machines were switched off after it: no start late, and a stop for every small loss.
"""

import numpy as np

from optimizer.availability import hash_ph_per_s
from optimizer.contribution import Contribution, Earning
from optimizer.data import Data, Groups, pairs
from optimizer.declare import STEPS, Expr, Model, Reading, Rule
from optimizer.sets import World

S_PER_DAY = 86_400


def end_values(model: Model, on: Rule, start: Rule, nodes_loaded: Rule) -> Contribution:
    """Value the machines that run at the end; `on(m, g, t)`, `start(m, g, t)` and `nodes_loaded(m, p, t)` count them."""
    model.sparse("BLOCKS_END", "SITES", STEPS)
    model.sparse("NODES_END", "SITES", STEPS)
    model.ragged("late_starts", by=["GROUPS"], of=[STEPS])
    for name in ("block_end_usd", "late_end_usd"):
        model.parameter(name, "GROUPS")
    model.parameter("node_end_usd", "POOLS")
    model.sources.append(end_data)

    def blocks(m: Reading, s: Expr, t: Expr) -> Expr:
        worth = sum(m.block_end_usd[g] * on(m, g, t) for g in m.groups_at[s])
        return worth - sum(m.late_end_usd[g] * sum(start(m, g, h) for h in m.late_starts[g]) for g in m.groups_at[s])

    def nodes(m: Reading, s: Expr, t: Expr) -> Expr:
        return sum(m.node_end_usd[p] * nodes_loaded(m, p, t) for p in m.pools_at[s])

    return Contribution(
        money=(Earning("asic_end_value", ("BLOCKS_END",), blocks), Earning("gpu_end_value", ("NODES_END",), nodes))
    )


def end_data(world: World) -> Data:
    """Return what running machines are worth at the end, and the steps whose starts still warm up then."""
    last = len(world.step_s) - 1
    end_s = int(world.start_s[last] + world.step_s[last])
    usd_per_ph_s = world.problem.paid_hashprice_usd_per_ph_day[last] / S_PER_DAY
    block_usd, late_usd, late = [], [], []
    for n, g in enumerate(world.groups):
        share, group = g.group.end_value_share, g.group
        late_usd.append(share * usd_per_ph_s * float(hash_ph_per_s(world, g, 0)[last]) * group.paid_share * group.warm_up_s)
        block_usd.append(share * group.start_wear_usd + late_usd[-1])
        if share:
            late += [(n, t) for t in np.flatnonzero(world.start_s + group.warm_up_s > end_s).tolist()]
    owner, member = pairs(late).T
    return {
        "BLOCKS_END": pairs((g.site, last) for g in world.groups if g.group.end_value_share),
        "NODES_END": pairs((p.site, last) for p in world.pools if p.pool.end_value_share),
        "late_starts": Groups.of(len(world.groups), owner, member),
        "block_end_usd": block_usd,
        "late_end_usd": late_usd,
        "node_end_usd": [p.pool.end_value_share * p.pool.start_cost_usd for p in world.pools],
    }
