"""What the report says in sentences: gains below nothing, paths against means in either case, contracts, hours told by a rule."""

import os
import re
from io import StringIO
from pathlib import Path

import pytest
from reported import report
from rich.console import Console

from scenarios.backtest.histories import spec_of
from scenarios.backtest.records import BacktestReport, PolicyResult, StandIn
from scenarios.backtest.run import run
from service.backtesting.page import report_page
from service.backtesting.words import SETTLED, against, paths_verdict, stand_in_words
from service.cli.backtest_tables import show_report

BOTH = ("plan", "plan_stochastic", "break_even")


def with_paths(plan: dict[str, float], paths: dict[str, float]) -> BacktestReport:
    """A report whose two plans came to what is given."""
    made = report(seed=1, days=2, policies=BOTH)
    changed = {"plan": plan, "plan_stochastic": paths}
    results = tuple(r.model_copy(update=changed.get(r.policy, {})) for r in made.policies)
    return made.model_copy(update={"policies": results})


def printed(of: BacktestReport) -> str:
    console = Console(width=250, file=StringIO(), record=True)
    show_report(of, console)
    return " ".join(console.export_text().split())


PLAN = {"profit_usd": 1_000.0, "worst_hours_usd": -50.0, "gap_usd": 2.0, "cpu_s": 10.0}


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        ({"profit_usd": 1_100.0, "worst_hours_usd": -40.0}, "Paths help: $100 (10.0 %) more than the plan of the means. "
         "The worst 5 % of hours are $10 better, −$40 an hour against −$50. It took 60 core-seconds, 6.0 times the 10 of the"),
        ({"profit_usd": 900.0, "worst_hours_usd": -80.0}, "Paths do not help: $100 (10.0 %) less than the plan of the means. "
         "The worst 5 % of hours are $30 worse"),
        ({"profit_usd": 900.0, "worst_hours_usd": -50.0}, "The worst 5 % of hours are as before"),
        ({"profit_usd": 1_004.5, "worst_hours_usd": -50.0},
         "Paths neither help nor harm what is earned: +$4.50 beside the plan of the means, where the plans' gaps leave $5.00"),
        ({"profit_usd": 995.5, "worst_hours_usd": -50.0}, "Paths neither help nor harm what is earned: −$4.50 beside"),
    ],
)  # fmt: skip
def test_paths_are_said_to_help_or_not_on_the_page_and_the_terminal(paths, said):
    made = with_paths(PLAN, {"gap_usd": 3.0, "cpu_s": 60.0} | paths)
    assert said in paths_verdict(made)
    assert said in printed(made)
    assert said.replace("'", "&#39;") in report_page(made, release="1")


def test_without_both_there_is_no_such_sentence():
    assert paths_verdict(report(seed=1, days=2, policies=("plan", "break_even"))) == ""
    assert "Paths" not in report_page(report(seed=1, days=2, policies=("plan_stochastic", "break_even")), release="1")


def test_a_gain_below_nothing_lies_below():
    assert against(-61_064.2, "break_even") == "$61,064 below the break-even rule"
    assert against(61_064.2, "inference_first") == "$61,064 over inference first"
    assert against(0.001, "break_even") == "as much as the break-even rule"
    behind = report(seed=1, days=2).model_copy(update={"gain_usd": -5.0, "gain_share": -0.01, "best_rule": "break_even"})
    page = report_page(behind, release="1")
    assert re.search(r"Below the best rule</dt><dd>\$5.00<small>1.0 % of the break-even rule", page)
    assert "Above the best rule" not in page


def test_what_a_contract_added_says_that_nothing_was_planned_anew():
    made = report(seed=1, days=2)
    assert SETTLED in report_page(made, release="1")
    assert SETTLED in printed(made)
    anew = tuple(one.model_copy(update={"how": "replanned"}) for one in made.contracts)
    assert SETTLED not in report_page(made.model_copy(update={"contracts": anew}), release="1")


def test_hours_that_a_rule_told_are_counted_by_family_and_reason():
    told = (
        StandIn(family="price", reason="unanswered", hours=30.0, series=("HUB",), words="HUB: the price of noon is missing"),
        StandIn(family="paths", reason="unanswered", hours=1.0, series=("paths",), words="means alone"),
    )
    made = with_paths(PLAN | {"stand_ins": told}, PLAN)
    plan = made.result("plan")
    assert isinstance(plan, PolicyResult)
    said = [
        "Planned every hour: price told by the plain rule in 30 hours: its model could not answer for the window",
        "Planned every hour: planned for the means alone in 1 hour: no forecasts to make paths of",
    ]
    assert stand_in_words(plan) == said
    page = report_page(made, release="1")
    assert "Hours told by a plain rule in place of a model" in page
    assert "HUB: the price of noon is missing" in page
    assert all(words in printed(made) for words in said)
    assert "Hours told by a plain rule" not in report_page(with_paths(PLAN, PLAN), release="1")


def test_a_tiny_run_over_paths_says_profit_worst_hours_and_time_of_both():
    """Two sites over a day: five days of prices teach no model, so every hour is planned over the means, and says so."""
    spec = spec_of("storm", steps=24, sites=2, window_steps=6, gap=1e-2, policies=("plan", "plan_stochastic"), paths=3)
    made = run(spec)
    paths, means = made.result("plan_stochastic"), made.result("plan")
    sentence = paths_verdict(made)
    more, open_usd = paths.profit_usd - means.profit_usd, paths.gap_usd + means.gap_usd
    begins = "Paths neither" if abs(more) <= open_usd else "Paths help" if more > 0 else "Paths do not help"
    assert sentence.startswith(begins)
    page = report_page(made, release="1")
    for result in (paths, means):
        assert f"{result.cpu_s:,.0f}" in sentence
        assert f"{result.worst_hours_usd:,.0f}".lstrip("-") in sentence
        assert f"{result.profit_usd:,.0f}" in page
    alone = next(one for one in paths.stand_ins if one.family == "paths")
    assert alone.hours == 24.0
    assert alone.words.startswith("means alone")


@pytest.mark.long
@pytest.mark.skipif("WATTSPLIT_DATA" not in os.environ, reason="needs the folder of larger data (WATTSPLIT_DATA)")
def test_paths_of_trained_models_are_counted_on_and_compared():
    """Two sites at a real market, whose models have years to learn from: no hour is planned for the means alone."""
    spec = spec_of("ercot-2023", steps=24, sites=2, policies=("plan", "plan_stochastic"), paths=3)
    made = run(spec, data=Path(os.environ["WATTSPLIT_DATA"]))
    paths, means = made.result("plan_stochastic"), made.result("plan")
    assert (paths.stand_ins, means.stand_ins, paths.broken, paths.plans_not_optimised) == ((), (), (), 0)
    more, open_usd = paths.profit_usd - means.profit_usd, paths.gap_usd + means.gap_usd
    helps = "neither help nor harm" if abs(more) <= open_usd else "help" if more > 0 else "do not help"
    assert paths_verdict(made).startswith(f"Paths {helps}")
    assert abs(more) > 0, "they are other plans"
