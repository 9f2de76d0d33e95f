"""The comparison of two plans adds up, knows how sure it is, and counts what changed."""

from datetime import UTC, datetime, timedelta

import pytest

from models.plan import GroupPlan, MoneyLine, Plan, PoolPlan, Proof, SitePlan
from models.reading import BadInputError
from models.time_grid import TimeGrid
from scenarios.compare import Comparison, compare

START = datetime(2026, 11, 22, 8, tzinfo=UTC)


def plan(name: str, *, eco=(2, 2), nodes=(1, 1), money=100.0, gap: float | None = 3.0, start=START, step_s=(3600, 1800)) -> Plan:
    steps = len(step_s)
    site = SitePlan(
        groups={"xp": GroupPlan(mode_blocks={"eco": eco, "normal": (0,) * steps})},
        pools={"h100": PoolPlan(nodes_on=nodes)},
        draw_w=(9_000_000,) * steps,
        hashing_w=tuple(2_000_000 * blocks for blocks in eco),
        inference_w=tuple(1_000_000 * n for n in nodes),
        limit_w=(10_000_000,) * steps,
    )
    lines = (
        MoneyLine(term="hashing_revenue", owner="pecos", usd=(money,) * steps),
        MoneyLine(term="energy_cost", owner="pecos", usd=(-40.0,) * steps),
        MoneyLine(term="inference_revenue", owner="chat", usd=(70.0,) * steps),
    )
    return Plan(
        plan_id=name,
        problem_name="reference",
        problem_digest="0",
        grid=TimeGrid(start=start, step_s=step_s),
        basis="optimised",
        created_at=start,
        labels=("replayed",),
        sites={"pecos": site},
        money=lines,
        proof=Proof(objective_usd=1.0, gap_usd=gap, status="feasible", wall_s=1.0),
    )


def test_money_adds_up_by_term_by_site_and_in_total():
    found = compare(plan("a"), plan("b", money=90.0))
    assert found.profit_usd.difference == pytest.approx(-20.0)
    assert {term: d.difference for term, d in found.profit_by_term_usd.items()} == pytest.approx(
        {"energy_cost": 0.0, "hashing_revenue": -20.0, "inference_revenue": 0.0}
    )
    assert found.sites["pecos"].profit_usd.after == pytest.approx(100.0)
    assert found.workload_profit_usd["chat"].before == pytest.approx(140.0)
    total = found.sites["pecos"].profit_usd.after + found.workload_profit_usd["chat"].after
    assert total == pytest.approx(found.profit_usd.after)


def test_energy_is_watts_times_the_length_of_each_step():
    found = compare(plan("a"), plan("b", eco=(2, 0), nodes=(1, 3)))
    energy = found.energy
    assert energy.hashing_mwh.before == pytest.approx(4.0 * 1.5)
    assert energy.hashing_mwh.difference == pytest.approx(-4.0 * 0.5)
    assert energy.serving_mwh.difference == pytest.approx(2.0 * 0.5)
    assert energy.base_mwh.after == pytest.approx(9.0 * 1.5 - energy.hashing_mwh.after - energy.serving_mwh.after)
    assert found.sites["pecos"].energy == energy


def test_the_uncertainty_is_the_sum_of_both_gaps():
    assert compare(plan("a", gap=3.0), plan("b", gap=4.5)).plus_minus_usd == pytest.approx(7.5)
    unproven = compare(plan("a"), plan("rule", gap=None))
    assert unproven.plus_minus_usd is None
    assert unproven.plus_minus_note == "no bound is proven for rule"


def test_changed_decisions_are_counted_by_machine_and_step():
    found = compare(plan("a"), plan("b", eco=(2, 1), nodes=(1, 2)))
    assert (found.decisions, found.decisions_changed) == (4, 2)
    assert found.sites["pecos"].decisions_changed == 2
    assert compare(plan("a"), plan("a")).decisions_changed == 0


def test_a_site_that_only_one_plan_has_counts_from_nothing():
    other = plan("b")
    found = compare(plan("a").model_copy(update={"sites": {}}), other)
    assert found.sites["pecos"].energy.hashing_mwh.before == 0.0
    assert found.decisions_changed == 4


def test_plans_an_hour_apart_are_compared_over_the_steps_that_both_have():
    hours = (3600, 3600)
    before, after = plan("a", step_s=hours), plan("b", step_s=hours, start=START + timedelta(hours=1), eco=(1, 1))
    found = compare(before, after)
    assert (found.steps, found.start, found.end) == (1, START + timedelta(hours=1), START + timedelta(hours=2))
    assert found.decisions_changed == 1
    assert found.plus_minus_usd is None
    assert "only a part" in found.plus_minus_note
    with pytest.raises(BadInputError, match="no step in common"):
        compare(before, plan("c", start=START + timedelta(hours=9)))


def test_a_comparison_survives_json():
    found = compare(plan("a"), plan("b", money=90.0))
    assert Comparison.model_validate_json(found.model_dump_json()) == found
