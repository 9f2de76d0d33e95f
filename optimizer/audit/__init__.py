"""The audit: a second, plain reading of raw inputs and plan, which shares nothing with the model.

Whole numbers throughout, fractions where a ratio must be exact, so limits hold with no tolerance at all. Each broken
rule is said in words: `pecos step 3 (2026-11-22T11:00Z): draws 31.2 MW, limit 30.0 MW`. Nothing is published without it.
"""

from models.plan import AuditReport, Plan
from models.problem import Problem
from optimizer.audit.forced import Forced, forced_by_state
from optimizer.audit.forgiven import check_named, check_ramp, check_runs
from optimizer.audit.ground import Findings, SiteFacts, site_facts
from optimizer.audit.hashprice import paid_usd_per_ph_day
from optimizer.audit.machines import check_machines
from optimizer.audit.meter import Draws, check_feeders, check_limit, check_reported, metered
from optimizer.audit.money import Cells, SiteReading, check_money, site_money, workload_money
from optimizer.audit.pinned import check_pins
from optimizer.audit.proof import check_proof
from optimizer.audit.reserves import check_reserves
from optimizer.audit.shape import check_identity, shape_faults
from optimizer.audit.step_guard import check_step_guard
from optimizer.audit.work import check_capacity, check_workload, pool_loads, served_per_h

__all__ = ["RULES_CHECKED", "audit"]

LONGEST_LINE = 1_900

RULES_CHECKED = (
    "identity",
    "completeness",
    "counts",
    "pins",
    "min_up",
    "min_down",
    "daily_starts",
    "heat",
    "loading",
    "warm_nodes",
    "admission",
    "capacity",
    "demand",
    "backlog",
    "limit",
    "feeders",
    "dark",
    "ramp",
    "step_guard",
    "reserves",
    "recovery",
    "reported_watts",
    "money",
    "proof",
)


def audit(problem: Problem, plan: Plan) -> AuditReport:
    """Return every rule that a plan breaks on a problem, in words.

    A plan of another shape than the problem's is told only what is missing: the other rules cannot be read from it.
    The report passes if and only if nothing is broken.
    """
    found = Findings(problem.grid)
    check_identity(problem, plan, found)
    found.broken.extend(shape_faults(problem, plan))
    if not found.broken:
        _check_rules(problem, plan, found)
    words = tuple(line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]} …" for line in found.broken)
    return AuditReport(passed=not words, broken=words, rules_checked=RULES_CHECKED)


def _check_rules(problem: Problem, plan: Plan, found: Findings) -> None:
    exact: Cells = {}
    hashprice = paid_usd_per_ph_day(problem)
    moved: list[tuple[SiteFacts, Draws, Forced]] = []
    for site in problem.fleet.sites:
        facts = site_facts(problem, site)
        if (reading := _check_site(problem, plan, facts, moved, found)) is not None:
            exact |= site_money(problem, reading, hashprice)
    if len(moved) == len(problem.fleet.sites):
        check_step_guard(problem, moved, found)
    for workload in problem.fleet.workloads:
        served = served_per_h(plan, workload, problem.grid.steps)
        stock = check_workload(problem, workload, plan.workloads[workload.name], served, found)
        exact |= workload_money(problem, plan, workload, served, stock)
    for place in sorted({r.site for r in plan.recoveries} - {s.name for s in problem.fleet.sites}):
        found.say_all("plan", f"names a recovery of {place}, which is no site")
    check_money(problem, plan.money, exact, found)
    check_proof(plan, found)


def _check_site(
    problem: Problem, plan: Plan, facts: SiteFacts, moved: list[tuple[SiteFacts, Draws, Forced]], found: Findings
) -> SiteReading | None:
    made, grid = plan.sites[facts.site.name], problem.grid
    lives = check_machines(facts, made, grid, found)
    if lives is None:
        return None
    loads = pool_loads(problem, facts, made, found)
    check_capacity(facts, lives, loads, grid.step_s, found)
    draws = metered(facts, made, lives, loads)
    check_limit(facts, draws, found)
    check_feeders(facts, draws, found)
    check_reported(facts, made, draws, found)
    forced = forced_by_state(facts, grid)
    check_named(facts, forced, plan.recoveries, found)
    check_runs(facts, lives, forced, found)
    check_pins(facts, made, lives, forced.pins, found)
    check_ramp(facts, draws, forced, grid.step_s, found)
    check_reserves(problem, facts, made, found)
    if problem.fleet.step_guard is not None:
        moved.append((facts, draws, forced))
    return SiteReading(facts, made, lives, draws, forced.missed)
