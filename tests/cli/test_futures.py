"""Scenarios with probabilities on the command line: decided, told, written; refused with every fault."""

import json
from pathlib import Path
from random import Random

import pytest
from worlds import world

from models.futures import CERTAIN_PPM, Future
from models.futures_plan import FuturesPlan
from models.plan import Plan
from models.reading import BadInputError, parse, parse_yaml
from scenarios.futures_file import WrittenFutures, futures_of

ROOT = Path(__file__).resolve().parents[2]
EXACT = ("--gap", "1e-6", "--budget", "PT60S")
TWO = """
name: two
recourse_after_s: 7200
scenarios:
  - {name: plain, probability_ppm: 700000}
  - {name: rally, probability_ppm: 300000, set: ["hashprice=+100%", "energy_price=-40%"]}
"""


@pytest.fixture
def here(tmp_path):
    problem = world(Random(4), sites=2, steps=4)
    (tmp_path / "problem.json").write_text(problem.model_dump_json())
    (tmp_path / "two.yaml").write_text(TWO)
    return problem


def test_an_answer_is_told_and_written_and_its_plan_passes_the_audit(wattsplit, here, tmp_path):
    files = ("--out", "plan.json", "--scenarios-out", "answer.json")
    ended = wattsplit(
        "plan", "run", "problem.json", "--scenarios", "two.yaml", *EXACT, *files, "--knowledge", "--cvar-weight", "0.2"
    )
    assert ended.code == 0, ended.err
    for word in ("plain", "rally", "expected", "the worst 5 %", "0.8 × expected + 0.2 × CVaR", "machines on until", "is worth"):
        assert word in ended.out
    found = FuturesPlan.model_validate_json((tmp_path / "answer.json").read_text())
    assert [made.name for made in found.scenarios] == ["plain", "rally"]
    assert Plan.model_validate_json((tmp_path / "plan.json").read_text()) == found.plan
    assert wattsplit("plan", "audit", "problem.json", "plan.json").code == 0


def test_the_answer_as_json_is_the_record(wattsplit, here):
    ended = wattsplit("plan", "run", "problem.json", "--scenarios", "two.yaml", *EXACT, "--json")
    found = parse(FuturesPlan, ended.json)
    assert found.risk.weight_share == 0
    assert found.knowledge is None
    assert ended.err == ""


def test_every_fault_of_a_file_is_told_at_once(wattsplit, here, tmp_path):
    (tmp_path / "bad.yaml").write_text(
        TWO.replace("hashprice=+100%", "limit[pecos]=-50%").replace("energy_price", "energy_prize")
    )
    ended = wattsplit("plan", "run", "problem.json", "--scenarios", "bad.yaml")
    assert ended.code == 3
    assert "/scenarios/1/set" in ended.err
    (tmp_path / "odd.yaml").write_text(TWO.replace("700000", "600000"))
    ended = wattsplit("plan", "run", "problem.json", "--scenarios", "odd.yaml", "--json")
    assert ended.code == 3
    assert f"add up to {CERTAIN_PPM}, got 900000" in json.loads(ended.err)["errors"][0]["detail"]
    assert wattsplit("plan", "run", "problem.json", "--scenarios", "nowhere.yaml").code == 3


def test_without_time_the_rule_plan_is_written_and_says_so(wattsplit, here, tmp_path):
    ended = wattsplit("plan", "run", "problem.json", "--scenarios", "two.yaml", "--budget", "PT0.1S", "--out", "plan.json")
    assert ended.code == 5, ended.err
    assert "no plan for all scenarios" in " ".join(ended.err.split())
    assert Plan.model_validate_json((tmp_path / "plan.json").read_text()).basis == "rule"


@pytest.mark.parametrize("words", [("--knowledge",), ("--cvar-weight", "0.5"), ("--scenarios", "two.yaml", "--second-opinion")])
def test_options_that_do_not_go_together_are_refused(wattsplit, here, words):
    assert wattsplit("plan", "run", "problem.json", *words).code == 2


def test_the_schema_of_the_file_is_printed(wattsplit):
    schema = wattsplit("schema", "scenarios").json
    assert {"name", "recourse_after_s", "scenarios"} <= set(schema["required"])
    assert "set" in schema["$defs"]["WrittenFuture"]["properties"]


def test_the_template_fits_the_reference_fleet():
    from datetime import UTC, datetime

    from scenarios.feed import reference_problem

    base = reference_problem(datetime(2026, 11, 22, 8, tzinfo=UTC))
    written = parse(WrittenFutures, parse_yaml((ROOT / "scenarios" / "template_futures.yaml").read_bytes()))
    futures = futures_of(written, base)
    plain, spike, *_ = futures.problems(base)
    assert plain is base
    assert spike.prices_usd_per_mwh != base.prices_usd_per_mwh
    assert spike.demand_work_per_h == base.demand_work_per_h


def test_changes_come_after_series_that_are_given_in_full_and_only_what_differs_is_kept():
    base = world(Random(4), sites=2, steps=4)
    raw = {"name": "x", "probability_ppm": CERTAIN_PPM, "hashprice_usd_per_ph_day": [50.0] * 4, "set": ["hashprice@1h..=+50%"]}
    written = parse(WrittenFutures, {"name": "one", "recourse_after_s": 0, "scenarios": [raw]})
    (future,) = futures_of(written, base).scenarios
    assert type(future) is Future
    assert future.hashprice_usd_per_ph_day[-1] == 75.0
    assert future.prices_usd_per_mwh == {}
    wider = parse(WrittenFutures, written.model_dump(mode="json") | {"scenarios": [raw | {"set": ["connection=+5MW"]}]})
    with pytest.raises(BadInputError) as refused:
        futures_of(wider, base)
    assert "expected one of hashprice, energy_price, ambient, demand" in str(refused.value)
