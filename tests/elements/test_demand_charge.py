"""The demand charge alone, on figures worked out by hand."""

from datetime import UTC, datetime

import pytest
from by_hand import alone, problem, site, solved, usd, values

from models.demand_charge import DemandCharge
from models.outlook import Outlook
from optimizer.contribution import Contribution, earn
from optimizer.elements.demand_charge import demand_charge
from optimizer.elements.meter import site_meter

LAST_EVENING = datetime(2026, 2, 1, 4, tzinfo=UTC)  # 22:00 on 31 January in Chicago
FLAT = DemandCharge(usd_per_kw_month=(8.0,) * 12)
HOUR = 3600


def charged(of):
    """The charge over one load that may draw anything: `load[s,t]` in kW."""

    def declare(model):
        model.variable("load", "SITES", "STEPS")
        draw_kw = site_meter(model, [Contribution(power_kw=lambda m, s, t: m.load[s, t])])
        earn(model, [demand_charge(model, draw_kw)])

    return alone(declare, of)


def cost(of, *draw_kw):
    compiled = charged(of)
    return usd(compiled, solved(compiled, draw=[draw_kw]), "demand_charge").tolist()


def at_month_end(charge, **changes):
    """Four hours, two in January and two in February."""
    given = {"step_s": (HOUR,) * 4, "start": LAST_EVENING}
    return problem(site(demand_charge=charge), **given | changes)


def test_a_site_without_a_demand_charge_pays_none():
    assert charged(problem(site())).money["demand_charge"].step.size == 0


def test_a_peak_at_the_end_of_the_month_is_paid_in_full_and_spread_over_its_steps():
    february_h = 28 * 24
    paid = cost(at_month_end(FLAT), 100, 300, 50, 20)
    assert paid == pytest.approx([-300 * 8 / 2] * 2 + [-50 * 8 / february_h] * 2)


def test_what_is_sunk_costs_nothing_more():
    months = {"2026-01": {"peak_w": 250_000}, "2026-02": {}}
    of = at_month_end(FLAT, months={"2026-01": months["2026-01"]})
    assert cost(of, 100, 240, 0, 0) == [0, 0, 0, 0]
    assert cost(of, 100, 300, 0, 0) == pytest.approx([-50 * 8 / 2] * 2 + [0, 0])


def test_a_new_peak_costs_the_share_of_the_horizon_in_what_is_left_of_the_month():
    of = problem(site(demand_charge=FLAT), step_s=(HOUR, 900, 5400), start=datetime(2026, 1, 22, 6, tzinfo=UTC))
    left_s = 10 * 24 * HOUR
    assert cost(of, 10, 400, 30) == pytest.approx([-400 * 8 * s / left_s for s in (HOUR, 900, 5400)])


def test_the_ratchet_lets_the_highest_counted_month_before_count():
    charge = DemandCharge(usd_per_kw_month=(8.0,) * 12, ratchet_share=0.5, look_back_months=3, counted_months=(10, 11, 1))
    months = {"2025-12": {"peak_w": 900_000}, "2025-11": {"peak_w": 600_000}, "2025-09": {"peak_w": 990_000}}
    of = at_month_end(charge, months=months)
    compiled = charged(of)
    assert compiled.row_upper[compiled.rows["peak_covers"]].tolist() == [300.0] * 6  # both months, steps of both in February
    assert cost(of, 300, 0, 0, 0) == [0, 0, 0, 0]
    # 700 kW in January are half of it in February, where 300 kW are owed anyway
    assert cost(of, 700, 0, 0, 0) == pytest.approx([-400 * 8 / 2] * 2 + [-50 * 8 / (28 * 24)] * 2)


def test_a_step_over_midnight_counts_in_both_months():
    of = at_month_end(FLAT, step_s=(7200, 5400), start=datetime(2026, 2, 1, 5, tzinfo=UTC))
    compiled = charged(of)
    x = solved(compiled, draw=[[100, 40]])
    assert values(compiled, x, "new_peak").tolist() == [100, 100]
    assert usd(compiled, x, "demand_charge") == pytest.approx([-800 - 800 / (28 * 24), -800 * 1.5 / (28 * 24)])


def test_what_runs_all_month_is_worth_running_and_a_short_spike_is_not():
    """A kW of new peak is taken only where the hours of the horizon earn its share."""
    of = problem(site(demand_charge=FLAT), step_s=(HOUR,) * 2, start=datetime(2026, 1, 30, 6, tzinfo=UTC))
    compiled = charged(of)
    share = 8 * 2 / 48  # USD per kW that two of the last 48 hours bear
    for worth, taken_kw in ((share / 2 * 1.01, [1000, 1000]), (share / 2 * 0.99, [0, 0])):
        objective = {"draw": worth, "new_peak": compiled.cost[compiled.columns["new_peak"]]}
        assert values(compiled, solved(compiled, objective), "draw")[0] == pytest.approx(taken_kw)


def expected(**peaks_w):
    return {"pecos": Outlook(peaks_w={name.replace("_", "-").removeprefix("m"): w for name, w in peaks_w.items()})}


def test_a_peak_that_is_expected_is_decided_and_a_kw_beyond_costs_the_whole_month():
    given = {"step_s": (HOUR, 900, 5400), "start": datetime(2026, 1, 22, 6, tzinfo=UTC)}
    of = problem(site(demand_charge=FLAT), **given, outlook=expected(m2026_01=300_000))
    assert cost(of, 10, 300, 30) == [0, 0, 0]
    assert cost(of, 10, 400, 30) == pytest.approx([-100 * 8 * s / 9900 for s in (HOUR, 900, 5400)])


def test_the_higher_of_what_is_expected_and_what_was_counted_is_decided():
    of = at_month_end(FLAT, months={"2026-01": {"peak_w": 350_000}}, outlook=expected(m2026_01=300_000))
    assert cost(of, 340, 0, 0, 0) == [0, 0, 0, 0]
    assert cost(of, 360, 0, 0, 0) == pytest.approx([-10 * 8 / 2] * 2 + [0, 0])


def test_an_expected_peak_is_remembered_by_the_ratchet_of_later_months():
    charge = DemandCharge(usd_per_kw_month=(8.0,) * 12, ratchet_share=0.5, look_back_months=3)
    of = at_month_end(charge, outlook=expected(m2026_01=600_000))
    assert cost(of, 600, 0, 300, 0) == [0, 0, 0, 0]
    assert cost(of, 600, 0, 310, 0) == pytest.approx([0, 0] + [-10 * 8 / (28 * 24)] * 2)


def test_an_outlook_that_fits_no_contract_is_refused_by_name():
    with pytest.raises(ValueError, match=r"outlook.pecos.peaks_w: expected none at a site without a demand charge"):
        problem(site(), outlook=expected(m2026_01=1))
    with pytest.raises(ValueError, match=r"outlook.pecos.peaks_w: expected months from 2026-01 on, .* got \['2025-12'\]"):
        at_month_end(FLAT, outlook=expected(m2025_12=1))
    with pytest.raises(ValueError, match=r"outlook: unknown \['elsewhere'\]"):
        at_month_end(FLAT, outlook={"elsewhere": Outlook()})
