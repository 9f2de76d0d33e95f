"""Diagnosis: what is missing, where and how much; with just that there is a plan, and with any less there is none."""

import random
from dataclasses import replace

import numpy as np
import pytest
from worlds import START, world

from models.state import GroupState, SiteState, State
from optimizer.compiled import Compiled
from optimizer.diagnose import NOTHING, Conflict, diagnose, elastic
from optimizer.formulation import build
from optimizer.worker import GIB, solve

HOW = {"deadline_s": 30.0, "memory_bytes": GIB}


def contradictions() -> list[Compiled]:
    """Models without a solution: states that demand more than ramps and rest let them, with no recovery to help."""
    found = []
    for seed in range(400):
        problem = world(random.Random(seed), sites=2, steps=4).model_copy(update={"outages": (), "pins": ()})
        sites = problem.fleet.sites
        if any(p.load_s for s in sites for p in s.gpu_pools) or any(g.warm_up_s for s in sites for g in s.asic_groups):
            continue  # physics, not a rule: what loads or warms up cannot be off
        compiled = build(problem)
        if solve(compiled, gap=1e-3, deadline_s=20.0).status == "infeasible":
            found.append(compiled)
        if len(found) == 8:
            break
    return found


@pytest.fixture(scope="module")
def impossible() -> list[Compiled]:
    return contradictions()


def relaxed(compiled: Compiled, conflicts: list[Conflict]) -> Compiled:
    """Give way by just what a diagnosis offers."""
    lower, upper = compiled.row_lower.copy(), compiled.row_upper.copy()
    soft, slacks = elastic(compiled, limits_too=False)
    found = solve(soft, gap=1e-9, deadline_s=20.0)
    assert found.x is not None
    given = found.x[len(compiled.cost) :]
    needed = [(slack, by) for slack, by in zip(slacks, given.tolist(), strict=True) if by > NOTHING]
    assert len(needed) >= len(conflicts)
    for slack, by in needed[: len(conflicts)]:
        (lower if slack.sign > 0 else upper)[slack.row] -= slack.sign * by * (1 + 1e-9)
    return replace(compiled, row_lower=lower, row_upper=upper)


def test_it_names_site_step_rule_and_shortfall_and_they_add_up(impossible: list[Compiled]):
    assert len(impossible) >= 3
    for compiled in impossible:
        finding = diagnose(compiled, **HOW)
        assert finding.verdict == "conflict"
        conflicts = (*finding.diagnosis.offered, *finding.diagnosis.blocking)
        assert conflicts
        for c in conflicts:
            assert c.short_by == pytest.approx(abs(c.needed - c.present))
            assert c.short_by > 0
            assert c.site in compiled.axes["SITES"]
            assert c.words.startswith(c.thing)
            assert f"step {c.step}" in c.words
            assert c.rule != "limit" or c in finding.diagnosis.blocking


def test_with_all_of_it_there_is_a_plan_and_without_any_one_of_it_there_is_none(impossible: list[Compiled]):
    proven = 0
    for compiled in impossible:
        finding = diagnose(compiled, **HOW)
        offered = list(finding.diagnosis.offered)
        if finding.diagnosis.blocking or not offered:
            continue
        assert solve(relaxed(compiled, offered), deadline_s=20.0).status in ("optimal", "feasible")
        assert solve(relaxed(compiled, offered[:-1]), deadline_s=20.0).status == "infeasible"
        proven += 1
    assert proven >= 2


def test_a_grid_limit_is_shown_as_blocking_and_never_offered():
    """A limit below what cannot be switched off: nothing that a planner may change helps."""
    problem = world(random.Random(1), sites=1, steps=3)
    site = problem.fleet.sites[0]
    loaded = site.model_copy(update={"base_load_w": 1_000})
    problem = problem.model_copy(
        update={"fleet": problem.fleet.model_copy(update={"sites": (loaded,)}), "limit_w": {}, "orders": ()}
    )
    problem = problem.model_copy(update={"state": _idle(problem)})
    compiled = build(problem)
    col_upper = compiled.col_upper.copy()
    col_upper[compiled.columns["draw"][0, 1]] = 0.4
    finding = diagnose(replace(compiled, col_upper=col_upper), **HOW)
    assert finding.verdict == "conflict"
    assert finding.diagnosis.offered == ()
    (blocking,) = finding.diagnosis.blocking
    assert (blocking.rule, blocking.step, blocking.unit, blocking.present) == ("limit", 1, "kW", 0.4)
    assert blocking.short_by > 0


def _idle(problem):
    site = problem.fleet.sites[0]
    now = problem.state.sites[site.name]
    groups = {name: GroupState() for name in now.groups}
    pools = {name: pool.model_copy(update={"started": ()}) for name, pool in now.pools.items()}
    state = SiteState(draw_w=1_000, groups=groups, pools=pools, as_of=START)
    return State(at=START, sites={site.name: state})


def test_a_problem_with_a_plan_is_no_conflict():
    for seed in range(200):
        compiled = build(world(random.Random(seed), sites=1, steps=3))
        answer = solve(compiled, deadline_s=20.0)
        if answer.status == "optimal":
            finding = diagnose(compiled, **HOW)
            assert finding.verdict == "feasible"
            assert finding.x is not None
            assert np.isfinite(finding.x).all()
            return
    pytest.fail("no world has a plan")


def test_without_time_it_claims_nothing():
    compiled = build(world(random.Random(5), sites=3, steps=6))
    assert diagnose(compiled, deadline_s=0.02, memory_bytes=GIB).verdict == "unknown"
