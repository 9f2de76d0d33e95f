"""The real optimiser as planning sees it: a thin translation between the two, and nothing else."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from models.outlook import Outlook
from models.plan import Plan
from models.problem import Problem
from optimizer.audit import audit
from optimizer.diagnose import Conflict, Diagnosis
from optimizer.fallback import carry_over, rule_plan, safe_plan
from optimizer.look_ahead import look_ahead
from optimizer.solve import optimise
from optimizer.stability import Steadiness
from optimizer.warm import Warm
from service.engine import Answer, Ask, Engine

MIB = 1 << 20


def real_engine(program: tuple[str, ...] | None = None) -> Engine:
    """Return the optimiser; `program` replaces the command of its solver child (tests run hostile ones)."""

    def optimised(
        problem: Problem,
        ask: Ask,
        *,
        plan_id: str,
        created_at: datetime,
        progress: Callable[[Mapping[str, Any]], None],
        cancelled: Callable[[], bool],
        start: Plan | None = None,
        standing: Plan | None = None,
        warm: Warm | None = None,
    ) -> Answer:
        result = optimise(
            problem,
            gap=ask.asked_gap,
            budget_s=ask.budget_s,
            now=created_at,
            plan_id=plan_id,
            start=start,
            warm=warm,
            memory_bytes=ask.memory_mib * MIB,
            progress=progress,
            cancelled=cancelled,
            low_priority=ask.low_priority,
            strict=ask.strict,
            standing=standing,
            steadiness=Steadiness(give_up_usd=ask.give_up_usd, gain_usd=ask.least_gain_usd),
            program=program,
        )
        found = result.diagnosis
        conflicts = [] if found is None else [{"kind": k, **c.model_dump(mode="json")} for k, c in _listed(found)]
        return Answer(result.ending, result.plan, result.why, tuple(conflicts), result.warm)

    def looked_ahead(problem: Problem, deadline_s: float, cancelled: Callable[[], bool]) -> dict[str, Outlook]:
        return look_ahead(problem, deadline_s=deadline_s, cancelled=cancelled)

    return Engine(
        optimise=optimised, rule_plan=rule_plan, safe_plan=safe_plan, carry_over=carry_over, audit=audit, look_ahead=looked_ahead
    )


def _listed(diagnosis: Diagnosis) -> list[tuple[str, Conflict]]:
    """All conflicts: those that a person may give way on, and the limits that stand in the way."""
    return [("offered", c) for c in diagnosis.offered] + [("blocking", c) for c in diagnosis.blocking]
