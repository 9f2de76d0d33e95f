"""Where the fleet of a back-test stands: ten sites of the reference fleet, moved to a market, with one of every contract.

Machines, connections and work are those of the reference fleet's first ten sites in Texas. What they sell of reserves is left
out: no award is carried from plan to plan (`scenarios.advance`). Each of six sites has one of the contracts that are settled by
month or year, on the terms that other sites of the reference fleet have; whose site it is here is assumed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models.block_power import BlockPower
from models.contract import IndexPrice
from models.energy_tier import EnergyTier
from models.fleet import Fleet
from models.site import Site
from models.take_or_pay import TakeOrPay
from models.workload import Workload
from scenarios.reference import reference_fleet

ERCOT = "ERCOT_"
HOURS_A_MONTH = 730
W_PER_MW = 1_000_000
LEAST_TAKE_SHARE, TIER_SHARE = 0.4, 0.7
"""Of what a connection carries in a month: the least take, and where the dearer tier begins (assumed)."""
CARBON_KG_PER_MWH = 400.0
"""What a MWh of the grid emits (assumed, about that of Texas)."""


@dataclass(frozen=True)
class Place:
    """A market's place: its calendar, weather, price indexes, and what a block of power bought ahead costs there."""

    region: str
    country: str
    zone: str
    ambient: str
    index_of: Mapping[str, str] = field(default_factory=dict)
    """By index of the reference fleet, the index here."""
    block_usd_per_mwh: float | None = None


def fleet_at(place: Place, sites: int = 10, name: str = "backtest") -> Fleet:
    """Return the fleet of a back-test at a place.

    Raises:
        ValueError: the reference fleet has fewer sites in Texas.
    """
    whole = reference_fleet()
    texan = [site for site in whole.sites if all(index.startswith(ERCOT) for index in site.price_names)]
    if sites > len(texan):
        raise ValueError(f"sites: expected at most {len(texan)}, the Texan ones of the reference fleet, got {sites}")
    moved = tuple(_with_contract(n, _moved(site, place), whole) for n, site in enumerate(texan[:sites]))
    home = texan[0].region
    workloads = tuple(_rerouted(w, home, place.region) for w in whole.workloads if home in w.routing_usd_per_mwork)
    latency = {users: {place.region: known[home]} for users, known in whole.latency_ms.items() if home in known}
    kept: dict[str, Any] = {field: getattr(whole, field) for field in Fleet.model_fields}
    served = [w for w in workloads if _has_nodes(w, moved)]
    return Fleet(**kept | {"name": name, "title": "", "sites": moved, "workloads": tuple(served), "latency_ms": latency})


def node_share(fleet: Fleet) -> float:
    """Return the share of the reference fleet's GPU nodes that a fleet has: its share of the demand."""
    here = sum(pool.nodes for site in fleet.sites for pool in site.gpu_pools)
    return here / sum(pool.nodes for site in reference_fleet().sites for pool in site.gpu_pools)


def _has_nodes(workload: Workload, sites: tuple[Site, ...]) -> bool:
    return any(workload.work_per_node_h(pool) for site in sites for pool in site.gpu_pools)


def _moved(site: Site, place: Place) -> Site:
    contract, block = site.contract, site.block_power
    if isinstance(contract, IndexPrice):
        contract = contract.model_copy(update={"index": place.index_of.get(contract.index, contract.index)})
    if block is not None:
        index = place.index_of.get(block.resale_index, block.resale_index)
        usd = block.price_usd_per_mwh if place.block_usd_per_mwh is None else place.block_usd_per_mwh
        block = BlockPower(**dict(block) | {"resale_index": index, "price_usd_per_mwh": usd})
    there = {"region": place.region, "country": place.country, "zone": place.zone, "ambient": place.ambient}
    return site.model_copy(update={**there, "contract": contract, "block_power": block, "reserves": ()})


def _with_contract(n: int, site: Site, whole: Fleet) -> Site:
    """Give one site each of the contracts that the Texan sites do not have."""
    month_mwh = site.connection_limit_w / W_PER_MW * HOURS_A_MONTH
    lent = {
        kind: next(s for s in whole.sites if getattr(s, kind)) for kind in ("demand_charge", "take_or_pay", "coincident_peak")
    }
    emits = next(s for s in whole.sites if s.carbon).carbon
    given: dict[int, dict[str, Any]] = {
        1: {"demand_charge": lent["demand_charge"].demand_charge},
        2: {"take_or_pay": _sized(lent["take_or_pay"], LEAST_TAKE_SHARE * month_mwh)},
        3: {"energy_tiers": (EnergyTier(above_mwh=TIER_SHARE * month_mwh, adder_usd_per_mwh=3.0),)},
        4: {"coincident_peak": lent["coincident_peak"].coincident_peak},
        6: {"carbon": emits.model_copy(update={"intensity_kg_per_mwh": CARBON_KG_PER_MWH}) if emits else None},
    }
    return site.model_copy(update=given.get(n, {}))


def _sized(lender: Site, least_mwh: float) -> TakeOrPay | None:
    return lender.take_or_pay and lender.take_or_pay.model_copy(update={"least_mwh": least_mwh, "period_months": 1})


def _rerouted(workload: Workload, home: str, region: str) -> Workload:
    return workload.model_copy(
        update={"routing_usd_per_mwork": {region: workload.routing_usd_per_mwork[home]}, "countries": None}
    )
