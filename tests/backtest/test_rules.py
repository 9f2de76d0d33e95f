"""Today's rules, on hours whose money is worked out by hand."""

import numpy as np
import pytest
from backtest.by_the_hour import BLOCK_MW, HASH_USD_PER_BLOCK_H, history, machines, mine

from optimizer.audit import audit
from scenarios.backtest.records import RULES
from scenarios.backtest.rules import RuleBook, two_strikes
from scenarios.backtest.scoring import Score

DEAR, CHEAP = 200.0, 20.0
BREAK_EVEN = HASH_USD_PER_BLOCK_H / BLOCK_MW


def runs(of, rule):
    """Blocks that hash by the hour."""
    return list(RuleBook(of).plan(rule)["pecos"].groups["row"].mode_blocks["normal"])


def scored(of, rule):
    return Score(of).result(rule, "by hand", RuleBook(of).plan(rule))


def test_always_mining_earns_the_hash_less_the_energy_of_every_hour():
    prices = [20.0, 70.0, -30.0, 400.0]
    found = scored(history(prices), "always_mining")
    assert found.profit_usd == pytest.approx(2 * (4 * HASH_USD_PER_BLOCK_H - BLOCK_MW * sum(prices)))
    assert found.usd == pytest.approx([2 * (HASH_USD_PER_BLOCK_H - BLOCK_MW * p) for p in prices])
    assert found.curve_usd == pytest.approx(np.cumsum(found.usd))
    assert found.worst_hours_usd == pytest.approx(2 * (HASH_USD_PER_BLOCK_H - BLOCK_MW * 400.0))
    assert (found.energy_mwh, found.hash_ph_days) == pytest.approx((2.4, 4 * 20.0 / 24))
    assert (found.block_starts, found.broken) == (2, ())


def test_wear_and_warm_up_are_paid_by_rules_too():
    tired = machines(start_wear_usd=7.0, warm_up_s=900, min_up_s=3600)
    found = scored(history([20.0], mine(asic_groups=(tired,))), "always_mining")
    assert found.profit_usd == pytest.approx(2 * (0.75 * HASH_USD_PER_BLOCK_H - BLOCK_MW * 20.0 - 7.0))


def test_the_break_even_rule_runs_in_the_hours_that_pay():
    assert pytest.approx(66.67, abs=0.01) == BREAK_EVEN
    assert runs(history([66.0, 67.0, -5.0, DEAR]), "break_even") == [2, 0, 2, 0]


def test_the_lagging_rule_goes_by_the_hour_before():
    of = history([DEAR, CHEAP, CHEAP, DEAR], before=[CHEAP] * 24)
    assert runs(of, "real_time_lag") == [2, 0, 2, 2]


def test_the_day_ahead_rule_goes_by_what_was_published():
    of = history([DEAR, CHEAP, CHEAP, DEAR], ahead=[CHEAP, DEAR, CHEAP, DEAR])
    assert runs(of, "day_ahead") == [2, 0, 2, 0]


def test_two_strikes_stop_late_or_at_once_and_resume_after_four():
    low, high = np.full(9, 80.0), np.full(9, 150.0)
    slow = two_strikes(np.array([90.0, 79, 90, 90, 70, 70, 70, 70, 70]), low, high)
    assert slow.tolist() == [True, True, True, False, False, False, False, True, True]
    at_once = two_strikes(np.array([151.0, 70, 70, 70, 70, 81, 70, 81, 82]), low, high)
    assert at_once.tolist() == [False, False, False, False, True, True, True, True, False]


def test_heat_bars_what_a_rule_wants():
    frail = machines().modes[0].model_copy(update={"max_ambient_c": 38.0})
    of = history([CHEAP] * 3, mine(asic_groups=(machines(modes=(frail,)),)), ambient=[20.0, 39.0, 20.0])
    assert runs(of, "always_mining") == [2, 0, 2]


def test_a_minimum_run_holds_a_rule_to_what_it_began():
    slow = machines(min_up_s=3 * 3600)
    of = history([CHEAP, DEAR, DEAR, DEAR], mine(asic_groups=(slow,)))
    assert runs(of, "break_even") == [2, 2, 2, 0]
    assert audit(Score(of).problem, Score(of).plan(RuleBook(of).plan("break_even"))).passed


def test_hours_left_out_are_not_scored():
    found = scored(history([20.0, 400.0, 20.0], scored=(True, False, True)), "always_mining")
    each = 2 * (HASH_USD_PER_BLOCK_H - BLOCK_MW * 20.0)
    assert found.profit_usd == pytest.approx(2 * each)
    assert found.all_hours_usd == pytest.approx(2 * each + 2 * (HASH_USD_PER_BLOCK_H - BLOCK_MW * 400.0))
    assert (found.hours_scored, found.hours_left_out) == (2.0, 1.0)


@pytest.mark.parametrize("rule", RULES)
def test_no_rule_sees_what_is_yet_to_come(rule):
    """Prices after the third hour are poisoned: what is done until then stays the same."""
    plain = history([CHEAP, DEAR, CHEAP, CHEAP, CHEAP, CHEAP], before=[CHEAP] * 24)
    poisoned = history([CHEAP, DEAR, CHEAP, 9000.0, -500.0, 9000.0], before=[CHEAP] * 24)
    assert runs(plain, rule)[:3] == runs(poisoned, rule)[:3]
