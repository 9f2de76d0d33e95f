"""Regret on two hours that are worked out by hand: nobody knew that the second would be dear."""

import json

import pytest
from backtest.by_the_hour import BLOCK_MW, HASH_USD_PER_BLOCK_H, history, machines, mine

from optimizer.solve import optimise
from scenarios.backtest.histories import spec_of
from scenarios.backtest.knowledge import Naive, see_through
from scenarios.backtest.play import Table, play
from scenarios.backtest.realise import realise
from scenarios.backtest.regret import regret_of
from scenarios.backtest.scoring import Score
from scenarios.rolling import Course, roll

CHEAP, DEAR, USUAL = 20.0, 200.0, 60.0
EXACT = Course(steps=2, window=2, gap=1e-6, budget_s=30, steadiness=None)


def hour(price):
    """What two blocks earn in an hour at a price."""
    return 2 * (HASH_USD_PER_BLOCK_H - BLOCK_MW * price)


@pytest.fixture(scope="module")
def played():
    """By yesterday's 60 USD/MWh both hours pay (break-even is 66.67); they come at 20 and 200."""
    of = history([CHEAP, DEAR], before=[USUAL] * 24)
    score = Score(of)
    naive = roll(of.problem, EXACT, see=see_through(of, Naive()), happen=realise(of.problem), known="naive")
    windows = roll(of.problem, EXACT)
    whole = optimise(score.problem, gap=1e-6, budget_s=30, now=of.problem.grid.start).plan
    return {
        "plan": score.result("plan", "naive", naive.joined.sites),
        "plan_perfect": score.result("plan_perfect", "windows", windows.joined.sites),
        "perfect_foresight": score.result("perfect_foresight", "whole", whole.sites),
    }


def test_who_knew_runs_the_cheap_hour_only(played):
    assert played["perfect_foresight"].usd == pytest.approx([hour(CHEAP), 0.0])
    assert played["plan_perfect"].profit_usd == pytest.approx(hour(CHEAP))


def test_who_did_not_know_runs_both_hours_at_the_prices_that_came(played):
    assert played["plan"].usd == pytest.approx([hour(CHEAP), hour(DEAR)])
    assert played["plan"].block_starts == 2


def test_all_of_the_regret_is_forecast_error(played):
    regret = regret_of(played["plan"], played["plan_perfect"], played["perfect_foresight"])
    assert regret.forecast_error_usd == pytest.approx(-hour(DEAR)) == pytest.approx(80.0)
    assert (regret.horizon_usd, regret.execution_usd, regret.solver_gap_usd) == pytest.approx((0.0, 0.0, 0.0))
    assert regret.total_usd == pytest.approx(80.0)


def test_gaps_and_execution_move_between_parts_and_leave_the_sum(played):
    noted = played["plan"].model_copy(update={"gap_usd": 5.0, "execution_usd": 2.0})
    windows = played["plan_perfect"].model_copy(update={"gap_usd": 3.0})
    regret = regret_of(noted, windows, played["perfect_foresight"])
    assert (regret.horizon_usd, regret.execution_usd, regret.solver_gap_usd) == pytest.approx((-3.0, 2.0, 5.0))
    assert regret.forecast_error_usd == pytest.approx(80.0 + 3.0 - 5.0 - 2.0)


def test_what_the_score_leaves_out_regret_leaves_out(tmp_path):
    """Heat that nobody foresaw stops both blocks in the second hour; where that hour is not scored, nothing was missed in it."""
    frail = machines().modes[0].model_copy(update={"max_ambient_c": 38.0})
    spec = spec_of("storm", steps=3, window_steps=3, knowledge="naive", gap=1e-6, sites=1)

    def of(scored):
        site = mine(asic_groups=(machines(modes=(frail,)),))
        return history([CHEAP] * 6, site, steps=3, scored=scored, ambient=[20.0, 39.0, 20.0, 20.0, 20.0, 20.0])

    whole, without = (
        {name: play(spec, name, of(scored), Table(tmp_path / str(n) / name)).result
         for name in ("plan", "plan_perfect", "perfect_foresight")}
        for n, scored in enumerate([(True, True, True), (True, False, True)])
    )  # fmt: skip
    assert whole["plan"].execution_usd == pytest.approx(hour(CHEAP))
    assert without["plan"].execution_usd == 0.0
    gaps = {name: [json.loads(line)["replan"]["gap_usd"] or 0.0
                   for line in (tmp_path / "1" / name / "steps.jsonl").read_text().splitlines()[1:]]
            for name in ("plan", "plan_perfect")}  # fmt: skip
    for name, usd in gaps.items():
        assert without[name].gap_usd == pytest.approx((usd[0] + usd[2]) / 3)
        assert whole[name].gap_usd == pytest.approx(sum(usd) / 3)
    regret = regret_of(without["plan"], without["plan_perfect"], without["perfect_foresight"])
    assert regret.total_usd == pytest.approx(0.0, abs=1e-6)
    assert regret.execution_usd == 0.0
    parts = regret.horizon_usd + regret.forecast_error_usd + regret.execution_usd + regret.solver_gap_usd
    assert parts == pytest.approx(regret.total_usd, abs=1e-9)
