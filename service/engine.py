"""What planning needs of the optimiser, as functions: the real ones are wired in, tests wire hostile ones."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from models.outlook import Outlook
from models.plan import AuditReport, Plan
from models.problem import Problem
from optimizer.warm import Warm

Ending = Literal["planned", "infeasible", "no_plan", "refused", "failed", "cancelled"]


class EngineFailedError(Exception):
    """The optimiser gave no plan; the message says why in words."""


@dataclass(frozen=True)
class Ask:
    """How hard to try: relative gap, wall time, memory of the solver child. `low_priority` gives way to the hourly plan.

    strict: what pins or the state contradict ends infeasible, with its diagnosis, instead of giving way by rule.
    workers: processes that share out the sites; the plan does not depend on it.
    engine: URL of a Dask cluster whose workers do that instead.
    give_up_usd, least_gain_usd: what a plan may give up to stay next to the standing one, and must gain to replace it.
    """

    asked_gap: float
    budget_s: float
    memory_mib: int = 2048
    low_priority: bool = False
    strict: bool = False
    workers: int = 1
    engine: str | None = None
    give_up_usd: float = 0.0
    least_gain_usd: float = 0.0


@dataclass(frozen=True)
class Answer:
    """What the optimiser came to: a plan, or why there is none; a diagnosis where the input contradicts itself.

    warm: what the plan leaves behind for the next one.
    """

    ending: Ending
    plan: Plan | None = None
    why: str = ""
    diagnosis: tuple[Mapping[str, Any], ...] = ()
    warm: Warm | None = None


class Optimise(Protocol):
    """Solves a problem in a child process that is gone when this returns."""

    def __call__(
        self,
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
        """Return within half a second of the budget, or of a yes from `cancelled`, whatever the solver does.

        `start` is a plan of the same problem to begin with, `standing` the plan in force, next to which the new one stays;
        `warm` is what the plan before left behind, of any problem: it saves time and changes no claim.
        """
        ...


MakePlan = Callable[[Problem, datetime], Plan]
"""Makes a plan of a problem without a solver; the instant is when it is made."""

CarryOver = Callable[[Problem, Plan, datetime], Plan | None]
"""Carries what is left of an older plan over to today's problem, or says None where it does not fit."""

CarryEach = Callable[[Problem, Mapping[str, Plan], datetime], tuple[Plan, frozenset[str]] | None]
"""Carries what is left of plans, one for each of some sites, over to today's problem; also says which sites keep to theirs."""


@dataclass(frozen=True)
class Engine:
    """The optimiser as planning sees it."""

    optimise: Optimise
    rule_plan: MakePlan
    safe_plan: MakePlan
    carry_over: CarryOver
    carry_each: CarryEach
    audit: Callable[[Problem, Plan], AuditReport]
    look_ahead: Callable[[Problem, float, Callable[[], bool]], dict[str, Outlook]] | None = None
    """Finds outlooks of a problem that reaches to the end of its periods, in so many seconds, unless it is cancelled."""
