"""Carbon alone, on figures worked out by hand."""

import pytest
from by_hand import alone, problem, site, solved, usd

from models.carbon import Carbon
from models.problem import Problem
from optimizer.contribution import Contribution, earn
from optimizer.elements.carbon import carbon
from optimizer.elements.meter import site_meter


def cost(of, *draw_kw):
    def declare(model):
        model.variable("load", "SITES", "STEPS")
        draw_kw = site_meter(model, [Contribution(power_kw=lambda m, s, t: m.load[s, t])])
        earn(model, [carbon(model, draw_kw)])

    compiled = alone(declare, of)
    return usd(compiled, solved(compiled, draw=[draw_kw]), "carbon_cost").tolist()


def with_series(of, **series):
    return Problem.model_validate(of.model_dump() | {"carbon_kg_per_mwh": series})


def test_emissions_are_price_by_intensity_by_energy():
    """0.8 MW for an hour and a quarter at 400 kg/MWh are 400 kg; at 80 USD a tonne 32 USD."""
    here = site(carbon=Carbon(usd_per_t=80.0, intensity_kg_per_mwh=400.0))
    assert cost(problem(here, step_s=(3600, 900)), 800, 800) == pytest.approx([-0.8 * 0.4 * 80, -0.2 * 0.4 * 80])


def test_a_series_of_intensities_replaces_the_figure():
    here = site(carbon=Carbon(usd_per_t=80.0, intensity_kg_per_mwh=400.0, intensity="grid"))
    of = problem(site())
    fleet = of.fleet.model_dump() | {"sites": (here.model_dump(),)}
    of = Problem.model_validate(of.model_dump() | {"fleet": fleet, "carbon_kg_per_mwh": {"grid": (100.0, 0.0)}})
    assert cost(of, 1000, 1000) == pytest.approx([-8.0, 0])


def test_an_intensity_without_its_series_is_refused():
    here = site(carbon=Carbon(usd_per_t=80.0, intensity="grid"))
    with pytest.raises(ValueError, match=r"carbon_kg_per_mwh: missing \['grid'\]"):
        problem(here)


def test_a_site_without_a_carbon_price_pays_none():
    assert cost(problem(site()), 900, 900) == []
