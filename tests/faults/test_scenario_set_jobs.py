"""Many what-ifs as one job: each against the same base, one without a plan beside the others, cancelled in time."""

import json
import time

import pytest
from faults.test_planning_faults import waiting_for
from seams.simulation import Simulation
from solver_processes import solver_children

from scenarios.scenario_sets import SetComparison
from service.ports import RefusedError

THREE = [
    {"name": "cheap", "set": ["hashprice=-20%", "energy_price[hub]=+30"]},
    {"name": "dear", "set": ["energy_price[hub]=+30"]},
    {"name": "cut", "set": ["limit[pecos]=0MW", "hashprice=+1%"]},
]


@pytest.fixture
def planned(planned) -> Simulation:
    """The same with its jobs running."""
    planned.service.runner.start()
    return planned


def asked(made: Simulation, scenarios=THREE, **more):
    payload = {"name": "three", "scenarios": scenarios, **more}
    return made.service.runner.submit("scenario_set", payload, asked_by="planner", job_id="three")


def test_all_are_compared_with_one_base_and_their_changes_add_up(planned):
    asked(planned, attribute=True)
    waiting_for(lambda: planned.store.jobs.get("three").finished, 120)
    job = planned.store.jobs.get("three")
    assert job.state == "done", job.problem
    found = SetComparison.model_validate_json(json.dumps(job.result))
    assert [row.name for row in found.rows] == ["cheap", "dear", "cut"]
    assert [row.ending for row in found.rows] == ["planned"] * 3
    for row in found.rows:
        assert row.profit_usd.before == pytest.approx(found.base_profit_usd)
        assert planned.store.plans.get(row.plan_id).audit.passed
        assert sum(added.difference_usd for added in row.attribution) == pytest.approx(
            row.profit_usd.difference if row.attribution else 0.0
        )
    assert [len(row.attribution) for row in found.rows] == [2, 0, 2]
    assert found.rows[0].profit_usd.difference < 0
    assert planned.store.publications.newest().plan_id not in {row.plan_id for row in found.rows}


def test_changes_that_do_not_fit_are_refused_with_their_place(planned):
    with pytest.raises(RefusedError) as refused:
        asked(planned, [*THREE[:1], {"name": "odd", "set": ["hashprice=-1%", "energy_price[nowhere]=+1"]}])
    assert [fault.pointer for fault in refused.value.faults] == ["/scenarios/1/set/1"]
    assert planned.store.jobs.get("three") is None


def test_a_cancelled_set_ends_within_two_seconds(planned):
    asked(planned, asked_gap=0.0001)
    waiting_for(lambda: planned.store.jobs.get("three").state == "running")
    began = time.monotonic()
    planned.service.runner.cancel("three", asked_by="planner")
    waiting_for(lambda: planned.store.jobs.get("three").finished and solver_children() == [], 2.0)
    assert time.monotonic() - began <= 2.0
    assert planned.store.jobs.get("three").result is None
