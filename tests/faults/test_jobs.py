"""Every job ends, a cancelled one within two seconds and without a process, and none of them delays the hourly plan."""

import os
import sys
import threading
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from faults.test_planning_faults import HOSTILE, MIN, PREAMBLE, waiting_for
from seams.fleets import NOON
from seams.simulation import Simulation
from solver_processes import solver_children
from structlog.testing import capture_logs

from service.app import create_app
from service.engine import Answer
from service.jobs import LEASE_S, WAIT_S, Kind
from service.optimiser import real_engine
from service.ports import RefusedError
from service.store import open_store

SLEEPS = (sys.executable, "-c", PREAMBLE + HOSTILE["sleeps for ever"])


def run_with(made: Simulation, engine) -> None:
    """Give jobs another optimiser, and start them."""
    from service.job_kinds import scenario_kind

    kinds = dict(made.service.runner._kinds)
    kinds["scenario"] = scenario_kind(made.store, engine, made.service.planner.choices, made.clock)
    made.service.runner._kinds = kinds
    made.service.runner.start()


def scenario(made: Simulation, name: str, *changes: str, **more):
    payload = {"scenario_id": name, "name": name, "set": list(changes), **more}
    job = made.service.runner.submit("scenario", payload, asked_by="planner", job_id=name)
    made.store.scenarios.add(name, name, name, payload, by="planner", at=made.clock())
    return job


def state(made: Simulation, job_id: str) -> str:
    return made.store.jobs.get(job_id).state


def test_a_what_if_is_answered_against_the_base_at_the_same_gap(planned):
    run_with(planned, real_engine())
    scenario(planned, "cheap", "hashprice=-20%")
    scenario(planned, "dear", "energy_price[hub]=+30")
    waiting_for(lambda: state(planned, "dear") == "done", 60)
    answer, second = (planned.store.scenarios.get(name).result for name in ("cheap", "dear"))
    difference = answer["comparison"]["profit_by_term_usd"]["hashing_revenue"]
    assert difference["difference"] < 0
    assert answer["comparison"]["plus_minus_usd"] is not None
    assert second["base_plan_id"] == answer["base_plan_id"], "the base is planned once"
    assert planned.store.jobs.get("cheap").result == answer
    plan = planned.store.plans.get(answer["plan_id"])
    assert plan.audit.passed
    assert "what-if" in plan.labels
    assert planned.store.plans.newest(purpose="fleet").plan_id != plan.plan_id
    assert planned.store.publications.newest().plan_id not in (answer["plan_id"], answer["base_plan_id"])


def test_an_answer_is_kept_though_the_store_cannot_be_written_when_it_comes(planned, monkeypatch):
    monkeypatch.setattr("service.jobs.POLL_S", 0.2)
    file = Path(planned.service.services.settings.store_url.removeprefix("sqlite:///"))
    header = file.read_bytes()[:100]

    def overwrite(with_: bytes) -> None:
        with file.open("r+b") as stream:
            stream.write(with_)

    def work(_handle) -> dict[str, int]:
        overwrite(bytes(100))
        threading.Timer(1.0, overwrite, (header,)).start()
        return {"answer": 42}

    runner = planned.service.runner
    runner._kinds = {**runner._kinds, "scenario": Kind(check=lambda _: None, work=work)}
    runner.submit("scenario", {}, asked_by="planner", job_id="hard-won")
    runner.start()
    waiting_for(lambda: file.read_bytes()[:16] == bytes(16))
    waiting_for(lambda: file.read_bytes()[:16] != bytes(16))
    waiting_for(lambda: state(planned, "hard-won") == "done", 5.0)
    assert planned.store.jobs.get("hard-won").result == {"answer": 42}


