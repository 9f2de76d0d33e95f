"""Makes one audited plan without a service: optimised, or by rule where no optimised one is there in time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from models.plan import Plan
from models.problem import Problem
from optimizer.audit import audit
from optimizer.diagnose import Diagnosis
from optimizer.fallback import rule_plan
from optimizer.solve import optimise
from service.cli.exits import CommandError, Exit
from service.cli.progress import watching
from service.cli.say import Say


@dataclass(frozen=True)
class Made:
    """An audited plan, how the command that asked for it ends, and what its reader must know."""

    plan: Plan
    exit: Exit
    warning: str = ""


def make_plan(
    problem: Problem,
    *,
    gap: float,
    budget_s: float,
    say: Say,
    title: str,
    strict: bool = False,
    workers: int = 1,
    engine: str | None = None,
) -> Made:
    """Return the best audited plan of a problem within a time budget.

    Args:
        problem: what to plan.
        gap: relative gap at which to stop.
        budget_s: wall time for the optimiser. [s]
        say: where progress is shown.
        title: what the progress bar calls it.
        workers: processes that share out the sites; the plan does not depend on it.
        engine: URL of a Dask cluster whose workers do that instead.
        strict: diagnose what the state or pins contradict, instead of letting it give way.

    Raises:
        CommandError: hard rules contradict each other (exit 4, with the diagnosis), or not even the rule plan is sound (6).
    """
    for warning in problem.warnings():
        say.warn(warning)
    now = datetime.now(UTC).replace(microsecond=0)
    with watching(say, title, budget_s) as watch:
        result = optimise(
            problem, gap=gap, budget_s=budget_s, now=now, progress=watch, strict=strict, workers=workers, engine=engine
        )
    if result.plan is not None:
        return Made(result.plan, Exit.DONE)
    if result.diagnosis is not None:
        raise conflict(result.diagnosis)
    what = "the audit refuses the optimised plan" if result.ending == "refused" else f"no optimised plan within {budget_s:g} s"
    warning = f"{what}: {'; '.join(result.broken) or result.why}; this is the rule plan"
    return Made(fallback(problem, now, warning), Exit.REFUSED if result.ending == "refused" else Exit.NO_OPTIMUM, warning)


def fallback(problem: Problem, now: datetime, why: str) -> Plan:
    """Return the audited rule plan, which says why it is one.

    Raises:
        CommandError: the audit refuses it (exit 6).
    """
    plan = rule_plan(problem, now)
    report = audit(problem, plan)
    if not report.passed:
        raise refused("the rule plan", report.broken)
    return plan.model_copy(update={"reasons": (why, *plan.reasons), "audit": report})


def refused(what: str, broken: Sequence[str]) -> CommandError:
    """Return the error of a plan that the audit refuses, with every broken rule in words."""
    return CommandError(
        Exit.REFUSED,
        f"the audit refuses {what}: {len(broken)} broken rule(s)",
        [{"code": "rule_broken", "detail": words} for words in broken],
    )


def conflict(diagnosis: Diagnosis) -> CommandError:
    """Return the error of a problem whose hard rules contradict each other: what must give way, and what stands in the way."""
    parts = (("must give way", diagnosis.offered), ("stands in the way", diagnosis.blocking))
    faults = [
        found.model_dump(mode="json") | {"code": code.replace(" ", "_"), "detail": f"{code}: {found.words}"}
        for code, conflicts in parts
        for found in conflicts
    ]
    return CommandError(Exit.CONFLICT, f"no plan can keep all hard rules: {len(faults)} conflict(s)", faults)
