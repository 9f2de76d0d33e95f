"""Workloads: inference demand of the fleet. Work is counted in tokens, or in micro-node-hours for rented nodes."""

from typing import Annotated, Literal

from annotated_types import Ge, Le, Len
from pydantic import Field

from models.base import Country, Name, NonNegative, Record, Seconds, Share, Text
from models.gpu import MICRO_NODE_HOURS_PER_H, GpuPool
from models.service_level import ServiceLevel

RoutingCosts = Annotated[dict[Name, NonNegative], Len(1, 100)]
"""USD per million work units, by region that may serve; a region that is absent may not."""

Milliseconds = Annotated[int, Ge(0), Le(10_000)]
LatencyTable = Annotated[dict[Name, Annotated[dict[Name, Milliseconds], Len(1, 100)]], Len(0, 100)]
"""Round trip between users and sites, by region of the users and region of the sites. [ms]"""


class Latency(Record):
    """How long users may wait for the network: sites from which the round trip takes longer may not serve them."""

    users: Name
    """Region of the users, as the fleet's table of latencies names it."""
    most_ms: Milliseconds


class _Workload(Record):
    name: Name
    price_usd_per_mwork: NonNegative
    """Price of a million work units: USD per million tokens, or per node-hour of a reservation."""
    routing_usd_per_mwork: RoutingCosts
    countries: Annotated[tuple[Country, ...], Len(1, 250)] | None = None
    """Residency: the only countries whose sites may serve it; absent: any."""
    source: Text = ""


class _TokenWorkload(_Workload):
    model: Name

    def work_per_node_h(self, pool: GpuPool) -> int:
        """Tokens that one full node of a pool gives in an hour; 0 where the pool cannot serve it."""
        return 3600 * pool.throughput_tokens_per_s.get(self.model, 0)


class InteractiveWorkload(_TokenWorkload):
    """Requests that are answered when they come, or lost at a penalty."""

    kind: Literal["interactive"] = "interactive"
    unserved_usd_per_mwork: NonNegative
    latency: Latency | None = None
    service_level: ServiceLevel | None = None


class BatchWorkload(_TokenWorkload):
    """Work that may wait until `deadline_s` after its arrival; what is late costs by the hour."""

    kind: Literal["batch"] = "batch"
    deadline_s: Seconds
    late_usd_per_mwork_h: NonNegative
    end_value_share: Share = 0.0
    """Of what waiting work will earn at the mean prices of the horizon, the part that a plan counts on at its end."""


class ReservedWorkload(_Workload):
    """Rented nodes of one GPU type, paid for whether used or not; a missing node is credited at the penalty."""

    kind: Literal["reserved"] = "reserved"
    gpu_type: Name
    unserved_usd_per_mwork: NonNegative
    service_level: ServiceLevel | None = None

    def work_per_node_h(self, pool: GpuPool) -> int:
        """Micro-node-hours that a node delivers in an hour; 0 for another GPU type."""
        return MICRO_NODE_HOURS_PER_H if pool.gpu_type == self.gpu_type else 0


Workload = Annotated[InteractiveWorkload | BatchWorkload | ReservedWorkload, Field(discriminator="kind")]
