"""The front door: a problem in, an audited plan out with a true gap, or in words why there is none, always in time."""

import random
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime

import by_hand
import pytest
from worlds import world

import optimizer.solve
from models.plan import Plan
from models.problem import Problem
from optimizer.audit import audit
from optimizer.child import ROOT
from optimizer.formulation import build, build_world
from optimizer.sets import World
from optimizer.solve import Result, optimise
from scenarios.feed import reference_problem

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
BUDGET_S = 60.0


def plan(problem: Problem, **more) -> Result:
    return optimise(problem, now=NOW, **{"gap": 1e-6, "budget_s": BUDGET_S, **more})


def some_world(seed: int = 3) -> Problem:
    return world(random.Random(seed), sites=3, steps=6)


def child(body: str) -> tuple[str, ...]:
    """The real solver child with its `main` replaced by a few lines."""
    preamble = (
        f"import os, sys, time; sys.path.insert(0, {str(ROOT)!r})\n"
        "from optimizer import highs_frames, highs_models, highs_wire as wire\n"
    )
    return (sys.executable, "-c", preamble + body)


@pytest.mark.parametrize("first", range(0, 60, 10))
def test_random_worlds_get_an_audited_plan_with_a_true_gap(first: int):
    for seed in range(first, first + 10):
        problem = world(random.Random(seed), sites=1 + seed % 3, steps=1 + seed % 6)
        result = plan(problem)
        if result.ending == "infeasible":
            assert result.diagnosis is not None
            assert result.diagnosis.offered or result.diagnosis.blocking
            continue
        assert result.ending == "planned", (seed, result.why)
        assert result.plan is not None
        assert result.plan.audit is not None
        assert result.plan.audit.passed
        assert_true_proof(result.plan)
        assert Plan.model_validate_json(result.plan.model_dump_json()) == result.plan


def assert_true_proof(made: Plan) -> None:
    proof = made.proof
    assert proof.bound_usd is not None
    assert proof.objective_usd == pytest.approx(made.profit_usd, abs=1e-9)
    assert proof.bound_usd >= proof.objective_usd
    assert proof.gap_usd == proof.bound_usd - proof.objective_usd


def test_equal_problems_and_seeds_give_byte_identical_plans_ten_times_of_ten():
    problem = some_world()
    made = [plan(problem, seed=5).plan for _ in range(10)]
    times = {"wall_s": 0.0, "cpu_s": 0.0}
    texts = {p.model_copy(update={"proof": p.proof.model_copy(update=times)}).model_dump_json() for p in made if p is not None}
    assert all(p is not None for p in made)
    assert len(texts) == 1


def test_the_name_of_a_plan_is_made_of_its_decisions():
    one, same, other = plan(some_world(3)).plan, plan(some_world(3), seed=9).plan, plan(some_world(4)).plan
    assert one is not None
    assert same is not None
    assert other is not None
    assert (one.plan_id == same.plan_id) == (one.decisions_digest == same.decisions_digest)
    assert one.plan_id != other.plan_id
    assert plan(some_world(), plan_id="hourly-1").plan.plan_id == "hourly-1"


@pytest.mark.parametrize("budget_s", [0.2, 2.5, 8.0])
def test_a_tiny_budget_gives_the_incumbent_with_its_gap_or_says_that_there_is_none(budget_s: float):
    """The reference fleet needs longer than this for a small gap, so whatever comes was cut off."""
    problem = reference_problem(NOW, hours=24)
    begun = time.monotonic()
    result = plan(problem, gap=0.0, budget_s=budget_s)
    around_s = 3.0  # arrays before and whole numbers after, on a loaded machine
    assert time.monotonic() - begun <= budget_s + 0.5 + around_s
    assert result.solver is not None
    assert result.solver.wall_s <= budget_s + 0.5
    if result.plan is None:
        assert (result.ending, result.why.split(":")[0]) == ("no_plan", "deadline")
    else:
        assert_true_proof(result.plan) if result.plan.proof.bound_usd is not None else None
        assert result.plan.proof.status == "feasible"
        assert audit(problem, result.plan).passed
        assert any("stopped before the asked gap" in reason for reason in result.plan.reasons)


def test_a_plan_to_begin_with_is_never_worse_in_the_end():
    problem = some_world()
    first = plan(problem, gap=0.5)
    again = plan(problem, gap=0.5, start=first.plan)
    assert first.plan is not None
    assert again.plan is not None
    assert again.plan.proof.objective_usd >= first.plan.proof.objective_usd - 1e-3


def test_progress_tells_what_is_known():
    told = []
    result = plan(some_world(), progress=told.append)
    assert result.ending == "planned"
    figures, work = ("seconds", "objective_usd", "bound_usd", "gap_percent"), ("doing", "round", "sites_done", "sites")
    assert all(set(known) == {*figures, *work} for known in told)
    assert [known["seconds"] for known in told] == sorted(known["seconds"] for known in told)
    assert (told[0]["doing"], told[-1]["doing"]) == ("model", "audit")


def test_progress_of_a_fleet_counts_its_sites_and_its_gap_falls():
    told = []
    problem = reference_problem(NOW, hours=12)
    result = plan(problem, gap=1e-3, progress=told.append)
    assert result.ending == "planned"
    counted = [known for known in told if known["sites"]]
    assert {known["doing"] for known in counted} >= {"whole numbers"}
    assert max(known["sites"] for known in counted) == len(problem.fleet.sites)
    assert all(known["round"] >= 1 and known["sites_done"] <= known["sites"] for known in counted)
    gaps = [known["gap_percent"] for known in told if known["gap_percent"] is not None]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] <= 0.1
    unwatched = plan(problem, gap=1e-3)
    assert unwatched.plan.decisions_digest == result.plan.decisions_digest, "watching changes nothing"