def test_an_answer_is_kept_though_the_lease_of_its_job_could_not_be_prolonged(planned, monkeypatch):
    """As where another process held the store for longer than a lease; a job of a worker that is gone is ended still."""
    monkeypatch.setattr("service.jobs.BEAT_S", 3600.0)
    begun, thought_over = threading.Event(), threading.Event()

    def work(_handle) -> dict[str, int]:
        begun.set()
        assert thought_over.wait(30)
        return {"answer": 42}

    runner, jobs = planned.service.runner, planned.store.jobs
    runner._kinds = {**runner._kinds, "scenario": Kind(check=lambda _: None, work=work)}
    runner.submit("scenario", {}, asked_by="planner", job_id="hard-won")
    runner.start()
    assert begun.wait(10)
    with planned.store.transaction():
        jobs.add("orphan", "backtest", {}, by="planner", at=planned.clock())
        jobs.claim("dead", at=planned.clock(), lease_s=LEASE_S, kinds=("backtest",))
    planned.clock.at += timedelta(seconds=2 * LEASE_S)
    runner._sweep()
    assert (state(planned, "hard-won"), state(planned, "orphan")) == ("running", "failed")
    thought_over.set()
    waiting_for(lambda: state(planned, "hard-won") != "running", 10)
    assert jobs.get("hard-won").result == {"answer": 42}


def test_a_what_if_that_cannot_be_is_refused_with_its_place(planned):
    with pytest.raises(RefusedError) as refused:
        scenario(planned, "typo", "hashprice=-20%", "energy_price[nowhere]=+1")
    assert [f.pointer for f in refused.value.faults] == ["/set/1"]
    assert planned.store.jobs.get("typo") is None


def test_a_cancelled_job_ends_within_two_seconds_and_leaves_no_process(planned):
    run_with(planned, real_engine(SLEEPS))
    scenario(planned, "long", "hashprice=-20%", budget_s=60)
    scenario(planned, "behind", "hashprice=-10%", budget_s=60)
    waiting_for(lambda: solver_children() != [])
    began = time.monotonic()
    planned.service.runner.cancel("behind", asked_by="planner")
    planned.service.runner.cancel("long", asked_by="planner")
    waiting_for(lambda: state(planned, "long") == "cancelled" and solver_children() == [], 2.0)
    assert time.monotonic() - began <= 2.0
    assert state(planned, "behind") == "cancelled"
    assert planned.store.scenarios.get("long").result is None
    assert planned.service.runner.cancel("long", asked_by="planner").state == "cancelled"


def test_a_result_that_comes_after_the_cancel_is_thrown_away(planned):
    real, seen = real_engine(), threading.Event()

    def deaf(problem, ask, **how) -> Answer:
        answer = real.optimise(problem, ask, **{**how, "cancelled": lambda: False})
        seen.set()
        return answer

    run_with(planned, replace(real, optimise=deaf))
    scenario(planned, "late", "hashprice=-20%")
    waiting_for(lambda: state(planned, "late") == "running")
    planned.service.runner.cancel("late", asked_by="planner")
    waiting_for(lambda: state(planned, "late") == "cancelled", 30)
    assert seen.wait(30)
    assert planned.store.scenarios.get("late").result is None
    assert planned.store.jobs.get("late").result is None


@pytest.mark.parametrize("fault", ["dies", "answers halves"])
def test_a_job_whose_solver_fails_has_failed_and_says_why(planned, fault):
    run_with(planned, real_engine((sys.executable, "-c", PREAMBLE + HOSTILE[fault])))
    scenario(planned, "poor", "hashprice=-20%")
    waiting_for(lambda: state(planned, "poor") == "failed", 30)
    problem = planned.store.jobs.get("poor").problem
    assert problem["code"] == "failed"
    assert "base: " in problem["detail"]


