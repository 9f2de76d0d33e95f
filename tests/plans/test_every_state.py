"""From every measured state there is an audited plan, and what the state breaks is named in it, no more and no less.

Hypothesis draws a fleet with every rule in it, and then its state as freely as a meter and a person can report it: any
blocks in any mode for any time, tripped machines whose draw is gone or whose blocks rest too soon, draws above the limit or
above an order that has just come, dark sites, starts of the day used up, batch work that is overdue, service that is owed,
peaks and energy of any month so far, and facts that are minutes or weeks old. The audit derives what must give way on its
own, and refuses a plan that names anything else.
"""

from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from worlds import PRICES, START, world

from models.asic import AsicGroup
from models.billing import MonthTotals, later_month, month_of
from models.gpu import GpuPool
from models.order import LimitOrder
from models.problem import Problem
from models.service_level import PeriodWork, ServiceLevel
from models.site import Site
from models.state import Cohort, GroupState, Lot, PoolState, SiteState, State
from optimizer.audit import audit
from optimizer.fallback import rule_plan
from optimizer.solve import optimise

IN_TEST, IN_LONG, SHARDS = 100, 2_000, 16
AGES_S = st.sampled_from((0, 1, 59, 240, 899, 2_700, 3_599, 3_600, 7_199, 7_200, 86_399, 90_000, 30 * 86_400))
CLOCKS_BEHIND_S = st.sampled_from((0, 0, 60, 899, 901, 3_600, 86_400, 9 * 86_400, 60 * 86_400))


@st.composite
def cohorts(draw: st.DrawFn, count: int, since: Any) -> tuple[Cohort, ...]:
    """So many machines in up to three lots of any age."""
    found = []
    while count:
        part = count if len(found) == 2 else draw(st.integers(1, count))
        found.append(Cohort(count=part, since=since - timedelta(seconds=draw(AGES_S))))
        count -= part
    return tuple(found)


@st.composite
def group_states(draw: st.DrawFn, group: AsicGroup, since: Any) -> GroupState:
    left, counts = group.blocks, {}
    for mode in draw(st.permutations(group.modes)):
        counts[mode.name] = draw(st.integers(0, left))
        left -= counts[mode.name]
    running = sum(counts.values())
    return GroupState(
        mode_blocks=counts,
        started=draw(cohorts(running, since)),
        stopped=draw(cohorts(draw(st.integers(0, group.blocks - running)), since)),
        starts_today=draw(st.sampled_from((0, 1, group.blocks, 3 * group.blocks))),
    )


