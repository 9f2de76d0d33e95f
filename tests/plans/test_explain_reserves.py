"""What one more MW of a reserve is worth, by hand: two blocks of miners that would not run without it."""

from datetime import timedelta

import pytest
from by_hand import START, group, problem, site

from models.contract import FixedPrice
from models.problem import Problem
from models.reserve import Award, Reserve
from optimizer.explain import explain, ground
from optimizer.solve import optimise
from optimizer.worker import GIB

HOUR = 3600


def told(step, connection_w=10_500_000, awards=(), deadline_s=20.0):
    """At 70 USD/MWh a block of 3 MW in eco loses 10 USD/h, one of 5 MW in turbo 50; a MW of reserve earns 10."""
    reserve = Reserve(
        name="ecrs", block_hours=2, notice_s=600, duration_s=HOUR, capacity_usd_per_mw_h=10.0, claw_back_usd_per_mw_h=30.0
    )
    place = site(
        asic_groups=(group(miners_per_block=1_000),), reserves=(reserve,), connection_limit_w=connection_w,
        contract=FixedPrice(price_usd_per_mwh=70.0),
    )  # fmt: skip
    raw = problem(place, step_s=(HOUR,) * 4).model_dump()
    of = Problem.model_validate({**raw, "awards": tuple(award.model_dump() for award in awards)})
    made = optimise(of, gap=0.0, budget_s=30.0, now=START)
    assert made.plan is not None
    return explain(ground(of, made.plan, deadline_s=30.0, memory_bytes=GIB), "pecos", step, deadline_s=deadline_s)


def test_an_offer_that_holds_blocks_in_eco():
    """Turbo in place of eco costs 40 USD/h for 2 MW more: 20 for each, of which the reserve pays 10; whole, 20 for 40."""
    explained = told(2)
    (value,) = explained.reserves
    assert (value.reserve, value.start, value.kw, value.is_award) == ("ecrs", START + timedelta(hours=2), 6_000, False)
    assert value.marginal_usd_per_mw_h == pytest.approx(-10.0)
    assert value.next_mw_usd_per_mw_h == pytest.approx(-20.0)
    assert "the reserves sold at pecos need all of its miners that run" in explained.binding


def test_an_award_that_is_kept_rather_than_clawed_back():
    (value,) = told(0, awards=[Award(site="pecos", reserve="ecrs", start=START, kw=9_000)]).reserves
    assert (value.kw, value.is_award) == (9_000, True)
    assert value.marginal_usd_per_mw_h == pytest.approx(-10.0)
    assert value.next_mw_usd_per_mw_h == pytest.approx(10.0)  # two blocks in turbo stand ready with 10 MW anyway


def test_more_than_the_miners_can_shed_does_not_fit():
    explained = told(3, connection_w=6_500_000)
    (value,) = explained.reserves
    assert (value.kw, value.fits, value.next_mw_usd_per_mw_h) == (6_000, False, None)
    assert explained.missing == ()


def test_without_time_neither_figure_is_guessed_and_both_are_named():
    explained = told(2, deadline_s=0.001)
    (value,) = explained.reserves
    assert (value.marginal_usd_per_mw_h, value.next_mw_usd_per_mw_h) == (None, None)
    assert explained.missing[-2:] == ("one more MW of ecrs", "the marginal value of ecrs")


def test_a_step_without_a_block_on_sale_has_none():
    assert told(0).reserves == ()
