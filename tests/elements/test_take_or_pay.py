"""Take-or-pay alone, on figures worked out by hand."""

from datetime import UTC, datetime

import pytest
from by_hand import alone, problem, site, solved, usd, values

from models.outlook import Outlook
from models.take_or_pay import TakeOrPay
from optimizer.contribution import Contribution, earn
from optimizer.elements.meter import site_meter
from optimizer.elements.take_or_pay import take_or_pay

HOUR = 3600
DAY_H = 24
LAST_DAY_BUT_ONE = datetime(2026, 1, 30, 6, tzinfo=UTC)  # midnight in Chicago, 48 hours before February


def taking(of):
    """The contract over one load that may draw anything: `load[s,t]` in kW."""

    def declare(model):
        model.variable("load", "SITES", "STEPS")
        draw_kw = site_meter(model, [Contribution(power_kw=lambda m, s, t: m.load[s, t])])
        earn(model, [take_or_pay(model, draw_kw)])

    return alone(declare, of)


def cost(of, *draw_kw):
    compiled = taking(of)
    return usd(compiled, solved(compiled, draw=[draw_kw]), "take_shortfall").tolist()


def asked(least_mwh=600.0, **changes):
    contract = TakeOrPay(least_mwh=least_mwh, shortfall_usd_per_mwh=40.0, **changes.pop("contract", {}))
    return problem(site(take_or_pay=contract), **{"start": LAST_DAY_BUT_ONE} | changes)


def test_a_site_without_the_contract_pays_nothing():
    assert taking(problem(site())).money["take_shortfall"].step.size == 0


def test_the_horizon_must_take_its_share_of_what_the_period_still_misses():
    counted = {"2026-01": {"energy_wh": 576_000_000}}  # 24 MWh are left for 48 hours
    of = asked(months=counted)
    assert taking(of).row_upper[taking(of).rows["take_covers"]].tolist() == pytest.approx([-1.0])
    assert cost(of, 500, 500) == pytest.approx([0, 0])
    assert cost(of, 500, 0) == pytest.approx([-0.5 * 40 / 2] * 2)
    assert cost(of, 1000, 1000) == [0, 0]


def test_money_is_spread_by_time_and_energy_counts_by_time():
    counted = {"2026-01": {"energy_wh": 576_000_000}}
    of = asked(months=counted, step_s=(HOUR, 900, 900))  # 0.75 MWh are asked
    assert cost(of, 300, 300, 0) == pytest.approx([-0.375 * 40 * s / 5400 for s in (HOUR, 900, 900)])


def test_who_has_taken_enough_may_rest():
    assert cost(asked(months={"2026-01": {"energy_wh": 601_000_000}}), 0, 0) == [0, 0]


def test_a_period_of_a_year_begins_with_its_first_month_and_sums_its_months():
    counted = {
        "2025-09": {"energy_wh": 9_000_000_000},
        "2025-10": {"energy_wh": 100_000_000},
        "2026-01": {"energy_wh": 500_000_000},
    }
    of = asked(least_mwh=6_600.0, months=counted, contract={"period_months": 12, "first_month": 10})
    left_h = (2 + 28 + 31 + 30 + 31 + 30 + 31 + 31 + 30) * DAY_H - 1  # one hour less in the spring
    assert cost(of, 0, 0) == pytest.approx([-6_000 / left_h * 40] * 2)


def test_a_new_period_begins_inside_the_horizon():
    of = asked(start=datetime(2026, 2, 1, 5, tzinfo=UTC), step_s=(HOUR, HOUR), months={"2026-01": {"energy_wh": 599_000_000}})
    compiled = taking(of)
    x = solved(compiled, draw=[[0, 0]])
    assert values(compiled, x, "shortfall").tolist() == pytest.approx([1.0, 600 / (28 * DAY_H)])
    assert usd(compiled, x, "take_shortfall") == pytest.approx([-40, -40 * 600 / (28 * DAY_H)])


def test_energy_is_taken_where_the_shortfall_price_says_so():
    of = asked(months={"2026-01": {"energy_wh": 576_000_000}})
    compiled = taking(of)
    for price, taken_mwh in ((39.0, 1.0), (41.0, 0.0)):
        objective = {"draw": -price / 1000, "shortfall": compiled.cost[compiled.columns["shortfall"]]}
        assert values(compiled, solved(compiled, objective), "draw").sum() / 1000 == pytest.approx(taken_mwh)


def worth(usd_per_mwh, period="2026-01"):
    return {"pecos": Outlook(take_usd_per_mwh={period: usd_per_mwh})}


def test_where_an_outlook_says_what_a_mwh_is_worth_every_mwh_is_worth_that():
    of = asked(outlook=worth(25.0))  # far more than two hours can carry is missing
    assert cost(of, 1000, 1000) == pytest.approx([0, 0])
    assert cost(of, 500, 0) == pytest.approx([-1.5 * 25 / 2] * 2)
    assert cost(of, 0, 0) == pytest.approx([-2.0 * 25 / 2] * 2)


def test_no_more_is_worth_anything_than_the_period_still_misses():
    counted = {"2026-01": {"energy_wh": 599_500_000}}
    assert cost(asked(months=counted, outlook=worth(25.0)), 300, 0) == pytest.approx([-0.2 * 25 / 2] * 2)
    assert cost(asked(months=counted, outlook=worth(25.0)), 500, 0) == pytest.approx([0, 0])


def test_an_outlook_that_does_not_fit_the_contract_is_refused():
    with pytest.raises(ValueError, match=r"take_usd_per_mwh.2026-01: expected at most the shortfall price 40.0, got 41.0"):
        asked(outlook=worth(41.0))
    with pytest.raises(ValueError, match=r"take_usd_per_mwh.2026-02: expected the first month of a period, which is 2026-01"):
        asked(contract={"period_months": 3}, outlook=worth(1.0, "2026-02"))
    with pytest.raises(ValueError, match=r"take_usd_per_mwh.2026-01: expected none at a site without take-or-pay, got 1.0"):
        problem(site(), outlook=worth(1.0))
