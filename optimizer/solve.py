"""The front door: a problem in; an audited plan out, or why there is none.

recovery -> compile -> solver child -> whole numbers -> money -> audit. What the audit refuses is not a plan; what the
solver calls impossible is not believed until the elastic model confirms it. Time of day comes as an argument.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.metadata import version
from typing import Any, Literal

import numpy as np

from models.digest import digest
from models.plan import REVENUE_TERMS, MoneyLine, Plan, Proof
from models.problem import Problem
from optimizer.audit import audit
from optimizer.compiled import Compiled, Floats
from optimizer.decisions import Ledger, SiteDecisions, workload_plans
from optimizer.diagnose import Diagnosis, SiteCheck, check_sites, diagnose
from optimizer.fallback import rule_plan
from optimizer.formulation import build
from optimizer.quantise import QuantiseError, quantise
from optimizer.recovery import Recovered, recover
from optimizer.sets import world
from optimizer.valuation import PlacementError, broken, money_lines, place, place_sites
from optimizer.worker import GIB, OptionValue, Outcome, Progress, Stopwatch
from optimizer.worker import solve as solve_compiled

SMALLEST_SHARE_OF_GROSS = 0.01
ASKED_SHARE = 0.99
"""The solver is asked for a little less than the gap, so that rounding does not spoil it."""
S_PER_DAY = 86_400
COUNTS = ("in_mode", "on", "nodes_on")
CENT = 0.01
HURRY_S = 2.0
"""With less time than this no plan to begin with is made."""
CHECK_SHARE = 0.3
"""Of the time, to find contradictions at sites where the plan to begin with breaks rules."""
AFTERWARDS_S, AFTERWARDS_S_PER_CELL = 0.2, 5e-4
"""Time kept back for whole numbers, money and audit: at all, and for each site and step."""

Ending = Literal["planned", "infeasible", "no_plan", "refused", "cancelled", "failed"]


@dataclass(frozen=True)
class Result:
    """What became of a problem.

    planned: `plan` is there, audited. infeasible: confirmed, with a diagnosis. no_plan: time ran out first. refused: the
    audit found `broken` rules. cancelled: on request. failed: see `why`, whose first word names the kind.
    """

    ending: Ending
    plan: Plan | None = None
    why: str = ""
    diagnosis: Diagnosis | None = None
    broken: tuple[str, ...] = ()
    solver: Outcome | None = None


def optimise(
    problem: Problem,
    *,
    gap: float = 1e-3,
    budget_s: float,
    now: datetime,
    seed: int = 0,
    plan_id: str | None = None,
    start: Plan | None = None,
    memory_bytes: int = 2 * GIB,
    options: Mapping[str, OptionValue] | None = None,
    progress: Callable[[Mapping[str, Any]], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    low_priority: bool = False,
    program: tuple[str, ...] | None = None,
) -> Result:
    """Plan a problem within a time budget; the plan says in its proof how good it is.

    Arguments:
        problem: what to plan.
        gap: relative gap at which to stop.
        budget_s: wall time from now until this returns. [s]
        now: what the plan gives as the time it was made.
        seed: of the solver; equal problems and seeds give equal plans, unless time runs out.
        plan_id: name of the plan; absent: made of its decisions.
        start: a plan of the same problem to begin with; by default the rule plan.
        memory_bytes: cap on the solver child.
        options: HiGHS options beyond those of `optimizer.worker`.
        progress: called about every tick with `seconds`, `objective_usd`, `bound_usd` and `gap_percent`, None while unknown.
        cancelled: asked every tick.
        low_priority: let the solver give way to other processes.
        program: command of the solver child; tests run hostile ones.
    """
    watch = Stopwatch()
    recovered = recover(problem)
    compiled = build(problem, release=recovered.release)
    kept_back_s = AFTERWARDS_S + AFTERWARDS_S_PER_CELL * len(problem.fleet.sites) * problem.grid.steps

    def left_s() -> float:
        return max(0.05, budget_s - kept_back_s - watch.seconds)

    how: dict[str, Any] = {
        "memory_bytes": memory_bytes, "seed": seed, "cancelled": cancelled, "low_priority": low_priority, "program": program,
    }  # fmt: skip
    known, doubtful = _begin_with(problem, compiled, start, now) if start or left_s() > HURRY_S else (None, [])
    if doubtful:
        check = check_sites(problem, recovered.release, doubtful, deadline_s=CHECK_SHARE * left_s(), **how)
        if check.diagnosis:
            return Result("infeasible", why=check.diagnosis.words, diagnosis=check.diagnosis)
        known = _mended(compiled, known, check)
    outcome = solve_compiled(
        compiled, gap=ASKED_SHARE * gap, deadline_s=left_s(), options=options, progress=_telling(progress, watch),
        start=known, **how,
    )  # fmt: skip
    if outcome.status == "infeasible":
        finding = diagnose(compiled, deadline_s=left_s(), **how)
        if finding.verdict == "conflict":
            return Result("infeasible", why=finding.diagnosis.words, diagnosis=finding.diagnosis, solver=outcome)
        if finding.x is None:
            return Result("failed", why="unconfirmed: the solver calls it infeasible, which could not be shown", solver=outcome)
        outcome = _misjudged(compiled, outcome, finding.x)
    if outcome.x is None or outcome.why.startswith("cancelled"):
        return _without_columns(outcome)
    made = _Making(problem, compiled, recovered, gap, now, seed, watch)
    return made.result(outcome, outcome.x, plan_id)


def _telling(progress: Callable[[Mapping[str, Any]], None] | None, watch: Stopwatch) -> Callable[[Progress], None] | None:
    if progress is None:
        return None

    def tell(known: Progress) -> None:
        progress(
            {
                "seconds": watch.seconds,
                "objective_usd": known.objective_usd,
                "bound_usd": known.bound_usd,
                "gap_percent": None if known.gap is None else 100 * known.gap,
            }
        )

    return tell


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
            for label, numbers in zip(alone.column_families[name].labels[0], alone.columns[name], strict=True):
                hint[compiled.columns[name][position[label]]] = np.round(x[numbers])
    return hint


def _misjudged(compiled: Compiled, outcome: Outcome, x: Floats) -> Outcome:
    """What is left of a claim of infeasibility that was wrong: a solution, and no bound that could be believed."""
    why = "solver: it called the problem infeasible, wrongly"
    return replace(outcome, status="feasible", why=why, x=x, objective_usd=compiled.objective(x), bound_usd=None)


def _without_columns(outcome: Outcome) -> Result:
    if outcome.why.startswith("cancelled"):
        return Result("cancelled", why=outcome.why, solver=outcome)
    ending: Ending = "no_plan" if outcome.status == "no_primal" else "failed"
    why = "deadline: no plan was found in the time" if ending == "no_plan" else outcome.why
    return Result(ending, why=why, solver=outcome)


@dataclass(frozen=True)
class _Making:
    """Makes a plan of columns."""

    problem: Problem
    compiled: Compiled
    recovered: Recovered
    gap: float
    now: datetime
    seed: int
    watch: Stopwatch

    def result(self, outcome: Outcome, x: Floats, plan_id: str | None) -> Result:
        """Return the audited plan, or why the columns give none."""
        here = world(self.problem, release=self.recovered.release)
        try:
            decided = quantise(here, self.compiled, x)
        except QuantiseError as error:
            return Result("failed", why=f"quantise: {error}", solver=outcome)
        sites = {site.name: Ledger(here, n, made).plan() for n, (site, made) in enumerate(zip(here.sites, decided, strict=True))}
        money = money_lines(self.compiled, place_sites(self.problem, self.compiled, sites))
        objective = sum(sum(line.usd) for line in money)
        if (lost := (outcome.objective_usd or 0.0) - objective) > self._tolerance_usd(objective):
            return Result("failed", why=f"rounding: whole numbers lose {lost:.4f} USD of {objective:.2f}", solver=outcome)
        plan = self._plan(outcome, decided, sites, money)
        plan = plan.model_copy(update={"plan_id": plan_id or self._name(plan)})
        report = audit(self.problem, plan)
        if not report.passed:
            return Result("refused", why=f"audit: {report.broken[0]}", broken=report.broken, solver=outcome)
        return Result("planned", plan=plan.model_copy(update={"audit": report}), why=outcome.why, solver=outcome)

    def _tolerance_usd(self, objective: float) -> float:
        """A cent per site and day, or a millionth."""
        days = max(1.0, self.problem.grid.offset_s[-1] / S_PER_DAY)
        return max(1e-6 * abs(objective), CENT * len(self.problem.fleet.sites) * days)

    def _plan(self, outcome: Outcome, decided: list[SiteDecisions], sites: dict[str, Any], money: tuple[MoneyLine, ...]) -> Plan:
        return Plan(
            plan_id="unnamed",
            problem_name=self.problem.name,
            problem_digest=self.problem.digest,
            grid=self.problem.grid,
            basis="optimised",
            created_at=self.now,
            labels=self.problem.labels,
            reasons=tuple(self._reasons(outcome)),
            recoveries=self.recovered.records,
            sites=sites,
            workloads=workload_plans(self.problem, decided),
            money=money,
            proof=self._proof(outcome, money),
            engine={"solver": f"HiGHS {version('highspy')}", "wattsplit": _version()},
            seed=self.seed,
        )

    def _reasons(self, outcome: Outcome) -> list[str]:
        found = [f"recovery at {r.site}, step {r.step}: {r.words}" for r in self.recovered.records]
        return found if outcome.status == "optimal" else [*found, f"stopped before the asked gap: {outcome.why}"]

    def _proof(self, outcome: Outcome, money: tuple[MoneyLine, ...]) -> Proof:
        """Objective and gap of the whole numbers, not of the solver's columns."""
        objective = sum(sum(line.usd) for line in money)
        bound = None if outcome.bound_usd is None else max(outcome.bound_usd, objective)
        gross = sum(sum(line.usd) for line in money if line.term in REVENUE_TERMS)
        scale = max(abs(objective), SMALLEST_SHARE_OF_GROSS * gross)
        gap_usd = None if bound is None else bound - objective
        percent = None if gap_usd is None else 100 * gap_usd / scale if scale > 0 else 0.0
        return Proof(
            objective_usd=objective,
            bound_usd=bound,
            gap_usd=gap_usd,
            gap_percent=percent,
            status="optimal" if percent is not None and percent <= 100 * self.gap + 1e-6 else "feasible",
            asked_gap=self.gap,
            wall_s=self.watch.seconds,
            cpu_s=outcome.cpu_s,
        )

    def _name(self, plan: Plan) -> str:
        named = digest({"decisions": plan.decisions_digest, "basis": plan.basis})
        return f"plan-{named.removeprefix('sha256:')[:20]}"


def _version() -> str:
    try:
        return version("wattsplit")
    except ModuleNotFoundError:
        return "source"
