"""Makes a plan of a model's columns: whole numbers, money, proof, audit. What the audit refuses is not a plan."""

from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any, Literal

from models.digest import digest
from models.gap import gap_percent
from models.plan import REVENUE_TERMS, MoneyLine, Plan, Proof
from models.problem import Problem
from optimizer.audit import audit
from optimizer.compiled import Compiled, Floats
from optimizer.decisions import SiteDecisions, workload_plans
from optimizer.diagnose import Diagnosis
from optimizer.engine_url import not_shared
from optimizer.outcome import Outcome
from optimizer.quantise import QuantiseError, quantised
from optimizer.recovery import Recovered
from optimizer.valuation import money_lines, place_sites
from optimizer.warm import Warm
from optimizer.worker import Stopwatch

S_PER_DAY = 86_400
CENT = 0.01

Ending = Literal["planned", "infeasible", "no_plan", "refused", "cancelled", "failed"]


@dataclass(frozen=True)
class Result:
    """What became of a problem.

    planned: `plan` is there, audited. infeasible: confirmed, with a diagnosis. no_plan: time ran out first. refused: the
    audit found `broken` rules. cancelled: on request. failed: see `why`, whose first word names the kind.
    warm: what the plan leaves behind for the next one.
    """

    ending: Ending
    plan: Plan | None = None
    why: str = ""
    diagnosis: Diagnosis | None = None
    broken: tuple[str, ...] = ()
    solver: Outcome | None = None
    warm: Warm | None = None


@dataclass(frozen=True)
class Making:
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
        try:
            ledgers = quantised(self.recovered.world, self.compiled, x)
        except QuantiseError as error:
            return Result("failed", why=f"quantise: {error}", solver=outcome)
        sites = {ledger.site.name: ledger.plan() for ledger in ledgers}
        money = money_lines(self.compiled, place_sites(self.problem, self.compiled, sites))
        objective = sum(sum(line.usd) for line in money)
        if (lost := (outcome.objective_usd or 0.0) - objective) > self._tolerance_usd(objective):
            return Result("failed", why=f"rounding: whole numbers lose {lost:.4f} USD of {objective:.2f}", solver=outcome)
        plan = self._plan(outcome, [ledger.decisions for ledger in ledgers], sites, money)
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
            engine={
                "solver": f"HiGHS {version('highspy')}",
                "wattsplit": _version(),
                **({"way": outcome.how} if outcome.how else {}),
            },
            seed=self.seed,
        )

    def _reasons(self, outcome: Outcome) -> list[str]:
        found = [r.reason for r in self.recovered.records] + not_shared(outcome.how)
        return found if outcome.status == "optimal" else [*found, f"stopped before the asked gap: {outcome.why}"]

    def _proof(self, outcome: Outcome, money: tuple[MoneyLine, ...]) -> Proof:
        """Objective and gap of the whole numbers, not of the solver's columns."""
        objective = sum(sum(line.usd) for line in money)
        bound = None if outcome.bound_usd is None else max(outcome.bound_usd, objective)
        gross = sum(sum(line.usd) for line in money if line.term in REVENUE_TERMS)
        gap_usd = None if bound is None else bound - objective
        percent = None if gap_usd is None else gap_percent(gap_usd, objective, gross)
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
