"""GPU pools: identical nodes of one type that serve inference."""

from typing import Annotated, Literal, Self

from annotated_types import Ge, Gt, Le
from pydantic import model_validator

from models.base import Name, NonNegative, PositiveCount, Record, Seconds, Text
from models.cooling import Cooling

MICRO_NODE_HOURS_PER_H = 1_000_000
"""Work that one rented node delivers in an hour, in micro-node-hours."""


class GpuPool(Record):
    """`nodes` identical nodes; each is off, loading its model, or serving.

    A node that is on draws `node_fixed_w`, and `node_span_w` more in proportion to its load (source: affine fits of
    measured serving power). Power is IT load, times PUE, or all-in already: `power_basis` says which.
    `throughput_tokens_per_s` gives, for each language model that the pool can serve, the output of one full node.
    A node that starts loads for `load_s` and serves after that; it is never stopped while it loads.
    """

    name: Name
    gpu_type: Name
    nodes: PositiveCount
    node_fixed_w: Annotated[int, Gt(0), Le(200_000)]
    node_span_w: Annotated[int, Ge(0), Le(200_000)] = 0
    power_basis: Literal["it", "all_in"] = "it"
    throughput_tokens_per_s: dict[Name, Annotated[int, Gt(0), Le(10_000_000)]] = {}
    load_s: Seconds = 0
    min_up_s: Seconds = 0
    start_cost_usd: NonNegative = 0.0
    cooling: Cooling = Cooling()
    source: Text = ""

    @model_validator(mode="after")
    def runs_until_loaded(self) -> Self:
        """Refuse a load time longer than the minimum run: a node could be stopped before it ever served."""
        if self.load_s > self.min_up_s:
            raise ValueError(f"load_s: expected at most min_up_s {self.min_up_s}, got {self.load_s}")
        return self

    def pue_milli(self, ambient_c: float) -> int:
        """Return the factor from node power to metered power, in thousandths."""
        return 1000 if self.power_basis == "all_in" else self.cooling.pue_milli(ambient_c)