def test_a_contradiction_ends_infeasible_with_its_diagnosis(planned):
    found = ({"kind": "offered", "site": "pecos", "words": "pecos: needs 2 MW, limit 1 MW"},)
    run_with(planned, replace(real_engine(), optimise=lambda *a, **k: Answer("infeasible", why="it is", diagnosis=found)))
    scenario(planned, "narrow", "hashprice=-20%")
    waiting_for(lambda: state(planned, "narrow") == "infeasible", 30)
    job = planned.store.jobs.get("narrow")
    assert job.result["diagnosis"][0]["words"] == "pecos: needs 2 MW, limit 1 MW"
    assert "contradicts itself" in job.problem["detail"]


def test_a_strict_what_if_is_asked_strictly_and_its_base_is_not(planned):
    asked = []

    def noting(problem, ask, **more):
        asked.append(ask.strict)
        return real_engine().optimise(problem, ask, **more)

    run_with(planned, replace(real_engine(), optimise=noting))
    scenario(planned, "strict", "hashprice=-20%", strict=True)
    waiting_for(lambda: state(planned, "strict") == "done", 60)
    assert asked == [False, True]


def test_a_gap_of_zero_is_asked_for_like_any_other(planned):
    run_with(planned, real_engine())
    scenario(planned, "exact", "hashprice=-20%", asked_gap=0.0)
    waiting_for(lambda: state(planned, "exact") == "done", 60)
    result = planned.store.jobs.get("exact").result
    plans = [planned.store.plans.get(result[name]) for name in ("base_plan_id", "plan_id")]
    assert [plan.proof.asked_gap for plan in plans] == [0.0, 0.0]


def test_a_job_past_its_time_is_ended_by_the_sweeper(planned):
    run_with(planned, real_engine(SLEEPS))
    scenario(planned, "endless", "hashprice=-20%", budget_s=20)
    waiting_for(lambda: solver_children() != [])
    planned.clock.at += timedelta(seconds=4 * 20 + WAIT_S + 1)
    waiting_for(lambda: state(planned, "endless") == "failed", 6)
    assert planned.store.jobs.get("endless").problem["code"] == "deadline"
    waiting_for(lambda: solver_children() == [], 2)


def test_progress_can_be_watched(planned):
    real = real_engine()

    def telling(problem, ask, *, progress, cancelled, **how) -> Answer:
        progress({"seconds": 1.0, "objective_usd": 5.0, "bound_usd": 6.0, "gap_percent": 20.0})
        waiting_for(cancelled, 30)
        return Answer("cancelled")

    run_with(planned, replace(real, optimise=telling))
    scenario(planned, "watched", "hashprice=-20%")
    waiting_for(lambda: planned.store.jobs.get("watched").progress.get("bound_usd") == 6.0, 8)
    assert planned.store.jobs.get("watched").progress["phase"] == "base"
    planned.service.runner.cancel("watched", asked_by="planner")
    waiting_for(lambda: state(planned, "watched") == "cancelled", 2)


def test_who_looks_at_a_running_job_is_told_what_its_hung_solver_was_at(planned):
    """Long before it is stored, and still when the solver says no more; a job that ended tells nothing newer than its row."""
    work = {"what": "prices", "round": 3, "sites_done": 7, "sites": 45}
    hangs = f"wire.write(sys.stdout.buffer, {{'kind': 'progress', 'bound': 6.0, 'doing': {work!r}}}); time.sleep(1000)"
    run_with(planned, real_engine((sys.executable, "-c", PREAMBLE + hangs)))
    scenario(planned, "hung", "hashprice=-20%")
    client = create_app(planned.service.services).test_client()

    def told():
        return client.get("/v1/jobs/hung").json["progress"]

    waiting_for(lambda: told().get("doing") == "prices", 20)
    assert {name: told()[name] for name in ("phase", "doing", "round", "sites_done", "sites", "bound_usd")} == {
        "phase": "base", "doing": "prices", "round": 3, "sites_done": 7, "sites": 45, "bound_usd": 6.0,
    }  # fmt: skip
    before = told()["seconds"]
    waiting_for(lambda: told()["seconds"] > before + 0.5, 5)
    planned.service.runner.cancel("hung", asked_by="planner")
    waiting_for(lambda: state(planned, "hung") == "cancelled", 2)
    assert client.get("/v1/jobs/hung").json["progress"] == planned.store.jobs.get("hung").progress


