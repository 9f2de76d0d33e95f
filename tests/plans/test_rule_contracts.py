"""The rule plan heeds what a draw costs in its own step, and values what it does not decide."""

import pytest
from by_hand import START, group, problem, site

from models.carbon import Carbon
from models.coincident_peak import CoincidentPeak, PeakHours
from models.contract import FixedPrice
from models.demand_charge import DemandCharge
from models.local_hours import LocalHours
from optimizer.audit import audit
from optimizer.fallback import rule_plan

CHEAP = FixedPrice(price_usd_per_mwh=30.0)


def blocks(**contracts):
    of = problem(site(asic_groups=(group(),), contract=CHEAP, **contracts))
    plan = rule_plan(of, START)
    assert audit(of, plan).broken == ()
    return [sum(counts) for counts in zip(*plan.sites["pecos"].groups["row"].mode_blocks.values(), strict=True)], plan


def test_blocks_that_earn_more_than_their_energy_run():
    assert blocks()[0] == [2, 2]


def test_blocks_rest_where_a_system_peak_is_expected():
    from_seven = PeakHours(hours=LocalHours(from_h=7, to_h=8), probability_share=0.01)  # the second hour in Chicago
    assert blocks(coincident_peak=CoincidentPeak(usd_per_kw_peak=12.0, likely=(from_seven,)))[0] == [2, 0]


def test_blocks_rest_where_emissions_cost_more_than_they_earn():
    assert blocks(carbon=Carbon(usd_per_t=100.0, intensity_kg_per_mwh=900.0))[0] == [0, 0]


def test_a_billed_peak_is_valued_though_not_avoided():
    made, plan = blocks(demand_charge=DemandCharge(usd_per_kw_month=(900.0,) * 12))
    assert made == [2, 2]
    peak_kw = max(plan.sites["pecos"].draw_w) / 1000
    left_h = 26 * 24 + 18  # of January, from six in the morning of the fifth
    assert plan.money_by_term_usd["demand_charge"] == pytest.approx(-900 * peak_kw * 2 / left_h)
