"""The ladder: optimised, else last good, else rule, else safe. Every rung is audited before anybody stands on it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from models.plan import Basis, Plan
from models.problem import Problem
from service.engine import Engine

WORDS_PER_FALL = 3
"""Broken rules that are quoted when a rung does not hold; the rest are counted."""


class NoRungError(Exception):
    """Not even the safe plan holds: nothing is published, and controllers act by themselves."""


@dataclass(frozen=True)
class Rung:
    """One step of the ladder: its label, and what makes its plan."""

    basis: Basis
    make: Callable[[], Plan]


@dataclass(frozen=True)
class Chosen:
    """The plan of the highest rung that holds, audited, and why each rung above it does not."""

    plan: Plan
    falls: tuple[str, ...]


def audited(engine: Engine, problem: Problem, plan: Plan) -> Plan:
    """Return a plan with its audit in it; whatever report it came with is not believed.

    Raises:
        NoRungError: the audit refuses it, in words.
    """
    if plan.problem_digest != problem.digest:
        raise NoRungError(f"it answers another problem ({plan.problem_digest})")
    report = engine.audit(problem, plan)
    if not report.passed:
        more = len(report.broken) - WORDS_PER_FALL
        words = "; ".join(report.broken[:WORDS_PER_FALL]) + (f"; and {more} more" if more > 0 else "")
        raise NoRungError(f"the audit refuses it: {words}")
    return plan.model_copy(update={"audit": report})


def choose(engine: Engine, problem: Problem, rungs: Sequence[Rung]) -> Chosen:
    """Return the plan of the first rung that can be made and passes its audit, labelled with what fell before it.

    Raises:
        NoRungError: none holds.
    """
    falls: list[str] = []
    for rung in rungs:
        try:
            plan = audited(engine, problem, rung.make())
        except Exception as error:  # whatever went wrong with one rung, the next one is tried
            falls.append(f"no {rung.basis} plan: {_words(error)}")
            continue
        if falls or plan.basis != rung.basis:
            plan = plan.model_copy(update={"basis": rung.basis, "reasons": (*falls, *plan.reasons)})
        return Chosen(plan, tuple(falls))
    raise NoRungError("; ".join(falls))


def _words(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return (
        text if isinstance(error, NoRungError) or type(error).__name__.startswith("Engine") else f"{type(error).__name__}: {text}"
    )[:1500]
