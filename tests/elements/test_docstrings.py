"""The mathematics in an element's docstring names exactly what its code declares."""

import re

import pytest

from optimizer.axes import declare_world
from optimizer.contribution import earn, power_at
from optimizer.declare import Model
from optimizer.elements import (
    asic,
    backlog_value,
    block_power,
    carbon,
    coincident_peak,
    container,
    demand_charge,
    end_value,
    energy,
    energy_tiers,
    feeder,
    forced_stop,
    gpu,
    hub,
    meter,
    reserve,
    service_level,
    take_or_pay,
    workload,
)

GIVEN = {"draw", "on", "unserved", "demand", "backlog", "late"}
"""What an element is given by others, or reads from the problem."""


def declared_alone(declare):
    model = Model()
    declare_world(model)
    part = declare(model)
    return model, part


ELEMENTS = {
    asic: asic.asic_mining,
    gpu: gpu.gpu_inference,
    workload: workload.inference_demand,
    meter: lambda model: site_meter_alone(model),
    backlog_value: lambda model: backlog_value.backlog_values(model, lambda m, w, t: 0, lambda m, w, t: 0),
    block_power: lambda model: block_power.block_power(model, lambda m, s, t: 0),
    coincident_peak: lambda model: coincident_peak.coincident_peak(model, lambda m, s, t: 0),
    end_value: lambda model: end_values_alone(model),
    energy_tiers: lambda model: energy_tiers.energy_tiers(model, lambda m, s, t: 0),
    carbon: lambda model: carbon.carbon(model, lambda m, s, t: 0),
    demand_charge: lambda model: demand_charge.demand_charge(model, lambda m, s, t: 0),
    service_level: lambda model: service_level.service_levels(model, lambda m, w, t: 0),
    take_or_pay: lambda model: take_or_pay.take_or_pay(model, lambda m, s, t: 0),
    energy: lambda model: energy.energy_price(model, lambda m, s, t: 0),
    reserve: lambda model: reserve.reserve_sales(model, []),
    feeder: lambda model: feeder.feeder_limits(model, []),
    forced_stop: forced_stop.forced_stops,
    container: lambda model: containers_alone(model),
    hub: lambda model: hub.hub_balances(model, []),
}


def containers_alone(model):
    model.axis("POOLS")
    return container.gpu_containers(model, lambda m, p, t: 0)


def end_values_alone(model):
    model.axis("GROUPS")
    model.axis("POOLS")
    return end_value.end_values(model, *[lambda m, g, t: 0] * 3)


def site_meter_alone(model):
    meter.site_meter(model, [])


def documented(module, section):
    """Names that stand at the start of the lines of a section of the module's docstring."""
    found = re.search(rf"^{section}\n((?:    .*\n)+)", module.__doc__ + "\n", re.MULTILINE)
    return set(re.findall(r"^ {4}([a-z_]+)", found.group(1), re.MULTILINE)) if found else set()


@pytest.mark.parametrize("module", ELEMENTS, ids=lambda m: m.__name__)
def test_names_in_the_docstring_are_names_in_the_code(module):
    model, part = declared_alone(ELEMENTS[module])
    assert documented(module, "Variables") == set(model.variables)
    assert documented(module, "Constraints") == set(model.constraints)
    contributed = set()
    if part is not None:
        contributed = {name for name in ("power_kw", "power_kw_under", "shed_kw", "work_nodes") if getattr(part, name)}
        earn(model, [part])
    assert documented(module, "Contributes") == contributed | {family.term for family in model.money}


@pytest.mark.parametrize("module", ELEMENTS, ids=lambda m: m.__name__)
def test_parameters_in_the_mathematics_are_declared(module):
    model, _ = declared_alone(ELEMENTS[module])
    known = {*model.variables, *model.parameters, *model.sets, *GIVEN}
    assert set(re.findall(r"([a-z_]+)\[[a-z,\-1]+\]", module.__doc__)) <= known


def test_elements_that_add_nothing_leave_a_sum_alone():
    assert power_at([], None, None, None) == 0