def test_a_cancelled_plan_is_no_plan():
    result = plan(reference_problem(NOW, hours=24), gap=0.0, cancelled=lambda: True)
    assert (result.ending, result.plan) == ("cancelled", None)


def test_a_plan_that_is_cancelled_while_contradictions_are_looked_for_has_not_failed():
    """This child says infeasible of the model, and works for ever on what shall confirm it."""
    lies = (
        "header, arrays = wire.read(sys.stdin.buffer)\n"
        f"if arrays['cost'].size != {build(some_world()).cost.size}: time.sleep(1000)\n"
        "wire.write(sys.stdout.buffer, {'kind': 'final', 'status': 'Infeasible'})"
    )
    told: list[str] = []
    result = plan(
        some_world(),
        program=child(lies),
        progress=lambda said: told.append(said["doing"]),
        cancelled=lambda: "contradictions" in told,
    )
    assert (result.ending, result.why.split(":")[0]) == ("cancelled", "cancelled")


FAULTS = {
    "sleeps for ever": ("time.sleep(1000)", "no_plan", "deadline"),
    "eats memory": ("held = bytearray(40 << 30)", "failed", "memory"),
    "crashes": ("os.abort()", "failed", "crashed"),
    "says nothing": ("", "failed", "silent"),
    "answers a wrong plan": (
        "header, arrays = wire.read(sys.stdin.buffer)\n"
        "wire.write(sys.stdout.buffer, {'kind': 'final', 'status': 'Optimal'}, {'x': arrays['cost'] * 0 + 1})",
        "failed",
        "wrong",
    ),
    "calls everything infeasible": (
        "wire.read(sys.stdin.buffer); wire.write(sys.stdout.buffer, {'kind': 'final', 'status': 'Infeasible'})",
        "failed",
        "unconfirmed",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_hostile_solver_gives_no_plan_and_a_named_reason_in_time(fault: str):
    body, ending, why = FAULTS[fault]
    begun = time.monotonic()
    result = plan(some_world(), budget_s=3.0, program=child(body))
    assert time.monotonic() - begun <= 3.5 + 1.0  # a rule plan to begin with, on a loaded machine
    assert (result.ending, result.why.split(":")[0].split()[0]) == (ending, why)
    assert result.plan is None


def test_a_wrong_claim_of_infeasibility_is_found_out():
    """This child says infeasible of every model but the elastic one, which it solves honestly."""
    lies = (
        "header, arrays = wire.read(sys.stdin.buffer)\n"
        f"if arrays['cost'].size == {build(some_world()).cost.size}:\n"
        "    wire.write(sys.stdout.buffer, {'kind': 'final', 'status': 'Infeasible'}); os._exit(0)\n"
        "highs = highs_models.loaded(header, arrays); highs.run()\n"
        "wire.write(sys.stdout.buffer, *highs_frames.final(highs, True))"
    )
    result = plan(some_world(), program=child(lies))
    assert result.ending == "planned"
    assert result.plan is not None
    assert (result.plan.proof.status, result.plan.proof.bound_usd) == ("feasible", None)
    assert audit(some_world(), result.plan).passed


def test_a_model_with_a_hole_is_caught_by_the_audit(monkeypatch: pytest.MonkeyPatch):
    """A formulation that forgot the minimum run would start and stop at will; its plans do not come out."""
    refused = 0
    for seed in range(60):
        problem = world(random.Random(seed), sites=2, steps=6, prices="mixed")
        with monkeypatch.context() as broken:
            broken.setattr(optimizer.solve, "build_world", forgetful_build)
            result = plan(problem)
        refused += result.ending == "refused"
        if refused == 3:
            return
        assert (result.ending == "refused") == bool(result.broken)
        if result.ending == "refused":
            assert result.plan is None
            assert any("min_up" in words or "min_down" in words for words in result.broken)
    pytest.fail(f"of 60 worlds only {refused} broke a minimum run")


def forgetful_build(here: World):
    whole = build_world(here)
    lower, upper = whole.row_lower.copy(), whole.row_upper.copy()
    for family in ("min_up", "min_down", "node_min_up"):
        lower[whole.rows[family].ravel()], upper[whole.rows[family].ravel()] = -1e9, 1e9
    return replace(whole, row_lower=lower, row_upper=upper)


def test_a_plan_that_earns_nothing_below_a_bound_of_something_is_not_optimal():
    """Neither profit nor revenue is there to measure the gap by: what could have been earned must not read as nothing."""
    idle = by_hand.problem(by_hand.site(asic_groups=(by_hand.group(),)))
    off = (
        "header, arrays = wire.read(sys.stdin.buffer)\n"
        "said = {'kind': 'final', 'status': 'TimeLimit', 'bound': 500.0}\n"
        "wire.write(sys.stdout.buffer, said, {'x': 0.0 * arrays['cost']})"
    )
    result = plan(idle, program=child(off))
    assert result.plan is not None
    proof = result.plan.proof
    assert (proof.objective_usd, proof.gap_usd, proof.gap_percent, proof.status) == (0.0, 500.0, 100.0, "feasible")
    assert not audit(idle, result.plan.model_copy(update={"proof": proof.model_copy(update={"gap_percent": 0.0})})).passed
    proven = plan(idle, program=child(off.replace("500.0", "0.0"))).plan
    assert proven is not None
    assert (proven.proof.gap_percent, proven.proof.status) == (0.0, "optimal")
