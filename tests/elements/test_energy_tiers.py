"""Energy tiers alone, on figures worked out by hand."""

from datetime import UTC, datetime

import pytest
from by_hand import alone, problem, site, solved, usd, values

from models.energy_tier import EnergyTier
from optimizer.contribution import Contribution, earn
from optimizer.elements.energy_tiers import energy_tiers
from optimizer.elements.meter import site_meter

HOUR = 3600
LAST_DAY_BUT_ONE = datetime(2026, 1, 30, 6, tzinfo=UTC)  # midnight in Chicago, 48 hours before February
TWO = (EnergyTier(above_mwh=600.0, adder_usd_per_mwh=10.0), EnergyTier(above_mwh=624.0, adder_usd_per_mwh=30.0))


def tiered(of):
    """The tiers over one load that may draw anything: `load[s,t]` in kW."""

    def declare(model):
        model.variable("load", "SITES", "STEPS")
        draw_kw = site_meter(model, [Contribution(power_kw=lambda m, s, t: m.load[s, t])])
        earn(model, [energy_tiers(model, draw_kw)])

    return alone(declare, of)


def cost(of, *draw_kw):
    compiled = tiered(of)
    return usd(compiled, solved(compiled, draw=[draw_kw]), "tier_cost").tolist()


def under(tiers, taken_mwh=0, **changes):
    months = {"2026-01": {"energy_wh": taken_mwh * 1_000_000}}
    return problem(site(energy_tiers=tiers), **{"start": LAST_DAY_BUT_ONE, "months": months} | changes)


def test_a_site_without_tiers_pays_nothing_for_them():
    assert tiered(problem(site())).money["tier_cost"].step.size == 0


def test_the_horizon_may_take_its_share_of_the_room_that_is_left():
    of = under(TWO, 576)  # room for 24 and 48 MWh in 48 hours: 1 and 2 MWh in two of them
    assert cost(of, 600, 400) == pytest.approx([0, 0])
    assert cost(of, 900, 500) == pytest.approx([-0.4 * 10 / 2] * 2)
    assert cost(of, 1000, 1000) == pytest.approx([-1.0 * 10 / 2] * 2)


def test_tiers_add_up():
    of = under(TWO, 612)  # no room under the first, 12 MWh under the second
    assert cost(of, 500, 500) == pytest.approx([-(1.0 * 10 + 0.5 * 30) / 2] * 2)
    assert cost(under(TWO, 700), 500, 500) == pytest.approx([-(1.0 * 10 + 1.0 * 30) / 2] * 2)


def test_a_month_that_begins_has_its_own_room_and_money_is_spread_by_time():
    of = under(TWO[:1], 600, start=datetime(2026, 2, 1, 5, tzinfo=UTC), step_s=(HOUR, 900, 2700))
    compiled = tiered(of)
    room_mwh = 600 / (28 * 24)
    x = solved(compiled, draw=[[200, 1000, 1000]])
    assert values(compiled, x, "beyond").tolist() == pytest.approx([0.2, 1.0 - room_mwh])
    assert usd(compiled, x, "tier_cost") == pytest.approx([-2.0, -10 * (1 - room_mwh) / 4, -10 * (1 - room_mwh) * 3 / 4])


def test_a_load_stops_at_the_tier_that_costs_more_than_it_is_worth():
    compiled = tiered(under(TWO, 576 + 12))  # room for 0.5 MWh at no adder, then 1.0 at 10 USD, then at 40
    for worth, taken_mwh in ((9.0, 0.5), (11.0, 1.5), (41.0, 2.0)):
        objective = {"draw": worth / 1000, "beyond": compiled.cost[compiled.columns["beyond"]]}
        assert values(compiled, solved(compiled, objective), "draw").sum() / 1000 == pytest.approx(taken_mwh)
