"""Two days of ERCOT's storm: every policy, one lawful plan each, foresight above all, parts that add up, runs that go on."""

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from models.base import iso
from scenarios.backtest.histories import HISTORIES, load, spec_of
from scenarios.backtest.knowledge import Naive, Perfect, see_through
from scenarios.backtest.modelled import Model
from scenarios.backtest.records import POLICIES, RULES
from scenarios.backtest.run import CancelledError, run
from scenarios.local_clock import seconds
from scenarios.timed import Timed

HOURS = 42
"""Hours 33 and 34 bring the price down from 9,000 to 16 USD/MWh; day-ahead prices say nothing of it."""
GAP = 1e-3


@pytest.fixture(scope="module")
def short():
    """The eight hours around the end of the storm."""
    begins = HISTORIES["storm"].start + timedelta(hours=31)
    return spec_of("storm", steps=8, start=begins, window_steps=8, gap=GAP, knowledge="naive")


@pytest.fixture(scope="module")
def report(short, tmp_path_factory):
    return run(short, folder=tmp_path_factory.mktemp("whole"))


def test_every_policy_leaves_one_lawful_plan(report):
    assert [result.policy for result in report.policies] == list(POLICIES)
    assert {result.policy: result.broken for result in report.policies if result.broken} == {}
    assert all(result.plans_not_optimised == 0 for result in report.policies)
    assert report.result("plan").plans == report.spec.steps


def test_nobody_earns_more_than_foresight_could(report):
    perfect = report.result("perfect_foresight")
    for result in report.policies:
        assert result.all_hours_usd <= perfect.bound_usd + 0.01, result.policy
        assert result.all_hours_usd <= perfect.all_hours_usd + perfect.gap_usd + 0.01, result.policy
    assert report.result("plan_perfect").profit_usd >= report.result("plan").profit_usd
    assert report.share_of_perfect < 1, "nobody knew that the storm would end"


def test_money_adds_up_by_term_by_owner_and_by_hour(report):
    for result in report.policies:
        assert sum(result.by_term_usd.values()) == pytest.approx(result.profit_usd, abs=0.01)
        assert sum(result.by_owner_usd.values()) == pytest.approx(result.profit_usd, abs=0.01)
        assert result.curve_usd[-1] == pytest.approx(result.profit_usd, abs=0.01)
        assert not any("end_value" in term for term in result.by_term_usd), "nothing is earned that was not realised"


def test_the_parts_of_regret_add_up(report):
    regret = report.regret
    parts = regret.horizon_usd + regret.forecast_error_usd + regret.execution_usd + regret.solver_gap_usd
    assert parts == pytest.approx(regret.total_usd, abs=0.01)
    assert regret.total_usd == pytest.approx(regret.perfect_usd - report.result("plan").profit_usd)
    assert regret.forecast_error_usd > 0


def test_the_best_rule_is_the_best_of_the_rules(report):
    assert report.result(report.best_rule).profit_usd == max(report.result(rule).profit_usd for rule in RULES)
    assert report.gain_usd == pytest.approx(report.result("plan").profit_usd - report.result(report.best_rule).profit_usd)


def test_contracts_are_settled_with_and_without(report):
    added = {one.contract: one for one in report.contracts}
    assert set(added) == {"block_power", "demand_charge", "take_or_pay"}
    result = report.result("plan")
    assert added["demand_charge"].usd == pytest.approx(result.by_term_usd.get("demand_charge", 0.0), abs=0.01)
    assert added["take_or_pay"].usd == pytest.approx(result.by_term_usd.get("take_shortfall", 0.0), abs=0.01)
    assert added["block_power"].usd > 0, "16 MW bought at 29 USD/MWh, in hours at 9,000"


def test_a_run_that_is_broken_off_goes_on_and_comes_to_the_same(short, report, tmp_path):
    spec = short.model_copy(update={"policies": ("plan", "break_even")})
    steps = []
    with pytest.raises(CancelledError):
        run(spec, folder=tmp_path, tell=lambda p: steps.append(p.done_steps), cancelled=lambda: len(steps) >= 3)
    assert len((tmp_path / "plan" / "steps.jsonl").read_text().splitlines()) < 1 + spec.steps
    resumed = run(spec, folder=tmp_path)
    whole = json.loads(report.result("plan").model_dump_json())
    again = json.loads(resumed.result("plan").model_dump_json())
    for timed in ("cpu_s", "wall_s"):
        del whole[timed], again[timed]
    assert again == whole
    assert run(spec, folder=tmp_path).digest == resumed.digest
    with pytest.raises(ValueError, match="take another folder"):
        run(spec.model_copy(update={"gap": 5e-3}), folder=tmp_path)


