"""Plans on the command line: made, audited, shown, compared and exported, without a service."""

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, get_args

import pytest
from contradictions import pin_against_outage, plant
from rich.console import Console
from workbooks import read_book
from worlds import world

from models.asic import AsicGroup, Mode
from models.contract import FixedPrice
from models.cooling import Cooling
from models.fleet import Fleet
from models.plan import Plan, Term
from models.problem import Problem
from models.site import Site
from models.state import Cohort, GroupState, SiteState, State
from models.time_grid import hourly
from scenarios.feed import reference_problem
from service.cli.tables import SITE_MONEY, WORKLOAD_MONEY, WORKLOAD_TITLES, show_plan

EXACT = ("--gap", "0", "--budget", "PT30S")


@pytest.fixture(scope="module")
def problem() -> Problem:
    return world(Random(4), sites=2, steps=4)


@pytest.fixture
def planned(wattsplit, problem: Problem, tmp_path: Path) -> dict[str, Any]:
    """A problem and its plan as files, and the plan's content."""
    (tmp_path / "problem.json").write_text(problem.model_dump_json())
    ended = wattsplit("plan", "run", "problem.json", *EXACT, "--out", "plan.json")
    assert ended.code == 0, ended.err
    return json.loads((tmp_path / "plan.json").read_text())


def test_a_plan_is_made_written_and_passes_the_audit(wattsplit, planned):
    plan = Plan.model_validate_json(json.dumps(planned))
    assert plan.basis == "optimised"
    assert plan.proof.status == "optimal"
    assert plan.audit is not None
    assert plan.audit.passed
    audited = wattsplit("plan", "audit", "problem.json", "plan.json")
    assert audited.code == 0
    assert "keeps all" in audited.out


def test_a_log_hears_of_each_kind_of_work_and_of_the_gap(wattsplit, tmp_path):
    (tmp_path / "fleet.json").write_text(reference_problem(datetime(2026, 3, 2, 6, tzinfo=UTC), hours=12).model_dump_json())
    ended = wattsplit("plan", "run", "fleet.json", "--gap", "1e-3", "--budget", "PT60S", "--out", "plan.json")
    assert ended.code == 0, ended.err
    lines = [line for line in ended.err.splitlines() if line.startswith("plan: ")]
    assert lines[0] == "plan: model, 0 s"
    assert any(re.match(r"plan: whole numbers, round 1, \d+ of 45 sites, bound [0-9,]+ USD", line) for line in lines), ended.err
    assert re.match(r"plan: audit, best [0-9,]+ USD, bound [0-9,]+ USD, gap 0\.0\d\d %", lines[-1]), ended.err
    quiet = wattsplit("plan", "run", "fleet.json", "--gap", "1e-3", "--budget", "PT60S", "--workers", "2", "--quiet", "--json")
    assert "plan: " not in quiet.err
    assert quiet.json["sites"] == json.loads((tmp_path / "plan.json").read_text())["sites"], "workers change nothing"


def test_the_plan_as_json_on_standard_output_is_the_plan_of_the_file(wattsplit, planned):
    again = wattsplit("plan", "run", "problem.json", *EXACT, "--json")
    assert again.err == ""
    assert again.json["sites"] == planned["sites"]
    assert again.json["proof"]["objective_usd"] == planned["proof"]["objective_usd"]


def test_a_problem_comes_as_yaml_and_from_standard_input_too(wattsplit, problem, planned, tmp_path):
    (tmp_path / "problem.yaml").write_text(problem.model_dump_json())  # JSON is YAML
    for word in ("problem.yaml", "-"):
        ended = wattsplit("plan", "run", word, *EXACT, "--json", stdin=problem.model_dump_json())
        assert ended.json["sites"] == planned["sites"]


def test_the_table_names_every_site_and_workload_the_gap_and_the_labels(wattsplit, problem, tmp_path):
    labelled = problem.model_copy(update={"labels": ("replayed",)})
    (tmp_path / "problem.json").write_text(labelled.model_dump_json())
    ended = wattsplit("plan", "run", "problem.json", *EXACT)
    assert ended.code == 0
    for word in (
        *(s.name for s in problem.fleet.sites),
        *(w.name for w in problem.fleet.workloads),
        "gap",
        "bound",
        "optimised",
        "replayed",
    ):
        assert word in ended.out


def test_a_corrupted_plan_is_refused_in_words(wattsplit, planned, tmp_path):
    site, found = next(iter(planned["sites"].items()))
    found["draw_w"][0] += 1_000_000
    planned["money"][0]["usd"][0] += 1000.0
    (tmp_path / "bad.json").write_text(json.dumps(planned))
    ended = wattsplit("plan", "audit", "problem.json", "bad.json")
    assert ended.code == 6
    assert f"broken: {site}" in ended.out
    assert not wattsplit("plan", "audit", "problem.json", "bad.json", "--json").json["passed"]


