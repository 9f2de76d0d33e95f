"""A site: one grid connection and the machines behind it."""

from typing import Annotated, Literal, Self

from annotated_types import Gt, Le, Len
from pydantic import model_validator

from models.asic import AsicGroup
from models.base import Country, Name, Record, Seconds, Share, Text, Watts, repeated
from models.billing import Months
from models.block_power import BlockPower
from models.carbon import Carbon
from models.coincident_peak import CoincidentPeak
from models.contract import EnergyContract, IndexPrice
from models.demand_charge import DemandCharge
from models.energy_tier import EnergyTier
from models.feeder import Feeder
from models.gpu import GpuPool
from models.reserve import Reserve
from models.take_or_pay import TakeOrPay
from models.time_grid import Zone

ROUNDING = 1e-9
UNIT_SLIP = 200
"""A connection this many times larger or smaller than its machines was entered in another unit."""


class SafeProfile(Record):
    """What a site does when no plan reaches it: shares of blocks in their lowest mode and of nodes that stay on."""

    mining_share: Share = 0.0
    gpu_share: Share = 1.0
    after_s: Seconds = 7200
    """Age of the last document after which a controller acts on its own."""

    def blocks(self, group: AsicGroup) -> int:
        """Return how many blocks of a group hash: no more than their share."""
        return _whole(self.mining_share, group.blocks)

    def nodes(self, pool: GpuPool) -> int:
        """Return how many nodes of a pool stay on: no more than their share."""
        return _whole(self.gpu_share, pool.nodes)


def _whole(share: float, there: int) -> int:
    """The whole number of machines in a share of them; 0.29 of 100 are 29, though their product as floats is less."""
    return int(share * there + ROUNDING)


class Site(Record):
    """One grid connection, its energy contract, and the ASIC groups and GPU pools behind it."""

    name: Name
    title: Text = ""
    region: Name
    country: Country
    zone: Zone
    ambient: Name
    """Name of the temperature series that its cooling follows."""
    connection_limit_w: Annotated[Watts, Gt(0)]
    base_load_w: Watts = 0
    ramp_w_per_min: Annotated[int, Gt(0), Le(10_000_000_000)] | None = None
    contract: EnergyContract
    energy_tiers: Annotated[tuple[EnergyTier, ...], Len(0, 10)] = ()
    block_power: BlockPower | None = None
    demand_charge: DemandCharge | None = None
    coincident_peak: CoincidentPeak | None = None
    take_or_pay: TakeOrPay | None = None
    carbon: Carbon | None = None
    reserves: Annotated[tuple[Reserve, ...], Len(0, 20)] = ()
    billed_months: Months = {}
    """What the meter counted before this service did, from the bills of those months."""
    asic_groups: Annotated[tuple[AsicGroup, ...], Len(0, 50)] = ()
    gpu_pools: Annotated[tuple[GpuPool, ...], Len(0, 50)] = ()
    feeders: Annotated[tuple[Feeder, ...], Len(0, 200)] = ()
    """The wires behind the connection, from the machines on; whoever feeds others stands after them."""
    safe: SafeProfile = SafeProfile()
    authority: Literal["control", "advise"] = "control"
    source: Text = ""

    @model_validator(mode="after")
    def is_one_coherent_site(self) -> Self:
        """Refuse repeated machine names and a connection whose magnitude does not fit its machines."""
        if twice := repeated([g.name for g in self.asic_groups] + [p.name for p in self.gpu_pools]):
            raise ValueError(f"site {self.name}: names of groups and pools must differ, got {twice} twice")
        if twice := repeated(reserve.name for reserve in self.reserves):
            raise ValueError(f"site {self.name}: names of reserves must differ, got {twice} twice")
        self._feeders_are_a_tree()
        nameplate_w = self.nameplate_w
        if nameplate_w and not nameplate_w / UNIT_SLIP <= self.connection_limit_w <= nameplate_w * UNIT_SLIP:
            raise ValueError(
                f"site {self.name}: connection_limit_w {self.connection_limit_w} does not fit machines of "
                f"{nameplate_w} W; expected watts, not kW or MW"
            )
        return self

    def _feeders_are_a_tree(self) -> None:
        fed = {group.name for group in self.asic_groups} | {pool.name for pool in self.gpu_pools}
        for feeder in self.feeders:
            if feeder.name in fed:
                raise ValueError(f"site {self.name}: feeder {feeder.name} has the name of a machine or feeder before it")
            if unknown := sorted(set(feeder.members) - fed):
                raise ValueError(f"site {self.name}: feeder {feeder.name} feeds {unknown}: no machine or feeder before it")
            fed.add(feeder.name)
        if twice := repeated(member for feeder in self.feeders for member in feeder.members):
            raise ValueError(f"site {self.name}: expected one feeder for each member, got more for {twice}")

    @property
    def price_names(self) -> frozenset[str]:
        """Names of the price series that its contracts need."""
        index = {self.contract.index} if isinstance(self.contract, IndexPrice) else set()
        return frozenset(index | ({self.block_power.resale_index} if self.block_power else set()))

    @property
    def nameplate_w(self) -> int:
        """Power of all machines at their highest mode and of GPU containers, without cooling and base load."""
        miners = sum(g.blocks * g.block_power_w(g.modes[-1]) for g in self.asic_groups)
        return miners + sum(p.power_w(p.nodes, p.node_full_w) for p in self.gpu_pools)
