"""The front door for futures: one problem and scenarios with probabilities in; decisions for now, and a recourse for each, out.

scenarios -> nodes (what can be planned as one) -> a block each -> joint model -> solver child -> a plan for each scenario,
audited against its own problem, and one of the base problem, which is what is published: all share what is decided now.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np

from models.futures import Futures, Risk, mean_problem
from models.futures_plan import FuturesPlan
from models.plan import Plan
from models.problem import Problem
from optimizer.clash import differences
from optimizer.collapse import Node, nodes
from optimizer.compiled import Compiled, Floats, Ints
from optimizer.declare import Stage
from optimizer.formulation import build_world
from optimizer.futures_answer import FuturesResult, answer
from optimizer.joint import OPTIONS, Block, Joint, join
from optimizer.knowledge import NOT_LAWFUL, ForTheMean, Worth, knowledge_of, value_of_model
from optimizer.making import Making, Result
from optimizer.outcome import Outcome
from optimizer.recovery import Recovered, recover
from optimizer.solve import AFTERWARDS_S, AFTERWARDS_S_PER_CELL, ASKED_SHARE, optimise
from optimizer.stages import asks, shared_columns
from optimizer.starting import Program
from optimizer.telling import Telling
from optimizer.valuation import place_sites
from optimizer.worker import GIB, OptionValue, Stopwatch, solve

JOINT_SHARE, JOINT_SHARE_WITH_KNOWLEDGE, MEAN_SHARE = 0.7, 0.4, 0.1
"""Of the time, for the joint model, and for deciding for the mean; the rest is for recourse, audits and knowing more."""
ONE_MEAN = "the scenarios differ only in prices of steps that are decided once, so their mean is solved once"
ONE_PROBLEM = "all scenarios are the base problem, which is solved once"


def optimise_futures(
    problem: Problem,
    futures: Futures,
    risk: Risk | None = None,
    *,
    gap: float = 1e-3,
    budget_s: float,
    now: datetime,
    seed: int = 0,
    knowledge: bool = False,
    memory_bytes: int = 4 * GIB,
    options: Mapping[str, OptionValue] | None = None,
    progress: Callable[[Mapping[str, Any]], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    low_priority: bool = False,
    program: Program | None = None,
) -> FuturesResult:
    """Decide for now what is best over all scenarios, and plan what each of them then makes of it.

    Arguments:
        problem: the base problem; the plan that is published is one of it.
        futures: scenarios with probabilities, and until when decisions are shared.
        risk: how much the worst of them count; by default not beyond their probability.
        gap: relative gap at which to stop.
        budget_s: wall time from now until this returns. [s]
        now: what the plans give as the time they were made.
        seed: of the solver.
        knowledge: also find the value of the stochastic solution and of perfect information.
        memory_bytes: cap on each solver child.
        options: HiGHS options beyond those of `optimizer.worker`.
        progress: called about every tick, as by `optimizer.solve.optimise`.
        cancelled: asked every tick.
        low_priority: let the solver give way to other processes.
        program: command of the solver child; tests run hostile ones.

    Raises:
        BadInputError: the scenarios do not fit the problem; every fault with its place.
    """
    how: dict[str, Any] = {
        "memory_bytes": memory_bytes, "seed": seed, "options": options, "cancelled": cancelled,
        "low_priority": low_priority, "program": program,
    }  # fmt: skip
    return _Solving(problem, futures, risk or Risk(), gap, budget_s, now, how, progress, knowledge).result()


@dataclass(frozen=True, eq=False)
class _Model:
    """A problem with its compiled model."""

    problem: Problem
    recovered: Recovered
    compiled: Compiled


def _model(problem: Problem) -> _Model:
    recovered = recover(problem)
    return _Model(problem, recovered, build_world(recovered.world))


class _GiveUpError(Exception):
    """There is no answer; `result` says why."""

    def __init__(self, result: FuturesResult) -> None:
        self.result = result


@dataclass
class _Solving:
    problem: Problem
    futures: Futures
    risk: Risk
    gap: float
    budget_s: float
    now: datetime
    how: dict[str, Any]
    progress: Callable[[Mapping[str, Any]], None] | None
    wants_knowledge: bool
    watch: Stopwatch = field(default_factory=Stopwatch)

    def __post_init__(self) -> None:
        self.problems = [self.problem, *self.futures.problems(self.problem)]
        self.names = ["the base problem", *(future.name for future in self.futures.scenarios)]
        self.nodes = nodes(self.problem, self.problems[1:], self.futures, self.risk)

    @property
    def left_s(self) -> float:
        """Seconds for solvers until plans must be made and audited."""
        cells = len(self.problem.fleet.sites) * self.problem.grid.steps
        kept_back_s = len(self.problems) * (AFTERWARDS_S + AFTERWARDS_S_PER_CELL * cells)
        return max(0.05, self.budget_s - kept_back_s - self.watch.seconds)

    def sharing(self, compiled: Compiled, stage: Stage) -> Ints:
        """Return the columns of a stage that scenarios share."""
        return shared_columns(compiled, self.problem.grid, self.futures, stage)

    def result(self) -> FuturesResult:
        """Return the answer, or why there is none."""
        try:
            return self._once() if len(self.nodes) == 1 else self._together()
        except _GiveUpError as end:
            return end.result

    # --- without recourse

    def _once(self) -> FuturesResult:
        """Plan the one problem that all scenarios come to, and value its decisions in each of them."""
        (node,) = self.nodes
        result = self._optimised(node.problem, self.left_s * (JOINT_SHARE if self.wants_knowledge else 1))
        if result.plan is None or result.solver is None:
            return FuturesResult(result.ending, why=result.why, diagnosis=result.diagnosis, broken=result.broken)
        plans = self._plans_of(node, _model(node.problem), result.plan)
        words = ONE_MEAN if any(problem != node.problem for problem in self.problems) else ONE_PROBLEM
        found = self._answer(plans, result.solver.bound_usd, result.solver.cpu_s, f"no recourse: {words}")
        if self.wants_knowledge:
            found = self._with_knowledge(found, Worth(0.0, 0.0, "no recourse: the mean of the scenarios is what was solved"))
        return FuturesResult("planned", found, result.why)

    # --- with recourse

    def _together(self) -> FuturesResult:
        """Plan all nodes in one model, in which they share what is decided here and now."""
        models = [_model(node.problem) for node in self.nodes]
        blocks = [Block(self._name(n), n.ppm, m.compiled, asks(n.problem)) for n, m in zip(self.nodes, models, strict=True)]
        joint = join(blocks, self.sharing, self.risk)
        for_the_mean = self._for_the_mean(joint, models[0].compiled) if self.wants_knowledge else None
        share = JOINT_SHARE_WITH_KNOWLEDGE if self.wants_knowledge else JOINT_SHARE
        outcome, x = self._best(blocks, joint, share * self.budget_s, None if for_the_mean is None else for_the_mean.x)
        plans: dict[int, Plan] = {}
        for n, node in enumerate(self.nodes):
            plans |= self._plans_of(node, models[n], self._recourse(joint, n, models[n], x))
        found = self._answer(plans, outcome.bound_usd, outcome.cpu_s, self._in_words(blocks, joint))
        if for_the_mean is not None:
            worth = value_of_model(joint.compiled.objective(x), outcome.bound_usd, for_the_mean)
            found = self._with_knowledge(found, worth)
        return FuturesResult("planned", found, outcome.why)

    def _for_the_mean(self, joint: Joint, compiled: Compiled) -> ForTheMean:
        """Return what comes of deciding here and now for the mean of the scenarios."""
        mean = mean_problem([(f.probability_ppm, p) for f, p in zip(self.futures.scenarios, self.problems[1:], strict=True)])
        result = self._optimised(mean, MEAN_SHARE * self.budget_s)
        if result.plan is None:
            return ForTheMean(None, f"the mean of the futures has no plan to compare with: {result.why}")
        model = _model(mean)
        x = place_sites(mean, model.compiled, result.plan.sites)
        stages: tuple[Stage, ...] = ("commitment", "set_point", "contract")
        values = np.concatenate([x[self.sharing(model.compiled, stage)] for stage in stages])
        numbers = np.concatenate([joint.columns[0][self.sharing(compiled, stage)] for stage in stages])
        fixed = joint.fixed(numbers, values)
        if fixed.clash.size:
            return ForTheMean(None, NOT_LAWFUL)
        outcome = self._solved(fixed.compiled, MEAN_SHARE * self.budget_s, None)
        if outcome.x is None:
            why = NOT_LAWFUL if outcome.status == "infeasible" else f"not found in the time: {outcome.why}"
            return ForTheMean(None, why)
        return ForTheMean(outcome.x, "", outcome.objective_usd, outcome.bound_usd)

    def _best(self, blocks: Sequence[Block], joint: Joint, seconds: float, start: Floats | None) -> tuple[Outcome, Floats]:
        """Return the outcome of the joint model and its best columns, those to begin with among them."""
        outcome = None if joint.clash.size else self._solved(joint.compiled, seconds, start)
        if outcome is None or outcome.status == "infeasible":
            raise _GiveUpError(self._apart(blocks, joint))
        if outcome.why.startswith("cancelled"):
            raise _GiveUpError(FuturesResult("cancelled", why=outcome.why))
        if outcome.x is None and start is None:
            is_late = outcome.status == "no_primal"
            why = "deadline: no plan for all scenarios was found in the time" if is_late else outcome.why
            raise _GiveUpError(FuturesResult("no_plan" if is_late else "failed", why=why))
        return outcome, max((x for x in (outcome.x, start) if x is not None), key=joint.compiled.objective)

    def _apart(self, blocks: Sequence[Block], joint: Joint) -> FuturesResult:
        """Say why the scenarios have no decisions in common: one of them has no plan at all, or two need different ones."""
        for node in self.nodes:
            result = self._optimised(node.problem, self.left_s / (1 + len(self.nodes)))
            if result.ending == "infeasible":
                return FuturesResult("infeasible", why=f"{self._name(node)}: {result.why}", diagnosis=result.diagnosis)
        told = differences(blocks, self.sharing, lambda compiled: self._solved(compiled, self.left_s / 2, None).x)
        if told or joint.clash.size:
            words = "; ".join(told) or "their decisions for now contradict each other"
            return FuturesResult("infeasible", why=f"no decisions for now suit all scenarios: {words}")
        if self.how["cancelled"]():
            return FuturesResult("cancelled", why="cancelled: on request, while it was asked why the scenarios clash")
        return FuturesResult("failed", why="unconfirmed: the solver says that no decisions suit all, which was not shown")

    def _recourse(self, joint: Joint, block: int, model: _Model, x: Floats) -> Plan:
        """Return the plan of a node; where the joint model leaves its recourse open, the best is found with the rest held."""
        part, compiled = joint.part(x, block), model.compiled
        if self.nodes[block].ppm == 0 or self.risk.weight_share == 1:
            tied = joint.tied(block)
            held = np.where(compiled.integer[tied], np.round(part[tied]), part[tied])
            low, high = compiled.col_lower.copy(), compiled.col_upper.copy()
            low[tied] = high[tied] = held
            alone = replace(compiled, col_lower=low, col_upper=high)
            better = self._solved(alone, self.left_s / (2 + len(self.nodes)), part).x
            part = part if better is None else max((better, part), key=compiled.objective)
        return self._made(model, part, self._name(self.nodes[block]))

    # --- plans

    def _plans_of(self, node: Node, model: _Model, plan: Plan) -> dict[int, Plan]:
        """Return the plan of each member of a node: that of the node, or the same decisions valued in the member's problem."""
        found = {}
        for place in node.members:
            problem = self.problems[place]
            if problem.digest != model.problem.digest:
                other = _model(problem)
                columns = place_sites(problem, other.compiled, plan.sites)
                found[place] = self._made(other, columns, self.names[place])
            else:
                found[place] = plan
        return found

    def _made(self, model: _Model, x: Floats, who: str) -> Plan:
        making = Making(model.problem, model.compiled, model.recovered, self.gap, self.now, int(self.how["seed"]), self.watch)
        outcome = Outcome("optimal", "", x, model.compiled.objective(x), None, 0.0, 0.0, 0, ())
        result = making.result(outcome, x, None)
        if result.plan is None:
            raise _GiveUpError(FuturesResult(result.ending, why=f"{who}: {result.why}", broken=result.broken))
        reason = f"decided with all scenarios of {self.futures.name}: no bound is claimed for this problem alone"
        proof = result.plan.proof.model_copy(update={"asked_gap": None})
        return result.plan.model_copy(update={"reasons": (*result.plan.reasons, reason), "proof": proof})

    def _answer(self, plans: Mapping[int, Plan], bound_usd: float | None, cpu_s: float, words: str) -> FuturesPlan:
        found = answer(self.problem, self.futures, self.risk, [plans[n] for n in range(len(self.problems))], bound_usd, self.gap)
        return found.model_copy(update={"solved": words, "wall_s": self.watch.seconds, "cpu_s": cpu_s})

    def _with_knowledge(self, found: FuturesPlan, worth: Worth) -> FuturesPlan:
        """Add what the model is worth, and find what perfect information would be."""
        seconds = self.left_s / (1 + len(self.problems))
        known = {p.digest: p for p in self.problems[1:]}
        results = {name: self._optimised(problem, seconds) for name, problem in known.items()}
        alone = [results[problem.digest] for problem in self.problems[1:]]
        knowledge = knowledge_of(found, worth, alone)
        return found.model_copy(update={"knowledge": knowledge, "wall_s": self.watch.seconds})

    def _in_words(self, blocks: Sequence[Block], joint: Joint) -> str:
        merged = len(self.problems) - len(self.nodes)
        shared = sum(block.compiled.cost.size for block in blocks) - len(set(np.concatenate(joint.columns).tolist()))
        words = f"{len(self.nodes)} problems in one model, which share {shared} decisions"
        return words if not merged else f"{words}; {merged} more need no decisions of their own"

    def _name(self, node: Node) -> str:
        return " and ".join(self.names[place] for place in node.members[-3:])

    def _optimised(self, problem: Problem, seconds: float) -> Result:
        return optimise(problem, gap=self.gap, budget_s=max(0.05, min(seconds, self.left_s)), now=self.now, **self.how)

    def _solved(self, compiled: Compiled, seconds: float, start: Floats | None) -> Outcome:
        return solve(
            compiled, gap=ASKED_SHARE * self.gap, deadline_s=max(0.05, min(seconds, self.left_s)), start=start,
            progress=Telling(self.progress, self.watch), **{**self.how, "options": {**OPTIONS, **(self.how["options"] or {})}},
        )  # fmt: skip
