"""The meter and the energy price alone, on figures worked out by hand."""

from datetime import timedelta

import numpy as np
import pytest
from by_hand import START, alone, group, problem, site, solved, usd, values

from models.contract import FixedPrice, ForeignPrice, IndexPrice, TimeOfUse
from models.cooling import Cooling
from models.local_hours import LocalHours
from models.order import LimitOrder
from models.problem import Problem
from optimizer.contribution import Contribution, earn
from optimizer.elements.energy import energy_price
from optimizer.elements.meter import site_meter
from optimizer.sets import Release, world


def metered(of, **release):
    """The meter over one load that may draw anything: `load[s,t]` in kW."""

    def declare(model):
        model.variable("load", "SITES", "STEPS")
        draw_kw = site_meter(model, [Contribution(power_kw=lambda m, s, t: m.load[s, t])])
        earn(model, [energy_price(model, draw_kw)])

    return alone(declare, of, **release)


def most(compiled):
    return values(compiled, solved(compiled, {"draw": 1.0}), "draw")[0].tolist()


def possible(compiled, *draw_kw):
    return solved(compiled, draw=[draw_kw]) is not None


def order(limit_w, start_s, end_s=None, name="order"):
    end = None if end_s is None else START + timedelta(seconds=end_s)
    return LimitOrder(name=name, site="pecos", start=START + timedelta(seconds=start_s), end=end, limit_w=limit_w)


def test_draw_is_load_and_base_load():
    compiled = metered(problem(site(base_load_w=2_500)))
    x = solved(compiled, load=[[10, 0]])
    assert values(compiled, x, "draw").tolist() == [[12.5, 2.5]]


def test_the_lowest_of_connection_series_and_orders_is_the_limit():
    here = site(connection_limit_w=900_000)
    assert most(metered(problem(here))) == [900, 900]
    assert most(metered(problem(here, limits={"pecos": (950_000, 400_000)}))) == [900, 400]
    ordered = problem(here, limits={"pecos": (950_000, 400_000)}, orders=[order(300_000, 0, 60), order(500_000, -9, name="b")])
    assert most(metered(ordered)) == [300, 400]


@pytest.mark.parametrize(
    ("start_s", "end_s", "limits"),
    [
        (0, 3600, [300, 1000]),
        (-60, 0, [1000, 1000]),
        (3599, 3600, [300, 1000]),
        (3600, None, [1000, 300]),
        (0, 3601, [300, 300]),
        (7200, None, [1000, 1000]),
    ],
)
def test_an_order_binds_every_step_that_it_touches(start_s, end_s, limits):
    assert most(metered(problem(site(), orders=[order(300_000, start_s, end_s)]))) == limits


def test_a_site_is_dark_exactly_below_its_floor():
    sleepers = group(sleep_power_w=25, cooling=Cooling(base_pue_milli=1100))  # 2 blocks x 10 x 25 W x 1.1 = 550 W
    floor_w = 550 + 450
    of = problem(site(asic_groups=(sleepers,), base_load_w=450), limits={"pecos": (floor_w, floor_w - 1)})
    assert world(of).floor_mw.tolist() == [[1_000_000, 1_000_000]]
    assert world(of).energised.tolist() == [[True, False]]
    x = solved(metered(of), {"load": 1.0})
    assert values(metered(of), x, "draw")[0] == pytest.approx([1.0, 0.0])


def test_ramps_last_as_long_as_the_shorter_of_two_steps():
    here = site(ramp_w_per_min=1_000)
    compiled = metered(problem(here, step_s=(300, 3600, 900, 900), draw_w=50_000))
    assert possible(compiled, 55, 60, 75, 90)
    assert possible(compiled, 45, 40, 25, 10)
    assert not possible(compiled, 55.1, 60, 75, 90)
    assert not possible(compiled, 55, 60.1, 75, 90)
    assert not possible(compiled, 55, 60, 75.1, 90)
    assert not possible(compiled, 44.9, 40, 40, 40)