def test_without_time_the_rule_plan_is_written_and_says_so(wattsplit, tmp_path):
    ended = wattsplit("plan", "run", "reference", "--budget", "PT0.3S", "--out", "plan.json", "--problem-out", "problem.json")
    assert ended.code == 5
    plan = Plan.model_validate_json((tmp_path / "plan.json").read_text())
    assert plan.basis == "rule"
    assert "no optimised plan" in plan.reasons[0]
    assert "no optimised plan" in ended.err
    assert wattsplit("plan", "audit", "problem.json", "plan.json").code == 0


def test_rules_that_contradict_each_other_are_diagnosed(wattsplit, tmp_path):
    (tmp_path / "problem.json").write_text(impossible().model_dump_json())
    ended = wattsplit("plan", "run", "problem.json", "--budget", "PT30S", "--out", "plan.json")
    assert ended.code == 4, (ended.out, ended.err)
    assert "pecos step 1" in ended.err
    assert "ramp" in ended.err
    told = json.loads(wattsplit("plan", "run", "problem.json", "--budget", "PT30S", "--json").err)
    assert {"site", "step", "rule", "present", "needed", "short_by"} <= set(told["errors"][0])
    assert not (tmp_path / "plan.json").exists()


def test_what_a_pin_contradicts_gives_way_or_is_diagnosed_with_what_stands_against_it(wattsplit, tmp_path):
    case = plant(pin_against_outage, 2)
    (tmp_path / "problem.json").write_text(case.problem.model_dump_json())
    assert wattsplit("plan", "run", "problem.json", "--budget", "PT30S").code == 0
    ended = wattsplit("plan", "run", "problem.json", "--budget", "PT30S", "--strict", "--out", "plan.json")
    assert ended.code == 4, (ended.out, ended.err)
    said = case.offered[0]
    assert f"must give way: pecos/row step {said.step}" in ended.err
    assert f"is pinned to {said.present} blocks, {said.needed} would be possible" in ended.err
    assert f"stands in the way: pecos/row step {said.step}" in ended.err
    assert not (tmp_path / "plan.json").exists()


def impossible() -> Problem:
    """A site whose sleeping miners draw less once the air cools, faster than its ramp allows, with no block small enough."""
    start = datetime(2026, 11, 22, 8, tzinfo=UTC)
    group = AsicGroup(
        name="row", model="S21", blocks=10, miners_per_block=100, sleep_power_w=25,
        modes=(Mode(name="normal", miner_power_w=3500, miner_hash_th_per_s=200.0),),
        cooling=Cooling(base_pue_milli=1000, rise_milli_per_c=20, above_c=20.0),
    )  # fmt: skip
    site = Site(
        name="pecos", region="texas", country="US", zone="America/Chicago", ambient="A", connection_limit_w=4_000_000,
        ramp_w_per_min=1, contract=FixedPrice(price_usd_per_mwh=50.0), asic_groups=(group,),
    )  # fmt: skip
    asleep = GroupState(stopped=(Cohort(count=10, since=start - timedelta(days=1)),))
    return Problem(
        name="cooling-night", grid=hourly(start, 3), fleet=Fleet(name="one", sites=(site,)),
        hashprice_usd_per_ph_day=(45.0,) * 3, ambient_c={"A": (40.0, 20.0, 20.0)},
        state=State(at=start, sites={"pecos": SiteState(draw_w=35_000, groups={"row": asleep}, as_of=start)}),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "empty"),
        ('{"name": NaN}', "NaN"),
        ('{"name": "x"', "not JSON"),
        ("[" * 100_000, "nested"),
        ("{}", "/fleet"),
        ("[]", "expected an object"),
    ],
)
def test_what_is_no_problem_is_refused_with_its_fault(wattsplit, tmp_path, text, told):
    (tmp_path / "bad.json").write_text(text)
    ended = wattsplit("plan", "run", "bad.json")
    assert ended.code == 3
    assert told in ended.err


def test_a_missing_file_is_bad_input(wattsplit):
    ended = wattsplit("plan", "run", "nowhere.json")
    assert ended.code == 3
    assert "nowhere.json" in ended.err


def test_every_fault_of_a_problem_is_told_at_once_with_its_place(wattsplit, problem, tmp_path):
    content = problem.model_dump(mode="json")
    content["hashprice_usd_per_ph_day"][1] = "44"
    content["fleet"]["sites"][1]["base_load_w"] = -5
    (tmp_path / "bad.json").write_text(json.dumps(content))
    ended = wattsplit("plan", "run", "bad.json", "--json")
    assert ended.code == 3
    faults = {fault["pointer"] for fault in json.loads(ended.err)["errors"]}
    assert {"/hashprice_usd_per_ph_day/1", "/fleet/sites/1/base_load_w"} <= faults


def test_a_plan_compared_with_itself_changes_nothing(wattsplit, planned):
    found = wattsplit("plan", "diff", "plan.json", "plan.json", "--json").json
    assert found["profit_usd"]["difference"] == 0
    assert found["decisions_changed"] == 0
    assert "± 0 USD" in wattsplit("plan", "diff", "plan.json", "plan.json").out