def test_how_a_plan_goes_and_ends_is_logged(planned):
    run_with(planned, real_engine())
    with capture_logs() as logs:
        scenario(planned, "logged", "hashprice=-20%")
        waiting_for(lambda: state(planned, "logged") == "done", 60)
    plan_id = planned.store.jobs.get("logged").result["plan_id"]
    lines = [line for line in logs if line.get("plan") == plan_id]
    steps = [line["doing"] for line in lines if (line["event"], line["log_level"]) == ("planning", "debug")]
    assert (steps[0], steps[-1]) == ("model", "audit")
    (end,) = [line for line in lines if line["log_level"] == "info"]
    proof = planned.store.plans.get(plan_id).proof
    assert (end["event"], end["ending"], end["objective_usd"]) == ("planned", "planned", proof.objective_usd)
    assert end["gap_percent"] == proof.gap_percent


def test_jobs_of_a_process_that_died_are_done_by_the_next_and_fail_if_lost_twice(planned, tmp_path):
    scenario(planned, "orphan", "hashprice=-20%")
    store = planned.store
    assert store.jobs.claim("dead-1", at=planned.clock(), lease_s=30).job_id == "orphan"
    runner = planned.service.runner
    runner._recover()
    assert (state(planned, "orphan"), store.jobs.get("orphan").progress) == ("queued", {"restarted": True})
    assert store.jobs.claim("dead-2", at=planned.clock(), lease_s=30).job_id == "orphan"
    runner._recover()
    assert state(planned, "orphan") == "failed"
    assert store.jobs.get("orphan").problem["code"] == "worker_lost"


def test_a_stopped_service_does_not_lose_what_it_was_doing(planned, tmp_path):
    run_with(planned, real_engine(SLEEPS))
    scenario(planned, "kept", "hashprice=-20%", budget_s=60)
    waiting_for(lambda: solver_children() != [])
    planned.service.runner.stop()
    assert solver_children() == []
    assert state(planned, "kept") == "running", "its lease is the next start's to clear"
    other = open_store(planned.service.services.settings.store_url)
    try:
        planned.service.runner._recover()
        assert other.jobs.get("kept").state == "queued"
    finally:
        other.close()


def test_what_ifs_in_the_queue_do_not_keep_the_hourly_plan_waiting(planned):
    run_with(planned, real_engine(SLEEPS))
    for number in range(20):
        scenario(planned, f"what-if-{number}", "hashprice=-20%", budget_s=900)
    waiting_for(lambda: solver_children() != [])
    planned.clock.at = NOON + 40 * MIN
    began = time.monotonic()
    assert planned.service.desk.turn()
    assert time.monotonic() - began < 10
    newest = planned.store.publications.newest()
    assert (newest.slot, newest.basis) == (NOON + 60 * MIN, "optimised")
    assert len(planned.store.jobs.page(state="running").items) == 1
    assert len(solver_children()) == 1
    assert solver_children()[0].nice() > os.nice(0), "what-ifs give way"


def test_an_operators_request_is_planned_and_published(planned):
    planned.service.runner.start()
    planned.service.desk.start()
    job = planned.service.runner.submit("plan", {"budget_s": 10, "asked_gap": 0.02}, asked_by="operator", job_id="now")
    assert job.state == "queued"
    waiting_for(lambda: state(planned, "now") == "done", 30)
    result = planned.store.jobs.get("now").result
    assert result["basis"] == "optimised"
    assert planned.store.publications.newest().plan_id == result["plan_id"]
    assert planned.store.publications.newest().occasion == "request-now"
    assert planned.store.plans.get(result["plan_id"]).proof.asked_gap == 0.02
