"""The front door: a problem in; an audited plan out, or why there is none.

recovery -> compile -> solver child -> whole numbers -> money -> audit. What the audit refuses is not a plan; what the
solver calls impossible is not believed until the elastic model confirms it. Time of day comes as an argument.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np

from models.plan import Plan
from models.problem import Problem
from models.time_grid import TimeGrid
from optimizer import fork_server
from optimizer.blocks import MANY_SITES
from optimizer.compiled import Compiled, Floats
from optimizer.diagnose import SiteCheck, check_sites, diagnose
from optimizer.elastic import stiff
from optimizer.fallback import rule_plan
from optimizer.formulation import build_world
from optimizer.making import Ending, Making, Result
from optimizer.outcome import Outcome
from optimizer.recovery import Recovered, recover
from optimizer.sets import Release
from optimizer.stability import UNMOVED, Steadiness, settled
from optimizer.starting import Program
from optimizer.telling import Telling
from optimizer.valuation import PlacementError, broken, place
from optimizer.warm import Warm, beginning, left_behind
from optimizer.worker import GIB, OptionValue, Stopwatch, Way
from optimizer.worker import solve as solve_compiled

__all__ = ["Result", "optimise"]

ASKED_SHARE = 0.99
"""The solver is asked for a little less than the gap, so that rounding does not spoil it."""
COUNTS = ("in_mode", "on", "nodes_on", "nodes_warm", "containers_on")
HURRY_S = 2.0
"""With less time than this no plan to begin with is made."""
CHECK_SHARE = 0.3
"""Of the time, to find contradictions at sites where the plan to begin with breaks rules."""
STEADY_SHARE = 0.2
"""Of the time, for the second pass where a plan stands."""
WARM_SHARE = 0.9
"""Of the time, the most for a plan that begins with the last one; if that comes to nothing, the rest is for one without."""
STOPPED = "cancelled: on request, while contradictions were looked for"
AFTERWARDS_S, AFTERWARDS_S_PER_CELL = 0.2, 3e-4
"""Time kept back for whole numbers, money and audit: at all, and by site and step, where a free core takes 0.1 to 0.16 ms."""


def optimise(
    problem: Problem,
    *,
    gap: float = 1e-3,
    budget_s: float,
    now: datetime,
    seed: int = 0,
    plan_id: str | None = None,
    start: Plan | None = None,
    warm: Warm | None = None,
    memory_bytes: int = 2 * GIB,
    options: Mapping[str, OptionValue] | None = None,
    progress: Callable[[Mapping[str, Any]], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    low_priority: bool = False,
    workers: int = 1,
    engine: str | None = None,
    strict: bool = False,
    standing: Plan | None = None,
    steadiness: Steadiness = UNMOVED,
    program: Program | None = None,
) -> Result:
    """Plan a problem within a time budget; the plan says in its proof how good it is.

    Arguments:
        problem: what to plan.
        gap: relative gap at which to stop.
        budget_s: wall time from now until this returns. [s]
        now: what the plan gives as the time it was made.
        seed: of the solver; equal problems and seeds give equal plans, unless time runs out.
        plan_id: name of the plan; absent: made of its decisions.
        start: a plan of the same problem to begin with where it is one model; by default the rule plan.
        warm: what the plan before left behind (`Result.warm`): the plan of the hour before, or of the same hours with other
            prices; whatever it says, the plan is proven and audited as any other.
        memory_bytes: cap on the solver child.
        options: HiGHS options beyond those of `optimizer.worker`.
        progress: called about every tick with what `telling.Telling` says: seconds, profit, bound, gap, and what is being done.
        cancelled: asked every tick.
        low_priority: let the solver give way to other processes.
        workers: processes that share out the sites of a fleet of many; the plan does not depend on it.
        engine: URL of a Dask cluster whose workers do that instead; where it cannot be used, the plan's `engine.way` says why.
        strict: diagnose what the state or pins contradict, instead of letting it give way as a recovery; what gives way
            only because nobody can be sure of the ramp still does.
        standing: the plan that is in force; the new one stays next to it, or gives way to it.
        steadiness: what may be given up for that, and what a new plan must gain.
        program: command of the solver child; tests run hostile ones.
    """
    watch = Stopwatch()
    fork_server.begin()  # which loads beside the model
    tell = Telling(progress, watch)
    tell.at("model")
    recovered = recover(problem)
    compiled = build_world(recovered.world)
    kept_back_s = AFTERWARDS_S + AFTERWARDS_S_PER_CELL * len(problem.fleet.sites) * problem.grid.steps

    def left_s() -> float:
        return max(0.05, budget_s - kept_back_s - watch.seconds)

    how: dict[str, Any] = {
        "memory_bytes": memory_bytes, "seed": seed, "cancelled": cancelled, "low_priority": low_priority, "program": program,
    }  # fmt: skip
    if strict and (end := _must_not_give_way(problem, recovered, left_s(), how)):
        return end
    solving: dict[str, Any] = how | {
        "gap": ASKED_SHARE * gap, "options": options, "progress": tell, "workers": workers, "engine": engine,
    }  # fmt: skip

    def solve_s() -> float:
        return left_s() if standing is None else (1 - STEADY_SHARE) * left_s()

    outcome = _resumed(compiled, warm, problem.grid, WARM_SHARE * solve_s(), solving)
    if outcome is None or (outcome.x is None and not outcome.why.startswith("cancelled")):
        outcome = None
        if start is None and len(problem.fleet.sites) >= MANY_SITES:  # site by site needs no plan to begin with
            outcome = solve_compiled(compiled, deadline_s=solve_s(), way="sites", **solving)
    if outcome is None or outcome.status == "open":
        known, doubtful = _begin_with(problem, compiled, start, now) if start or left_s() > HURRY_S else (None, [])
        if doubtful:
            check = check_sites(problem, recovered.release, doubtful, deadline_s=CHECK_SHARE * left_s(), **how)
            if check.diagnosis:
                return Result("infeasible", why=check.diagnosis.words, diagnosis=check.diagnosis)
            known = _mended(compiled, known, check)
        way: Way = "best" if outcome is None else "one model"
        outcome = solve_compiled(compiled, deadline_s=solve_s(), start=known, way=way, **solving)
    if outcome.status == "infeasible":
        tell.at("contradictions")
        confirmed = _confirmed(problem, compiled, recovered, outcome, left_s(), how)
        if isinstance(confirmed, Result):
            return confirmed
        outcome = confirmed
    if outcome.x is None or outcome.why.startswith("cancelled"):
        return _without_columns(outcome)
    tell.at("audit")
    made = Making(problem, compiled, recovered, gap, now, seed, watch)
    result = made.result(outcome, outcome.x, plan_id)
    if standing is not None:
        tell.at("steadiness")
        settling_s = min(left_s(), STEADY_SHARE * budget_s)
        result = settled(made, outcome, result, standing, steadiness, deadline_s=settling_s, how=how)
    return result if result.plan is None else replace(result, warm=left_behind(result.plan, compiled, outcome.prices))


def _resumed(
    compiled: Compiled, warm: Warm | None, grid: TimeGrid, deadline_s: float, solving: Mapping[str, Any]
) -> Outcome | None:
    """Return what comes of beginning with what the plan before left behind; nothing where that says nothing of this model."""
    known = None if warm is None else beginning(warm, compiled, grid)
    if known is None or known.says_nothing:
        return None
    return solve_compiled(compiled, deadline_s=deadline_s, warm=known, **solving)


def _begin_with(problem: Problem, compiled: Compiled, start: Plan | None, now: datetime) -> tuple[Floats | None, list[str]]:
    """Return the columns of a plan to begin with, and the sites where it breaks rules; by default that is the rule plan.

    A plan that keeps all rules proves that there is one; where it breaks some, it is not said that they can be kept.
    """
    if start is None or start.grid != problem.grid:
        start = rule_plan(problem, now, compiled)
    try:
        columns = place(problem, compiled, start)
    except PlacementError:
        return None, []  # no help, and no fault either
    residuals = broken(compiled, columns)
    if not residuals:
        return columns, []
    named = {residual.label.partition("[")[2].replace("/", " ").replace(",", " ").split(" ")[0] for residual in residuals}
    return columns, [site.name for site in problem.fleet.sites if site.name in named]


def _mended(compiled: Compiled, columns: Floats | None, check: SiteCheck) -> Floats | None:
    """Return the counts to begin with, those of mended sites in place of their own; the solver works out the rest."""
    if columns is None:
        return None
    hint = np.where(compiled.integer, columns, np.nan)
    for alone, x in check.sound:
        for name in COUNTS:
            position = {label: n for n, label in enumerate(compiled.column_families[name].labels[0])}
            part = alone.compiled
            for label, numbers in zip(part.column_families[name].labels[0], part.columns[name], strict=True):
                hint[compiled.columns[name][position[label]]] = np.round(x[numbers])
    return hint


def _must_not_give_way(problem: Problem, recovered: Recovered, deadline_s: float, how: Mapping[str, Any]) -> Result | None:
    """Return the end of a strict plan where what gives way contradicts itself, or that is not known; None where it does not."""
    named = list(dict.fromkeys(record.site for record in recovered.records))
    check = check_sites(problem, Release(), named, deadline_s=deadline_s, **how)
    if check.diagnosis:
        return Result("infeasible", why=check.diagnosis.words, diagnosis=check.diagnosis)
    if len(check.sound) == len(named):
        return None
    if how["cancelled"]():
        return Result("cancelled", why=STOPPED)
    return Result("no_plan", why="deadline: it could not be shown in the time whether what gives way must")


def _confirmed(
    problem: Problem, compiled: Compiled, recovered: Recovered, outcome: Outcome, deadline_s: float, how: Mapping[str, Any]
) -> Result | Outcome:
    """Return the end of a plan that the solver calls impossible; or, where it is not, a solution without a bound."""
    finding = diagnose(stiff(problem, recovered.release), deadline_s=deadline_s, **how)
    if finding.verdict == "conflict":
        return Result("infeasible", why=finding.diagnosis.words, diagnosis=finding.diagnosis, solver=outcome)
    if (x := finding.x) is not None:  # no bound of who was so wrong could be believed
        why = "solver: it called the problem infeasible, wrongly"
        return replace(outcome, status="feasible", why=why, x=x, objective_usd=compiled.objective(x), bound_usd=None)
    if how["cancelled"]():
        return Result("cancelled", why=STOPPED, solver=outcome)
    return Result("failed", why="unconfirmed: the solver calls it infeasible, which could not be shown", solver=outcome)


def _without_columns(outcome: Outcome) -> Result:
    if outcome.why.startswith("cancelled"):
        return Result("cancelled", why=outcome.why, solver=outcome)
    ending: Ending = "no_plan" if outcome.status == "no_primal" else "failed"
    why = "deadline: no plan was found in the time" if ending == "no_plan" else outcome.why
    return Result(ending, why=why, solver=outcome)