def test_sites_that_do_not_change_are_counted_in_good_english(wattsplit, planned, tmp_path):
    assert "2 sites are unchanged" in wattsplit("plan", "diff", "plan.json", "plan.json").out
    name = min(planned["sites"])
    one = planned | {"sites": {name: planned["sites"][name]}, "money": [m for m in planned["money"] if m["owner"] == name]}
    (tmp_path / "one.json").write_text(json.dumps(one))
    assert "1 site is unchanged" in wattsplit("plan", "diff", "one.json", "one.json").out


def test_what_is_lawful_but_unlikely_is_warned_of(wattsplit, problem, tmp_path):
    old = problem.model_copy(update={"state": problem.state.model_copy(update={"at": problem.grid.start - timedelta(days=30)})})
    (tmp_path / "old.json").write_text(old.model_dump_json())
    ended = wattsplit("plan", "run", "old.json", *EXACT, "--json")
    assert ended.code == 0
    assert "state_old: state.at" in ended.err
    assert "30 days before" in " ".join(ended.err.split())


def test_the_export_has_a_row_for_every_site_and_step_with_the_plan_s_figures(wattsplit, problem, planned):
    rows = list(csv.DictReader(io.StringIO(wattsplit("plan", "export", "plan.json").out)))
    assert len(rows) == len(problem.fleet.sites) * problem.grid.steps
    for site, plan in planned["sites"].items():
        assert [int(row["draw_w"]) for row in rows if row["site"] == site] == plan["draw_w"]
    assert rows[1]["start"] == (problem.grid.start + timedelta(seconds=problem.grid.step_s[0])).isoformat().replace("+00:00", "Z")


def test_a_what_if_tells_the_difference_by_term_energy_and_site(wattsplit, problem, tmp_path):
    (tmp_path / "problem.json").write_text(problem.model_dump_json())
    ended = wattsplit("scenario", "run", "problem.json", "--set", "hashprice=-20%", *EXACT, "--out", "answer", "--json")
    assert ended.code == 0
    found = ended.json
    before, after = (Plan.model_validate_json((tmp_path / "answer" / f"{n}.plan.json").read_text()) for n in ("base", "scenario"))
    assert found["profit_usd"]["difference"] == pytest.approx(after.profit_usd - before.profit_usd)
    assert found["plus_minus_usd"] == pytest.approx((before.proof.gap_usd or 0) + (after.proof.gap_usd or 0))
    assert set(found["sites"]) == {site.name for site in problem.fleet.sites}
    assert after.labels[-1] == "what-if"
    table = wattsplit("scenario", "run", "problem.json", "--set", "hashprice=-20%", *EXACT)
    for word in ("Profit by term", "hashing MWh", "serving MWh", "±"):
        assert word in table.out
    assert "changed: hashprice=-20% (hashprice 20 % lower)" in table.out


def test_a_what_if_is_written_as_a_workbook(wattsplit, problem, tmp_path):
    (tmp_path / "problem.json").write_text(problem.model_dump_json())
    ended = wattsplit("scenario", "run", "problem.json", "--set", "hashprice=-20%", *EXACT, "--out", "comparison.xlsx", "--json")
    assert ended.code == 0, ended.err
    book = read_book((tmp_path / "comparison.xlsx").read_bytes())
    assert book.pages["Profit"].column("difference of profit, USD")[0] == pytest.approx(ended.json["profit_usd"]["difference"])
    notes = dict(row for row in book.pages["Notes"].rows)
    assert notes["change"] == "hashprice=-20% (hashprice 20 % lower)"
    assert notes["±, USD"] == pytest.approx(ended.json["plus_minus_usd"])
    assert notes["engine: solver"].startswith("HiGHS ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["comparison.xlsx", "problem.json"]


def test_a_second_solver_is_asked_on_request_and_agrees(wattsplit, problem, tmp_path):
    (tmp_path / "problem.json").write_text(problem.model_dump_json())
    ended = wattsplit("plan", "run", "problem.json", *EXACT, "--second-opinion")
    assert ended.code == 0, ended.err
    assert "second opinion agrees" in ended.err


def test_every_money_term_has_its_column():
    shown = {*WORKLOAD_TITLES, *(term for terms in SITE_MONEY.values() for term in terms)}
    assert shown == set(get_args(Term))
    assert {term for terms in WORKLOAD_MONEY.values() for term in terms} == set(WORKLOAD_TITLES)


@pytest.mark.parametrize("columns", [100, 160])
def test_no_figure_is_cut_in_a_narrow_window_or_a_wide_one(planned, columns):
    thousandfold = [line | {"usd": [usd * 1_000 for usd in line["usd"]]} for line in planned["money"]]
    text = io.StringIO()
    plan = Plan.model_validate_json(json.dumps(planned | {"money": thousandfold}))
    show_plan(plan, Console(file=text, width=columns, highlight=False))
    assert "…" not in text.getvalue()
    assert max(map(len, text.getvalue().splitlines())) <= columns