@st.composite
def site_states(draw: st.DrawFn, site: Site, at: Any) -> SiteState:
    as_of = at - timedelta(seconds=draw(CLOCKS_BEHIND_S))
    groups = {g.name: draw(group_states(g, at)) for g in site.asic_groups}
    pools = {p.name: draw(pool_states(p, at)) for p in site.gpu_pools}
    on = ((p, pools[p.name]) for p in site.gpu_pools)
    drawn_w = site.base_load_w + sum(p.power_w(now.nodes_on, p.node_fixed_w, now.nodes_warm) for p, now in on)
    for group in site.asic_groups:
        now = groups[group.name]
        drawn_w += sum(n * group.block_power_w(m) for m in group.modes if (n := now.mode_blocks.get(m.name, 0)))
        drawn_w += (group.blocks - now.running) * group.block_sleep_w
    measured_w = draw(st.sampled_from((drawn_w, drawn_w, 0, drawn_w // 2, drawn_w + 7_777, 3 * drawn_w + 1)))
    present = month_of(site.zone, START)
    months = draw(st.lists(st.integers(0, 13), max_size=4, unique=True))
    totals = st.builds(
        MonthTotals,
        peak_w=st.sampled_from((0, site.connection_limit_w // 3, site.connection_limit_w, 5 * site.connection_limit_w)),
        energy_wh=st.sampled_from((0, 1, 100 * site.connection_limit_w, 900 * site.connection_limit_w)),
    )
    return SiteState(
        draw_w=measured_w,
        months={later_month(present, -n): draw(totals) for n in months},
        groups=groups,
        pools=pools,
        source=draw(st.sampled_from(("measured", "acknowledged", "commanded", "assumed"))),
        as_of=as_of,
    )


@st.composite
def pool_states(draw: st.DrawFn, pool: GpuPool, since: Any) -> PoolState:
    on = draw(st.integers(0, pool.nodes))
    warm = 0 if pool.warm_w is None else draw(st.integers(0, pool.nodes - on))
    return PoolState(started=draw(cohorts(on, since)), nodes_warm=warm)


@st.composite
def owed(draw: st.DrawFn, level: ServiceLevel) -> dict[str, PeriodWork]:
    """What of the present period was asked for and served: all, some, nothing, or unknown."""
    demanded = draw(st.sampled_from((0, 1, 3_000_001, 10**12)))
    served = draw(st.sampled_from((0, demanded // 2, demanded)))
    period = level.period_of(START)
    return draw(st.sampled_from(({}, {period: PeriodWork(demanded_work=demanded, served_work=served)})))


@st.composite
def orders(draw: st.DrawFn, number: int, site: Site, horizon_s: int) -> LimitOrder:
    """An order in force, one that came this second, or one to come; dark, tight or loose; with an end or open."""
    start_s = draw(st.sampled_from((-7_200, 0, 1, horizon_s // 2)))
    ends = draw(st.sampled_from((None, 600, 3_600, horizon_s)))
    share = draw(st.sampled_from((0.0, 0.02, 0.3, 0.7, 1.0)))
    return LimitOrder(
        name=f"new-{number}", site=site.name, start=START + timedelta(seconds=start_s),
        end=None if ends is None else START + timedelta(seconds=max(start_s + 1, ends)),
        limit_w=int(site.connection_limit_w * share),
    )  # fmt: skip


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """A random world of one or two sites, in any state."""
    sites, steps = draw(st.integers(1, 2)), draw(st.integers(1, 5))
    base = world(Random(draw(st.integers(0, 10**6))), sites=sites, steps=steps, prices=draw(st.sampled_from(PRICES)))
    at = START - timedelta(seconds=draw(st.sampled_from((0, 0, 1, 600, 50_000))))
    late = st.builds(
        Lot,
        work=st.sampled_from((0, 1, 5_000_000, 10**12)),
        due=st.sampled_from((-90_000, -1, 0, 1, 1_800, 10**6)).map(lambda s: START + timedelta(seconds=s)),
    )
    batch = [w.name for w in base.fleet.workloads if w.kind == "batch"]
    levels = {w.name: w.service_level for w in base.fleet.workloads if w.kind != "batch" and w.service_level}
    horizon_s = base.grid.offset_s[-1]
    dark = draw(st.sampled_from((False, False, False, True)))
    limits = {base.fleet.sites[0].name: tuple(draw(st.sampled_from((0, 10**9))) for _ in range(steps))} if dark else base.limit_w
    state = State(
        at=at,
        sites={s.name: draw(site_states(s, at)) for s in base.fleet.sites},
        backlog={name: tuple(draw(st.lists(late, max_size=3))) for name in batch},
        service={name: draw(owed(level)) for name, level in levels.items()},
    )
    new = tuple(draw(orders(n, s, horizon_s)) for n, s in enumerate(base.fleet.sites) if draw(st.booleans()))
    update = {"state": state, "limit_w": limits, "orders": new or base.orders}
    return Problem.model_validate(base.model_copy(update=update).model_dump())


def assert_planned(problem: Problem) -> None:
    """Rule plan and optimised plan pass the audit, which demands just the recoveries that the state forces, in words."""
    result = optimise(problem, gap=1e-3, budget_s=60, now=START)
    assert result.ending == "planned", (result.ending, result.why)
    assert result.plan is not None
    for plan in (result.plan, rule_plan(problem, START)):
        assert audit(problem, plan).broken == (), plan.basis
        assert all(r.words and r.shortfall >= 0 and 0 <= r.step < problem.grid.steps for r in plan.recoveries)
    assert all(any(r.words in said for said in result.plan.reasons) for r in result.plan.recoveries), result.plan.reasons


QUIET = settings(suppress_health_check=list(HealthCheck), report_multiple_bugs=False)


@settings(QUIET, max_examples=IN_TEST)
@given(problems())
def test_every_state_has_an_audited_plan_with_its_recovery_named(problem: Problem):
    assert_planned(problem)


@pytest.mark.long
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_two_thousand_states_have_an_audited_plan(shard: int):
    seed(shard)(settings(QUIET, max_examples=IN_LONG // SHARDS)(given(problems())(assert_planned)))()
