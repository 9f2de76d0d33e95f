"""The whole model on one page: machines draw, the meter adds, contracts price; hubs join the sites to what is asked.

The same page makes the whole fleet and its parts: the sites (all, or some), the workloads, and the coupling, which is the
hub rows alone over the two sides' columns. Rows and money of the parts together are those of the fleet, each once.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

from models.problem import Problem
from optimizer.axes import declare_world
from optimizer.compile import compile_model
from optimizer.compiled import Compiled
from optimizer.contribution import earn
from optimizer.data import Data
from optimizer.declare import Model
from optimizer.elements.asic import asic_mining, block_starts, blocks_on
from optimizer.elements.backlog_value import backlog_values
from optimizer.elements.block_power import block_power
from optimizer.elements.carbon import carbon
from optimizer.elements.coincident_peak import coincident_peak
from optimizer.elements.container import gpu_containers
from optimizer.elements.demand_charge import demand_charge
from optimizer.elements.end_value import end_values
from optimizer.elements.energy import energy_price
from optimizer.elements.energy_tiers import energy_tiers
from optimizer.elements.feeder import feeder_limits
from optimizer.elements.forced_stop import forced_stops
from optimizer.elements.gpu import gpu_inference, nodes_loaded, work_supply
from optimizer.elements.hub import hub_balances
from optimizer.elements.meter import site_meter
from optimizer.elements.reserve import reserve_sales
from optimizer.elements.service_level import service_levels
from optimizer.elements.take_or_pay import take_or_pay
from optimizer.elements.workload import inference_demand, overdue, unserved, waiting, work_demand
from optimizer.sets import Release, World, world

Part = Literal["fleet", "sites", "workloads", "coupling"]
CONTRACTS = (energy_price, energy_tiers, block_power, demand_charge, take_or_pay, coincident_peak, carbon)
"""What prices the draw of a site."""


@cache
def formulate(part: Part = "fleet") -> Model:
    """Declare the model of the whole fleet or of a part of it; free of any data."""
    model = Model()
    declare_world(model)
    if part == "coupling":
        hub_balances(model, [work_supply(model), work_demand(model)])
        return model

    machines = []
    if part != "workloads":
        machines = [asic_mining(model), gpu_inference(model), gpu_containers(model, nodes_loaded)]
    demand = [inference_demand(model), service_levels(model, unserved)] if part != "sites" else []
    contracts = []
    if machines:
        draw_kw = site_meter(model, machines)
        feeder_limits(model, machines)
        contracts = [*(contract(model, draw_kw) for contract in CONTRACTS), reserve_sales(model, machines)]
    if part == "fleet":
        hub_balances(model, [*machines, *demand])

    beyond = [forced_stops(model), end_values(model, blocks_on, block_starts, nodes_loaded)] if machines else []
    beyond += [backlog_values(model, waiting, overdue)] if demand else []
    earn(model, [*machines, *contracts, *demand, *beyond])
    return model


def data_of(model: Model, here: World) -> Data:
    """Return the data of a declared model, from the sources that its elements registered."""
    data: dict[str, Any] = {}
    for source in model.sources:
        data |= source(here)
    return data


def build(
    problem: Problem, part: Part = "fleet", *, sites: Sequence[str] | None = None, release: Release | None = None
) -> Compiled:
    """Return the compiled model of a problem.

    part: the whole fleet, or only its sites, workloads or coupling. sites: names, where only some sites are wanted.
    release: what a recovery sets free (`optimizer.recovery`).

    Raises:
        KeyError: a site is not in the fleet.
    """
    return build_world(world(problem, sites, release), part)


def build_world(here: World, part: Part = "fleet") -> Compiled:
    """Return the compiled model of a world whose tables are, in part, worked out already."""
    model = formulate(part)
    return compile_model(model, data_of(model, here))
