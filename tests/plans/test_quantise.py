"""Whole numbers out of a solver's columns: exact limits, no more than was asked, nothing before it came."""

import contextlib
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from worlds import worlds

from models.problem import Problem
from optimizer import worker
from optimizer.decisions import Ledger, lost_node_s, not_yet_due, served_per_h, stock
from optimizer.formulation import build
from optimizer.quantise import QuantiseError, quantised
from optimizer.recovery import recover
from optimizer.sets import world

WATT_MW = 1000
NOISE = 1e-7


def solved(problem: Problem):
    release = recover(problem).release
    compiled = build(problem, release=release)
    return world(problem, release=release), compiled, worker.solve(compiled, gap=1e-4, deadline_s=30.0).x


def noisy(compiled, x: np.ndarray, seed: int) -> np.ndarray:
    """What a solver may return within its tolerance of these columns."""
    noise = np.random.default_rng(seed).uniform(-NOISE, NOISE, x.size)
    return x + noise


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(max_sites=3, max_steps=6), st.integers(0, 999))
def test_whole_numbers_hold_exactly_whatever_the_last_digits_of_the_columns(problem: Problem, seed: int):
    here, compiled, x = solved(problem)
    if x is None:
        return
    sites = [ledger.decisions for ledger in quantised(here, compiled, noisy(compiled, x, seed))]
    for number, made in enumerate(sites):
        ledger = Ledger(here, number, made)
        for t, limit_w in enumerate(ledger.limit_w):
            assert ledger.draw(t) <= limit_w * WATT_MW * ledger.unit
        assert_work_fits(here, number, made)
    for workload in problem.fleet.workloads:
        served = served_per_h(problem, workload.name, sites)
        if workload.kind == "batch":
            assert min(stock(problem, workload, served)) >= 0
        else:
            assert all(done <= asked for done, asked in zip(served, problem.demand_work_per_h[workload.name], strict=True))


def assert_work_fits(here, number, made) -> None:
    for p in here.pools:
        if p.site != number:
            continue
        on = made.nodes_on[p.pool.name]
        warm = made.nodes_warm.get(p.pool.name)
        lost_s = lost_node_s(here.problem, p.pool, p.state.started, on, warm, p.state.nodes_warm)
        rates = Ledger(here, number, made).rates[p.pool.name]
        for t, length_s in enumerate(here.problem.grid.step_s):
            busy = sum(series[t] / rates[w] for w, series in made.work_per_h[p.pool.name].items())
            assert all(series[t] >= 0 for series in made.work_per_h[p.pool.name].values())
            assert busy <= on[t] - lost_s[t] / length_s + 1e-12


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(max_sites=2, max_steps=4))
def test_rounding_costs_a_few_units_of_work_and_no_more(problem: Problem):
    here, compiled, x = solved(problem)
    if x is None:
        return
    sites = [ledger.decisions for ledger in quantised(here, compiled, x)]
    pools = max(1, len(here.pools))
    for w, workload in enumerate(problem.fleet.workloads):
        routed = np.zeros(problem.grid.steps)
        for h, hub in enumerate(here.hubs):
            if w in hub.work_per_node_h:
                family = compiled.column_families["routed"].labels[0]
                routed += x[compiled.columns["routed"][family.index(f"{workload.name} {here.hubs[h].label}")]]
        served = np.array(served_per_h(problem, workload.name, sites))
        assert np.abs(served - 1e6 * routed).max() <= 100 * pools


def test_columns_far_off_are_refused_and_not_mended():
    from worlds import world as random_world

    refused = 0
    for seed in range(20):
        problem = random_world(Random(seed), sites=1, steps=3)
        here = world(problem)
        compiled = build(problem)
        x = np.where(np.isfinite(compiled.col_upper), compiled.col_upper, 0.0)  # everything at once, far above the limit
        with contextlib.suppress(QuantiseError):
            ledger = Ledger(here, 0, quantised(here, compiled, x)[0].decisions)
            assert all(ledger.draw(t) <= w * WATT_MW * ledger.unit for t, w in enumerate(ledger.limit_w))
            continue
        refused += 1
    assert refused > 3


def test_work_is_due_its_deadline_after_it_comes():
    """Two hours of arrivals at 60 per hour with a deadline of 90 minutes: after one hour all may wait, after two 90."""
    from datetime import UTC, datetime

    from models.problem import Problem as AnyProblem
    from models.time_grid import hourly
    from models.workload import BatchWorkload

    start = datetime(2026, 1, 1, tzinfo=UTC)
    workload = BatchWorkload(
        name="batch",
        model="m",
        price_usd_per_mwork=1.0,
        routing_usd_per_mwork={"r": 0.0},
        deadline_s=5_400,
        late_usd_per_mwork_h=1.0,
    )
    problem = AnyProblem.model_construct(
        grid=hourly(start, 3), demand_work_per_h={"batch": (60, 60, 0)}, state=type("S", (), {"backlog": {}})()
    )
    assert [work / 3600 for work in not_yet_due(problem, workload)] == pytest.approx([60, 90, 30])