def test_a_run_goes_on_wherever_a_kill_cut_its_files(short, report, tmp_path):
    """Whole lines count, whatever they end with; what was spent and what the last plan left are done without."""
    spec = short.model_copy(update={"policies": ("plan",)})
    run(spec, folder=tmp_path)
    folder = tmp_path / "plan"
    lines = (folder / "steps.jsonl").read_text().splitlines()
    torn = lines[4][: lines[4].index("}") + 1]
    (folder / "steps.jsonl").write_text("\n".join([*lines[:4], torn]))
    (folder / "left.json").write_text("{")
    (folder / "spent.json").write_text("")
    (folder / "result.json").unlink()
    told = []
    again = run(spec, folder=tmp_path, tell=told.append)
    assert told[0].done_steps == 4, "three steps are there"
    assert again.result("plan").profit_usd == pytest.approx(report.result("plan").profit_usd, rel=2 * GAP)
    (folder / "judged.json").unlink()
    assert run(spec, folder=tmp_path).result("plan").profit_usd == again.result("plan").profit_usd
    assert (folder / "judged.json").exists()
    (folder / "result.json").write_text("{")
    with pytest.raises(ValueError, match=r"result\.json: expected the result of a policy .* take another folder"):
        run(spec, folder=tmp_path)


def test_policies_side_by_side_come_to_the_same(short, report):
    spec = short.model_copy(update={"policies": ("break_even", "perfect_foresight")})
    told = []
    found = run(spec, workers=2, tell=told.append)
    assert [found.result(name).profit_usd for name in spec.policies] == [report.result(name).profit_usd for name in spec.policies]
    assert told[-1].share <= 1.0


def cut(timed: Timed, at, value: float) -> Timed:
    """The series with other values from the first that was not known at an instant on."""
    values = np.where(timed.known_s > seconds(at), value, timed.values)
    return Timed(timed.name, timed.unit, timed.zone, timed.step_s, timed.starts_s, timed.known_s, values)


@pytest.mark.parametrize("knowledge", [Naive, Model])
@pytest.mark.parametrize("first", [0, 5, 13])
def test_no_window_sees_what_was_not_known(knowledge, first):
    """All that was not known when a window begins is replaced: in what came, and in what is told of the past."""
    history = load(spec_of("storm"))
    problem, steps = history.problem, 12
    at, rest = problem.grid.starts[first], problem.grid.steps - first

    def other(values, value):
        return (*values[:first], *(value,) * rest)

    came = {
        "prices_usd_per_mwh": {name: other(values, 13.0) for name, values in problem.prices_usd_per_mwh.items()},
        "demand_work_per_h": {name: other(values, 17) for name, values in problem.demand_work_per_h.items()},
        "ambient_c": {name: other(values, 19.0) for name, values in problem.ambient_c.items()},
        "hashprice_usd_per_ph_day": other(problem.hashprice_usd_per_ph_day, 23.0),
    }
    past = {name: cut(series, at, 11.0) for name, series in history.past.items()}
    poisoned = replace(history, past=past, problem=problem.model_copy(update=came))
    assert knowledge().families(history, first, steps) == knowledge().families(poisoned, first, steps)


def test_naive_knowledge_is_what_it_says():
    history = load(spec_of("storm"))
    problem, index = history.problem, "ERCOT_HB_WEST"
    known = Naive().families(history, 0, 24)
    ahead = history.past["ahead." + index]
    starts = np.array([seconds(s) for s in problem.grid.starts[:24]])
    assert iso(problem.grid.start) == "2021-02-18T06:00:00Z"
    assert known.prices_usd_per_mwh[index] == pytest.approx(ahead.at(starts)), "midnight: the whole day is published"
    yesterday = history.past["ambient.DALLAS"].at(starts - 86_400)
    assert known.ambient_c["DALLAS"] == pytest.approx(yesterday)
    assert len(set(known.hashprice_usd_per_ph_day)) == 1
    later = Naive().families(history, 8, 24).prices_usd_per_mwh[index]
    real = history.past["price." + index]
    assert later[-8:] == pytest.approx(real.at(starts[:8])), (
        "14:00 UTC: tomorrow is not published; the same hour of the day before"
    )


def test_perfect_knowledge_is_the_history_itself():
    history = load(spec_of("storm"))
    seen = see_through(history, Perfect())(
        3, 5, history.problem.state.model_copy(update={"at": history.problem.grid.starts[3]}), {}
    )
    assert seen.prices_usd_per_mwh["ERCOT_HB_WEST"] == history.problem.prices_usd_per_mwh["ERCOT_HB_WEST"][3:8]
