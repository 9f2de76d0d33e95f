r"""Hubs: where the work that sites supply meets the work that is routed; the only rows that couple sites.

A hub is a set of pools, at any sites, that serve the same workloads with the same throughput at the same routing cost, so
that work routed to the hub can be dealt to its pools afterwards in any way: nothing is lost by not saying which.

Constraints
    hub_balance   sum of every element's work_nodes at h in t == 0
"""

from collections.abc import Sequence

from optimizer.contribution import Contribution, work_at
from optimizer.declare import STEPS, Expr, Model, Reading


def hub_balances(model: Model, parts: Sequence[Contribution]) -> None:
    """Join supply and demand of every hub."""

    @model.constraint("HUBS", STEPS)
    def hub_balance(m: Reading, h: Expr, t: Expr) -> Expr:
        return work_at(parts, m, h, t) == 0
