"""GPU pools: identical nodes of one type that serve inference."""

from typing import Annotated, Literal, Self

from annotated_types import Ge, Gt, Le
from pydantic import model_validator

from models.base import Name, NonNegative, PositiveCount, Record, Seconds, Share, Text
from models.cooling import Cooling

MICRO_NODE_HOURS_PER_H = 1_000_000
"""Work that one rented node delivers in an hour, in micro-node-hours."""

LONGEST_WAKE_S = 300
"""What takes longer to wake than the shortest usual step is off, not warm."""


class GpuPool(Record):
    """`nodes` identical nodes; each is off, on (loading its model or serving), or warm.

    A node that is on draws `node_fixed_w`, and `node_span_w` more in proportion to its load (source: affine fits of
    measured serving power). Power is IT load, times PUE, or all-in already: `power_basis` says which.
    `throughput_tokens_per_s` gives, for each language model that the pool can serve, the output of one full node.
    A node that starts loads for `load_s` and serves after that; it is never stopped while it loads.
    Nodes may stand in containers, `nodes_per_container` each, whose cooling and network draw `container_base_w` (on the
    same power basis) while any node inside is on or warm. Nodes fill one container after the other.
    A warm node keeps its model at hand, draws `warm_w` and serves nothing; where that is absent none is ever warm. Only a
    node that is on, and has been for `min_up_s`, gets warm; on again it serves after `wake_s`, or from the next step on.
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
    end_value_share: Share = 0.0
    warm_w: Annotated[int, Ge(0), Le(200_000)] | None = None
    wake_s: Annotated[int, Ge(0), Le(LONGEST_WAKE_S)] = 0
    nodes_per_container: PositiveCount | None = None
    container_base_w: Annotated[int, Ge(0), Le(10_000_000)] = 0
    cooling: Cooling = Cooling()
    source: Text = ""

    @model_validator(mode="after")
    def runs_until_loaded(self) -> Self:
        """Refuse a load time longer than the minimum run: a node could be stopped before it ever served."""
        if self.load_s > self.min_up_s:
            raise ValueError(f"load_s: expected at most min_up_s {self.min_up_s}, got {self.load_s}")
        return self

    @model_validator(mode="after")
    def containers_are_whole(self) -> Self:
        """Refuse half a description of containers: nothing would follow from it."""
        if (self.nodes_per_container is None) != (self.container_base_w == 0):
            raise ValueError(
                "expected nodes_per_container and a container_base_w above 0, or neither, "
                f"got {self.nodes_per_container} and {self.container_base_w} W"
            )
        return self

    @model_validator(mode="after")
    def is_warm_below_on(self) -> Self:
        """Refuse warm nodes that would be worse than ones that are on, or no quicker than ones that are off."""
        if self.warm_w is None:
            if self.wake_s:
                raise ValueError(f"wake_s: expected 0 without warm_w, got {self.wake_s}")
        elif self.warm_w > self.node_fixed_w or self.wake_s > self.load_s:
            raise ValueError(
                f"expected warm_w of at most node_fixed_w {self.node_fixed_w} W and wake_s of at most load_s {self.load_s} s, "
                f"got {self.warm_w} W and {self.wake_s} s"
            )
        return self

    @property
    def node_full_w(self) -> int:
        """Power of a node at full load, at the machine."""
        return self.node_fixed_w + self.node_span_w

    def power_w(self, nodes: int, node_w: int, warm: int = 0) -> int:
        """Return what so many nodes draw at `node_w` each, with `warm` others and the containers that all of them fill."""
        containers = -(-(nodes + warm) // self.nodes_per_container) if self.nodes_per_container else 0
        return nodes * node_w + warm * (self.warm_w or 0) + containers * self.container_base_w

    def fitting(self, room_w: int, node_w: int) -> int:
        """Return the most nodes that draw no more than `room_w` at `node_w` each, with the containers that they fill."""
        if room_w <= 0 or not self.nodes_per_container:
            return max(0, room_w) // node_w
        each = self.nodes_per_container
        full, left_w = divmod(room_w, self.power_w(each, node_w))
        return full * each + max(0, left_w - self.container_base_w) // node_w

    def pue_milli(self, ambient_c: float) -> int:
        """Return the factor from node power to metered power, in thousandths."""
        return 1000 if self.power_basis == "all_in" else self.cooling.pue_milli(ambient_c)
