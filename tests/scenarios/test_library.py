"""Every scenario of the library loads, says why, changes its base as it says, and is judged by what must come of it."""

import pytest

from models.reading import BadInputError, parse
from scenarios.compare import Comparison, Difference, EnergyDifference, SiteDifference
from scenarios.library import Scenario, load_scenario, scenario_names


def test_the_library_holds_at_least_eight_what_ifs():
    assert len(scenario_names()) >= 8
    assert {"price_spike", "negative_price", "heat_wave", "grid_curtailment", "hashprice_minus_20", "gpu_demand_surge"} <= set(
        scenario_names()
    )
    assert {"site_outage", "dst_autumn_day", "dst_spring_day"} <= set(scenario_names())


@pytest.mark.parametrize("name", scenario_names())
def test_a_scenario_loads_and_its_problem_is_valid_and_not_its_base(name):
    scenario = load_scenario(name)
    base, problem = scenario.base_problem(), scenario.problem()
    assert scenario.why
    assert all(expectation.reason for expectation in scenario.expected)
    assert (problem.digest != base.digest) == bool(scenario.patches)
    assert ("what-if" in problem.labels) == bool(scenario.patches)
    assert problem.labels[0] == "replayed"


@pytest.mark.parametrize(("name", "steps"), [("dst_autumn_day", 25), ("dst_spring_day", 23)])
def test_days_of_23_and_25_hours_have_as_many_steps(name, steps):
    scenario = load_scenario(name)
    assert scenario.problem().grid.steps == steps
    assert scenario.unmet(scenario.problem(), _comparison()) == []


def test_expectations_are_judged_in_words():
    scenario = load_scenario("price_spike")
    met = _comparison(profit=(100.0, 90.0), hashing={"texas": (10.0, 8.0), "mid_atlantic": (5.0, 5.0)})
    assert scenario.unmet(scenario.problem(), met) == []
    broken = _comparison(profit=(100.0, 110.0), hashing={"texas": (10.0, 12.0), "mid_atlantic": (5.0, 6.0)})
    words = scenario.unmet(scenario.problem(), broken)
    assert [w.split(":")[0] for w in words] == ["texas hashing_mwh", "mid_atlantic hashing_mwh", "fleet profit_usd"]
    assert "expected lower than 10.00, got 12.00; no miner earns 300 USD/MWh" in words[0]


def test_a_profit_that_the_gaps_may_explain_disappoints_nothing():
    scenario = load_scenario("price_spike")
    hashing = {"texas": (10.0, 8.0), "mid_atlantic": (5.0, 5.0)}
    found = _comparison(profit=(100.0, 110.0), hashing=hashing)
    assert scenario.unmet(scenario.problem(), found.model_copy(update={"plus_minus_usd": 11.0})) == []
    assert scenario.unmet(scenario.problem(), found.model_copy(update={"plus_minus_usd": 9.0})) != []


def test_an_unknown_scenario_is_refused_with_the_names_that_there_are():
    with pytest.raises(BadInputError, match=r"expected one of difficulty_rise, dst_autumn_day, .*, got 'doomsday'"):
        load_scenario("doomsday")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("patches", ["hashprice=a lot"], "expected a figure"),
        ("base", {"hours": 48}, "either start or local_days"),
        ("expected", [], "at least 1"),
    ],
)
def test_a_faulty_scenario_is_refused_in_words(field, value, words):
    content = {**load_scenario("price_spike").model_dump(mode="json"), field: value}
    with pytest.raises(BadInputError, match=words):
        parse(Scenario, content)


def _difference(pair: tuple[float, float]) -> Difference:
    return Difference(before=pair[0], after=pair[1], difference=pair[1] - pair[0])


def _energy(hashing: tuple[float, float]) -> EnergyDifference:
    flat = _difference((1.0, 1.0))
    return EnergyDifference(hashing_mwh=_difference(hashing), serving_mwh=flat, base_mwh=flat)


def _comparison(profit: tuple[float, float] = (1.0, 1.0), hashing: dict[str, tuple[float, float]] | None = None) -> Comparison:
    """A comparison in which the first site of each region has all of its region's hashing."""
    problem, regions = load_scenario("price_spike").base_problem(), dict(hashing or {})
    sites = {
        site.name: SiteDifference(
            profit_usd=_difference((0.0, 0.0)), energy=_energy(regions.pop(site.region, (0.0, 0.0))), decisions_changed=0
        )
        for site in problem.fleet.sites
    }
    return Comparison(
        before="a",
        after="b",
        start=problem.grid.start,
        end=problem.grid.end,
        steps=48,
        profit_usd=_difference(profit),
        plus_minus_usd=None,
        plus_minus_note="",
        profit_by_term_usd={},
        energy=_energy((1.0, 1.0)),
        sites=sites,
        workload_profit_usd={},
        decisions=0,
        decisions_changed=0,
    )
