"""Scenarios with probabilities as jobs: answered with a kept plan for each, refused with their place, cancelled in time."""

import time

import pytest
from faults.test_planning_faults import waiting_for
from seams.simulation import Simulation
from solver_processes import solver_children

from models.futures import CERTAIN_PPM
from optimizer.audit import audit
from service.ports import RefusedError

TWO = {
    "name": "two",
    "recourse_after_s": 7200,
    "scenarios": [
        {"name": "plain", "probability_ppm": 600_000},
        {"name": "dear", "probability_ppm": 400_000, "set": ["energy_price=+60", "hashprice=-30%"]},
    ],
}


@pytest.fixture
def planned(planned) -> Simulation:
    """The same with its jobs running."""
    planned.service.runner.start()
    return planned


def asked(made: Simulation, futures, **more):
    return made.service.runner.submit("futures", {"futures": futures, **more}, asked_by="planner", job_id="two")


def test_an_answer_names_a_kept_plan_for_each_scenario(planned):
    asked(planned, TWO, cvar_weight_share=0.25, cvar_level_share=0.6, knowledge=True)
    waiting_for(lambda: planned.store.jobs.get("two").finished, 60)
    job = planned.store.jobs.get("two")
    assert job.state == "done", job.problem
    told = job.result
    assert told["objective_usd"] == pytest.approx(0.75 * told["expected_usd"] + 0.25 * told["cvar_usd"])
    assert told["knowledge"]["perfect_usd"] >= 0
    assert [s["name"] for s in told["scenarios"]] == ["plain", "dear"]
    profits = []
    for plan_id in (told["plan_id"], *(s["plan_id"] for s in told["scenarios"])):
        plan = planned.store.plans.get(plan_id)
        assert audit(planned.store.plans.problem(plan.problem_digest), plan).passed
        profits.append(plan.profit_usd)
    assert profits[1:] == pytest.approx([s["profit_usd"] for s in told["scenarios"]])
    assert sum(s["probability_ppm"] for s in told["scenarios"]) == CERTAIN_PPM


def test_a_what_if_does_not_take_a_plan_for_many_futures_as_its_base(planned):
    asked(planned, TWO)
    waiting_for(lambda: planned.store.jobs.get("two").finished, 60)
    hedged = planned.store.plans.get(planned.store.jobs.get("two").result["plan_id"])
    assert hedged.proof.asked_gap is None
    payload = {"scenario_id": "cheap", "name": "cheap", "set": ["hashprice=-20%"]}
    planned.service.runner.submit("scenario", payload, asked_by="planner", job_id="cheap")
    waiting_for(lambda: planned.store.jobs.get("cheap").finished, 60)
    assert planned.store.jobs.get("cheap").result["base_plan_id"] != hedged.plan_id


def test_scenarios_that_do_not_fit_are_refused_with_their_place(planned):
    odd = TWO | {"scenarios": [TWO["scenarios"][0], TWO["scenarios"][1] | {"set": ["limit[pecos]=-50%"]}]}
    for futures, pointer in ((odd, "/futures/scenarios/1/set/0"), (TWO | {"recourse_after_s": -1}, "/futures/recourse_after_s")):
        with pytest.raises(RefusedError) as refused:
            asked(planned, futures)
        assert [f.pointer for f in refused.value.faults] == [pointer]
    assert planned.store.jobs.get("two") is None


def test_a_cancelled_job_ends_within_two_seconds(planned):
    asked(planned, TWO, asked_gap=0.0)
    waiting_for(lambda: planned.store.jobs.get("two").state in ("running", "done"))
    began = time.monotonic()
    planned.service.runner.cancel("two", asked_by="planner")
    waiting_for(lambda: planned.store.jobs.get("two").finished and solver_children() == [], 2.0)
    assert time.monotonic() - began <= 2.0
