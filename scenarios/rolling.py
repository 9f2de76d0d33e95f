"""Re-planning over history: a plan for every step, made for a window ahead, of which only the first step is carried out.

What was carried out is joined to one plan over the whole time and audited as one, so that rules that span windows are
checked across their seams. A run that was broken off goes on where it stopped: each step is written down when it is done.
A window knows the future of its series as history has it; what was known when is a matter of the history that is given.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from models.base import Instant, NonNegative, Record, Text
from models.billing import split_by_month
from models.outlook import Outlook
from models.plan import Basis, Plan, Stability, Status
from models.problem import Problem
from models.state import State
from models.time_grid import TimeGrid
from optimizer.audit import audit
from optimizer.fallback import rule_plan
from optimizer.look_ahead import look_ahead
from optimizer.making import Result
from optimizer.solve import optimise
from optimizer.stability import UNMOVED, Steadiness
from optimizer.warm import Warm
from scenarios.advance import advance
from scenarios.joining import first_step, join
from scenarios.journal import Journal

FAMILIES = ("prices_usd_per_mwh", "usd_per_unit", "carbon_kg_per_mwh", "ambient_c", "limit_w", "demand_work_per_h")

See = Callable[[int, int, State, Mapping[str, Outlook]], Problem]
"""The problem of a window as its planner sees it: from which step of the history on, how many, the state, the outlook."""
Terminal = Literal["look_ahead", "pro_rata", "none"]
"""How a window sees a new peak: by a look-ahead over the period, by its share of what is left of it, or at the whole price."""


@dataclass(frozen=True)
class Happened:
    """What became of a plan: the problem as it came, and what was done in its first step.

    execution_usd: profit, at what came, of what was commanded and could not be done.
    """

    problem: Problem
    plan: Plan
    execution_usd: float = 0.0


Happen = Callable[[int, Problem, Plan], Happened]
"""What becomes of the plan of a step of the history, made for a problem as its planner saw it."""
Decide = Callable[[int, Problem], Result]
"""How a window is planned, from which step of the history on."""


@dataclass(frozen=True)
class Course:
    """How history is re-planned: `steps` of it, each in a window of so many; gap and wall time of each plan.

    steadiness: of the second pass; None: every plan stands for itself. look_ahead_every: steps between look-aheads.
    """

    steps: int
    window: int
    gap: float = 2e-3
    budget_s: float = 60.0
    steadiness: Steadiness | None = UNMOVED
    terminal: Terminal = "pro_rata"
    look_ahead_every: int = 24
    look_ahead_s: float = 120.0


class Replan(Record):
    """One plan of a run: when it begins, how it came about, how good it is proven to be, and what it changed.

    execution_usd: as `Happened` has it.
    """

    at: Instant
    basis: Basis
    status: Status
    why: Text
    objective_usd: float
    gap_percent: float | None
    gap_usd: float | None = None
    wall_s: NonNegative
    execution_usd: float = 0.0
    stability: Stability | None = None
    outlook: dict[str, Outlook] = {}


@dataclass
class Rolled:
    """A run: its history cut to what was carried out, what was carried out as one plan, and every plan on the way."""

    history: Problem
    joined: Plan
    replans: list[Replan]

    @property
    def broken(self) -> tuple[str, ...]:
        """Every rule that the joined plan breaks, in words."""
        return audit(self.history, self.joined).broken

    @property
    def without_optimised(self) -> list[datetime]:
        """The steps that no optimised plan decided."""
        return [replan.at for replan in self.replans if replan.basis != "optimised"]

    def changes(self) -> dict[str, float]:
        """Return how many decisions a re-plan compared and changed, before and after the second pass, and what that cost."""
        known = [replan.stability for replan in self.replans if replan.stability is not None]
        count = max(1, len(known))
        return {
            "replans": len(self.replans),
            "decisions_per_replan": sum(s.decisions for s in known) / count,
            "changed_before_per_replan": sum(s.changed_before for s in known) / count,
            "changed_after_per_replan": sum(s.changed for s in known) / count,
            "given_up_usd": sum(s.given_up_usd for s in known),
            "kept": sum(s.kept for s in known),
            "profit_usd": self.joined.profit_usd,
            "wall_s_per_replan": sum(replan.wall_s for replan in self.replans) / max(1, len(self.replans)),
        }


def window(history: Problem, first: int, steps: int, state: State, outlook: Mapping[str, Outlook] | None = None) -> Problem:
    """Return the problem of so many steps of a history, from the step `first` and a state on."""
    part = slice(first, first + steps)
    content: dict[str, Any] = {name: getattr(history, name) for name in Problem.model_fields}
    content |= {name: {key: series[part] for key, series in content[name].items()} for name in FAMILIES}
    content["feeder_limit_w"] = {
        site: {name: series[part] for name, series in feeders.items()} for site, feeders in history.feeder_limit_w.items()
    }
    content |= {
        "grid": TimeGrid(start=history.grid.starts[first], step_s=history.grid.step_s[part]),
        "hashprice_usd_per_ph_day": history.hashprice_usd_per_ph_day[part],
        "state": state,
        "outlook": dict(outlook or {}),
    }
    return Problem(**content)


def roll(
    history: Problem,
    course: Course,
    *,
    folder: Path | None = None,
    tell: Callable[[Replan], None] = lambda _: None,
    see: See | None = None,
    happen: Happen = lambda _, problem, plan: Happened(problem, plan),
    decide: Decide | None = None,
    known: str = "history",
) -> Rolled:
    """Re-plan a history from its state on, step by step.

    folder: where to write what is done, and to go on from; tell: called after every step that is done now.
    see: what a window knows, by default the history as it came; happen: what becomes of a plan's first step, by default what
    it says; decide: how a window is planned, by default as its course says; known: names all three in what is written down.

    Raises:
        ValueError: the folder holds a run of another history or course.
        NotCarriedError: the state holds something that `advance` does not carry.
    """
    see = see or (lambda first, steps, state, outlook: window(history, first, steps, state, outlook))
    journal = Journal(folder, {"history": history.digest, "course": repr(course), "known": known})
    left = journal.left()
    state = State.model_validate_json(json.dumps(journal.lines[-1]["state"])) if journal.lines else history.state
    outlook = _outlook_of(journal.lines)
    for t in range(len(journal.lines), course.steps):
        if course.terminal == "look_ahead" and t % course.look_ahead_every == 0:
            outlook = look_ahead(see(t, history.grid.steps - t, state, {}), deadline_s=course.look_ahead_s)
        if course.terminal == "none":
            outlook = _whole_price(window(history, t, min(course.window, history.grid.steps - t), state))
        problem = see(t, min(course.window, history.grid.steps - t), state, outlook)
        replan, left = _planned(problem, course, left, t, decide)
        plan = left.plan
        happened = happen(t, problem, plan)
        replan = replan.model_copy(update={"execution_usd": happened.execution_usd})
        state = advance(happened.problem, happened.plan)
        journal.add(
            {
                "plan_id": plan.plan_id,
                "replan": replan.model_dump(mode="json"),
                "done": first_step(happened.plan),
                "state": state.model_dump(mode="json"),
            },
            left,
        )  # fmt: skip
        tell(replan)
    cut = window(history, 0, course.steps, history.state)
    joined = join(cut, [line["done"] for line in journal.lines])
    return Rolled(cut, joined, [Replan.model_validate_json(json.dumps(line["replan"])) for line in journal.lines])


def _planned(problem: Problem, course: Course, before: Warm | None, t: int, decide: Decide | None) -> tuple[Replan, Warm]:
    """Plan a window, beginning with what the plan before left behind, and return what this one does."""
    now = problem.grid.start
    steady: dict[str, Any] = (
        {} if course.steadiness is None or before is None else {"standing": before.plan, "steadiness": course.steadiness}
    )
    if decide is not None:
        result = decide(t, problem)
    else:
        result = optimise(problem, gap=course.gap, budget_s=course.budget_s, now=now, warm=before, **steady)
    left = result.warm or Warm(plan=result.plan or rule_plan(problem, now))
    plan = left.plan
    proof = plan.proof
    return Replan(
        at=now, basis=plan.basis, status=proof.status, why=result.why, objective_usd=proof.objective_usd,
        gap_percent=proof.gap_percent, gap_usd=proof.gap_usd, wall_s=proof.wall_s, stability=plan.stability,
        outlook=problem.outlook,
    ), left  # fmt: skip


def _whole_price(problem: Problem) -> dict[str, Outlook]:
    """Let every new peak cost the price of its whole month, as if a window were all there is."""
    charged = [site for site in problem.fleet.sites if site.demand_charge is not None]
    months = {s.name: split_by_month(s.zone, problem.grid.start, problem.grid.end) for s in charged}
    return {name: Outlook(peaks_w={month: 0 for month, _ in touched}) for name, touched in months.items()}


def _outlook_of(lines: Sequence[dict[str, Any]]) -> dict[str, Outlook]:
    told = lines[-1]["replan"]["outlook"] if lines else {}
    return {name: Outlook.model_validate_json(json.dumps(known)) for name, known in told.items()}
