"""Block power alone, on figures worked out by hand."""

import numpy as np
import pytest
from by_hand import alone, problem, site, solved, usd, values

from models.block_power import BlockPower
from models.contract import IndexPrice
from optimizer.contribution import Contribution, earn
from optimizer.elements.block_power import block_power
from optimizer.elements.energy import energy_price
from optimizer.elements.meter import site_meter


def blocked(of):
    """Energy and block over one load that may draw anything: `load[s,t]` in kW."""

    def declare(model):
        model.variable("load", "SITES", "STEPS")
        draw_kw = site_meter(model, [Contribution(power_kw=lambda m, s, t: m.load[s, t])])
        earn(model, [energy_price(model, draw_kw), block_power(model, draw_kw)])

    return alone(declare, of)


def with_block(*index, block_w=400_000, adder=5.0, fee=2.0, **changes):
    """A block of 400 kW at 30 USD/MWh; the rest at index + 5, resale at index - 2."""
    block = BlockPower(block_w=block_w, price_usd_per_mwh=30.0, resale_index="hub", resale_fee_usd_per_mwh=fee)
    here = site(contract=IndexPrice(index="hub", adder_usd_per_mwh=adder), block_power=block, **changes)
    return problem(here, prices={"hub": index}, step_s=(3600,) * len(index))


def money(of, *draw_kw):
    compiled = blocked(of)
    x = solved(compiled, draw=[draw_kw])
    return {term: np.bincount(m.step, m.usd(x), len(draw_kw)).tolist() for term, m in compiled.money.items()}


def test_a_site_without_a_block_buys_all_it_draws():
    compiled = blocked(problem(site()))
    assert compiled.money["resale_revenue"].step.size == 0
    assert usd(compiled, solved(compiled, draw=[[100, 0]]), "energy_cost").tolist() == [-6.0, 0]


def test_what_is_not_drawn_is_sold_and_what_is_beyond_is_bought():
    of = with_block(60.0, 60.0, 60.0)
    assert money(of, 100, 400, 1000) == {
        "energy_cost": pytest.approx([0, 0, -0.6 * 65]),
        "block_cost": pytest.approx([-0.4 * 30] * 3),
        "resale_revenue": pytest.approx([0.3 * 58, 0, 0]),
    }


def test_a_negative_index_makes_selling_cost_money():
    assert money(with_block(-50.0), 0)["resale_revenue"] == pytest.approx([0.4 * -52])


def test_only_crossed_prices_take_a_binary():
    assert blocked(with_block(60.0, -20.0)).columns["selling"].size == 0
    crossed = with_block(60.0, 60.0, adder=-10.0)
    assert blocked(crossed).columns["selling"].size == 2
    beneath = blocked(with_block(60.0, adder=-10.0, block_w=1_000_000))
    assert beneath.columns["selling"].size == 0, "nothing can be bought beyond a block as large as the connection"
    assert values(beneath, solved(beneath, draw=[[300]]), "sold").tolist() == [700]


@pytest.mark.parametrize(("draw_kw", "sold_kw"), [(0, 400), (399, 1), (400, 0), (401, 0), (1000, 0)])
def test_nothing_is_sold_and_bought_back_where_resale_pays_more_than_buying_costs(draw_kw, sold_kw):
    compiled = blocked(with_block(60.0, adder=-10.0))
    x = solved(compiled, draw=[[draw_kw]])
    assert values(compiled, x, "sold")[0] == pytest.approx(sold_kw)


def test_a_load_stands_aside_where_its_energy_sells_for_more():
    compiled = blocked(with_block(60.0, 40.0))
    for worth, drawn_kw in ((50.0, [0, 1000]), (59.0, [400, 1000]), (66.0, [1000, 1000])):
        worth_of_draw = {"draw": worth / 1000 + compiled.cost[compiled.columns["draw"]]}
        x = solved(compiled, worth_of_draw | {"sold": compiled.cost[compiled.columns["sold"]]})
        assert values(compiled, x, "draw")[0] == pytest.approx(drawn_kw)
