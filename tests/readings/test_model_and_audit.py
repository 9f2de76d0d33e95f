"""The formulation and the audit are two independent readings of one problem: they agree on any plan, good or bad.

Good plans come from the solver and are then disturbed: a block or node more or less in some step. For each of them the
model's rows hold if and only if the audit finds nothing broken, and money never differs.
"""

from copy import deepcopy
from datetime import UTC, datetime
from random import Random

import pytest
from scipy.optimize import Bounds, LinearConstraint, milp
from worlds import world as random_world

from models.plan import Plan, Proof
from optimizer.audit import audit
from optimizer.decisions import Ledger, workload_plans
from optimizer.formulation import build
from optimizer.quantise import QuantiseError, quantised
from optimizer.recovery import recover
from optimizer.sets import world
from optimizer.valuation import broken, money_lines, place_sites


def undisturbed(seed):
    """A random world that needs no recovery, its model, and whole decisions that are optimal in it; or None."""
    problem = random_world(Random(1000 + seed), sites=1 + seed % 2, steps=2 + seed % 4)
    if recover(problem).records:
        return None
    compiled = build(problem)
    rows = LinearConstraint(compiled.matrix, compiled.row_lower, compiled.row_upper)
    bounds = Bounds(compiled.col_lower, compiled.col_upper)
    found = milp(-compiled.cost, integrality=compiled.integer.astype(int), bounds=bounds, constraints=[rows])
    if found.x is None:
        return None
    try:
        return problem, compiled, [ledger.decisions for ledger in quantised(world(problem), compiled, found.x)]
    except QuantiseError:
        return None


def disturb(rng, problem, made):
    """Change the count of blocks or nodes in one step by one, where they stay within what is there."""
    made = deepcopy(made)
    machines = [
        (series, there)
        for site, decisions in zip(problem.fleet.sites, made, strict=True)
        for series, there in [
            *((s, g.blocks) for g in site.asic_groups for s in decisions.mode_blocks[g.name].values()),
            *((decisions.nodes_on[p.name], p.nodes) for p in site.gpu_pools),
            *((decisions.nodes_warm[p.name], p.nodes) for p in site.gpu_pools if p.warm_w is not None),
        ]
    ]
    for _ in range(rng.randint(1, 3) if machines else 0):
        series, there = rng.choice(machines)
        t = rng.randrange(len(series))
        series[t] = min(there, max(0, series[t] + rng.choice((-1, 1))))
    return made


def plan_of(problem, compiled, made):
    here = world(problem)
    sites = {
        site.name: Ledger(here, n, decisions).plan() for n, (site, decisions) in enumerate(zip(here.sites, made, strict=True))
    }
    x = place_sites(problem, compiled, sites)
    lines = money_lines(compiled, x)
    plan = Plan(
        plan_id="disturbed",
        problem_name=problem.name,
        problem_digest=problem.digest,
        grid=problem.grid,
        basis="rule",
        created_at=datetime(2026, 1, 5, tzinfo=UTC),
        labels=problem.labels,
        sites=sites,
        workloads=workload_plans(problem, made),
        money=lines,
        proof=Proof(objective_usd=sum(sum(line.usd) for line in lines), status="feasible", wall_s=0.0),
    )
    return x, plan


@pytest.mark.parametrize("chunk", range(6))
def test_the_model_and_the_audit_agree_on_good_and_disturbed_plans(chunk):
    kept, refused = 0, 0
    for seed in range(20 * chunk, 20 * chunk + 20):
        if (start := undisturbed(seed)) is None:
            continue
        problem, compiled, good = start
        rng = Random(seed)
        for turn in range(12):
            made = disturb(rng, problem, good) if turn else good
            x, plan = plan_of(problem, compiled, made)
            rows, said = broken(compiled, x, 1e-9), audit(problem, plan).broken
            assert bool(rows) == bool(said), (seed, turn, rows, said)
            assert turn or not said
            kept, refused = kept + (not said), refused + bool(said)
    assert min(kept, refused) >= 10  # both kinds were really seen
