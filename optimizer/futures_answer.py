"""What became of futures: the plans of all scenarios put together, with figures from the plans' own money, or why not."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.futures import Futures, Risk, mean
from models.futures_plan import FuturesPlan, ScenarioPlan
from models.gap import gap_percent
from models.plan import REVENUE_TERMS, Plan
from models.problem import Problem
from optimizer.diagnose import Diagnosis
from optimizer.making import Ending
from optimizer.stages import steps_shared


@dataclass(frozen=True)
class FuturesResult:
    """What became of futures: as for one problem (`optimizer.making.Result`), with one answer for all of them."""

    ending: Ending
    found: FuturesPlan | None = None
    why: str = ""
    diagnosis: Diagnosis | None = None
    broken: tuple[str, ...] = ()


def answer(
    problem: Problem, futures: Futures, risk: Risk, plans: Sequence[Plan], bound_usd: float | None, gap: float
) -> FuturesPlan:
    """Return the answer to futures.

    Arguments:
        problem: the base problem.
        futures: the scenarios.
        risk: how much the worst of them count.
        plans: the plan of the base problem, and that of each scenario.
        bound_usd: what the objective cannot exceed, if it is known.
        gap: the relative gap that was asked for.
    """
    scenarios = tuple(
        ScenarioPlan(
            name=future.name,
            probability_ppm=future.probability_ppm,
            profit_usd=plan.profit_usd,
            profit_by_term_usd=plan.money_by_term_usd,
            plan=plan,
        )
        for future, plan in zip(futures.scenarios, plans[1:], strict=True)
    )
    profits = [(scenario.probability_ppm, scenario.profit_usd) for scenario in scenarios]
    objective = risk.objective_usd(profits)
    bound = None if bound_usd is None else max(bound_usd, objective)
    gross = mean([(s.probability_ppm, sum(s.profit_by_term_usd.get(term, 0.0) for term in REVENUE_TERMS)) for s in scenarios])
    percent = None if bound is None else gap_percent(bound - objective, objective, gross)
    return FuturesPlan(
        futures_name=futures.name,
        futures_digest=futures.digest,
        problem_digest=problem.digest,
        risk=risk,
        commitment_steps=steps_shared(problem.grid, futures, "commitment"),
        set_point_steps=steps_shared(problem.grid, futures, "set_point"),
        expected_usd=mean(profits),
        cvar_usd=risk.cvar_usd(profits),
        objective_usd=objective,
        bound_usd=bound,
        gap_usd=None if bound is None else bound - objective,
        gap_percent=percent,
        status="optimal" if percent is not None and percent <= 100 * gap + 1e-6 else "feasible",
        asked_gap=gap,
        wall_s=0.0,
        cpu_s=0.0,
        solved="",
        plan=plans[0],
        scenarios=scenarios,
    )
