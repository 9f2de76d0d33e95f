"""The real optimiser as planning sees it: a thin translation between the two, and nothing else."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import structlog

from models.outlook import Outlook
from models.plan import Plan
from models.problem import Problem
from optimizer.audit import audit
from optimizer.diagnose import Conflict, Diagnosis
from optimizer.fallback import carry_each, carry_over, rule_plan, safe_plan
from optimizer.look_ahead import look_ahead
from optimizer.making import Result
from optimizer.solve import optimise
from optimizer.stability import Steadiness
from optimizer.warm import Warm
from service.engine import Answer, Ask, Engine

MIB = 1 << 20
_log = structlog.get_logger("wattsplit.engine")


class Logged:
    """Tells on how a plan goes, and logs it: what it is at, whenever that changes, and how it ended."""

    def __init__(self, plan_id: str, progress: Callable[[Mapping[str, Any]], None]) -> None:
        self._plan_id, self._progress = plan_id, progress
        self._last: tuple[Any, ...] = ()

    def __call__(self, known: Mapping[str, Any]) -> None:
        """Tell, and log if something else is done, or something better is known."""
        at = (known["doing"], known["round"], known["objective_usd"], known["bound_usd"])
        if at != self._last:
            self._last = at
            _log.debug("planning", plan=self._plan_id, **known)
        self._progress(known)

    def end(self, result: Result) -> None:
        """Log how it ended."""
        proof = result.plan.proof if result.plan else None
        figures = proof.model_dump(include={"objective_usd", "bound_usd", "gap_percent", "wall_s", "cpu_s"}) if proof else {}
        way = result.plan.engine.get("way") if result.plan else None
        _log.info(
            "planned" if proof else "not planned", plan=self._plan_id, ending=result.ending, way=way, why=result.why, **figures
        )


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
        logged = Logged(plan_id, progress)
        result = optimise(
            problem,
            gap=ask.asked_gap,
            budget_s=ask.budget_s,
            now=created_at,
            plan_id=plan_id,
            start=start,
            warm=warm,
            memory_bytes=ask.memory_mib * MIB,
            progress=logged,
            cancelled=cancelled,
            low_priority=ask.low_priority,
            strict=ask.strict,
            workers=ask.workers,
            engine=ask.engine,
            standing=standing,
            steadiness=Steadiness(give_up_usd=ask.give_up_usd, gain_usd=ask.least_gain_usd),
            program=program,
        )
        logged.end(result)
        found = result.diagnosis
        conflicts = [] if found is None else [{"kind": k, **c.model_dump(mode="json")} for k, c in _listed(found)]
        return Answer(result.ending, result.plan, result.why, tuple(conflicts), result.warm)

    def looked_ahead(problem: Problem, deadline_s: float, cancelled: Callable[[], bool]) -> dict[str, Outlook]:
        return look_ahead(problem, deadline_s=deadline_s, cancelled=cancelled)

    return Engine(
        optimise=optimised, rule_plan=rule_plan, safe_plan=safe_plan, carry_over=carry_over, carry_each=carry_each, audit=audit,
        look_ahead=looked_ahead,
    )  # fmt: skip


def _listed(diagnosis: Diagnosis) -> list[tuple[str, Conflict]]:
    """All conflicts: those that a person may give way on, and the limits that stand in the way."""
    return [("offered", c) for c in diagnosis.offered] + [("blocking", c) for c in diagnosis.blocking]