def test_no_ramp_under_an_order_or_right_after_it():
    here, hours = site(ramp_w_per_min=1), (3600,) * 4
    compiled = metered(problem(here, step_s=hours, draw_w=100_000, orders=[order(20_000, 3600, 7200)]))
    assert possible(compiled, 100, 0, 700, 700)
    assert not possible(compiled, 99.9, 0, 700, 700)
    assert not possible(compiled, 100, 0, 700, 700.1)
    assert not possible(compiled, 100, 20.1, 20, 20)


def test_no_ramp_into_the_dark_or_out_of_it():
    here = site(ramp_w_per_min=1, base_load_w=5_000)
    compiled = metered(problem(here, step_s=(3600,) * 4, draw_w=100_000, limits={"pecos": (10**6, 4_999, 10**6, 10**6)}))
    assert possible(compiled, 100, 0, 700, 700)
    assert not possible(compiled, 100, 0, 700, 701)


def test_a_released_ramp_does_not_bind():
    of = problem(site(ramp_w_per_min=1), draw_w=500_000)
    assert not possible(metered(of), 400, 400)
    free = metered(of, release=Release(ramps=frozenset({("pecos", 0)})))
    assert possible(free, 400, 400)
    assert not possible(free, 400, 399)


def cost(of, draw_kw):
    compiled = metered(of)
    return usd(compiled, solved(compiled, draw=[draw_kw]), "energy_cost").tolist()


def test_energy_costs_its_price_by_the_length_of_the_step():
    assert cost(problem(site(), step_s=(3600, 900)), [500, 1000]) == pytest.approx([-0.5 * 60, -0.25 * 60])
    fixed = site(contract=FixedPrice(price_usd_per_mwh=-20.0))
    assert cost(problem(fixed), [500, 0]) == pytest.approx([0.5 * 20, 0])


def test_an_index_is_marked_up_for_losses_and_delivery():
    here = site(contract=IndexPrice(index="hub", adder_usd_per_mwh=4.0, loss_share=0.02))
    of = problem(here, prices={"hub": (49.0, -98.0)})
    assert cost(of, [1000, 1000]) == pytest.approx([-(49 / 0.98 + 4), -(-98 / 0.98 + 4)])


def test_adders_by_time_of_use_follow_the_local_clock():
    """Noon in London is six in the morning in Chicago."""
    from_seven = TimeOfUse(hours=LocalHours(from_h=7, to_h=20), adder_usd_per_mwh=30.0)
    mondays = TimeOfUse(hours=LocalHours(week_days=(0,)), adder_usd_per_mwh=-5.0)
    fixed = site(contract=FixedPrice(price_usd_per_mwh=40.0, time_of_use=(from_seven, mondays)))
    assert cost(problem(fixed), [1000, 1000]) == pytest.approx([-35, -65])
    assert cost(problem(fixed, step_s=(5400, 1800)), [1000, 1000]) == pytest.approx([-(35 + 10) * 1.5, -65 / 2])
    index = site(contract=IndexPrice(index="hub", adder_usd_per_mwh=4.0, time_of_use=(from_seven,)))
    assert cost(problem(index, prices={"hub": (49.0, -98.0)}), [1000, 1000]) == pytest.approx([-53, -(-98 + 34)])


def test_a_price_in_another_currency_follows_its_exchange_rate():
    """50 EUR/MWh at 1.10 and 1.05 USD, and 2 USD for delivery."""
    here = site(contract=ForeignPrice(currency="EUR", price_per_mwh=50.0, adder_usd_per_mwh=2.0))
    plain = problem(site()).model_dump()
    fleet = {**plain["fleet"], "sites": (here.model_dump(),)}
    of = Problem.model_validate({**plain, "fleet": fleet, "usd_per_unit": {"EUR": (1.10, 1.05)}})
    assert cost(of, [1000, 500]) == pytest.approx([-57.0, -54.5 / 2])
    with pytest.raises(ValueError, match=r"usd_per_unit: missing \['EUR'\]"):
        problem(here)


def test_limits_of_several_sites_do_not_mix():
    first, second = site(), site(name="kiruna", ambient="kiruna", connection_limit_w=700_000)
    compiled = metered(problem(first, second, orders=[order(250_000, 0, 60)]))
    x = solved(compiled, {"draw": 1.0})
    assert values(compiled, x, "draw") == pytest.approx(np.array([[250, 1000], [700, 700]]))
