"""Plans that follow another: what a plan made from the last one costs, against a cold plan of the same problem.

    moved      the next hour: the window and the state one step on, what was planned for it carried out
    refreshed  the same hours at other prices: each index off by up to a twentieth, hashprice by up to a hundredth

Both plans are whole plans, audit included, to the same gap. The plan before is made first and not counted.
"""

from typing import Any

import numpy as np

from benchmarks.fleets import fleet
from benchmarks.measuring import Figures, Spent
from models.problem import Problem

BUDGET_S = 600.0
PRICE_SHARE, HASHPRICE_SHARE = 0.05, 0.01


def moved(name: str, seed: int, gap: float) -> Figures:
    """Plan an hour, and the next one, cold and from the plan before."""
    from scenarios.advance import advance
    from scenarios.rolling import window

    sites, steps = (int(part) for part in name.split("x"))
    history = fleet(sites, steps + 1, seed=seed)
    first = window(history, 0, steps, history.state)
    before = _planned(first, gap)
    return _compared(window(history, 1, steps, advance(first, before.plan)), before, gap)


def refreshed(name: str, seed: int, gap: float) -> Figures:
    """Plan, and plan again at other prices, cold and from the plan before."""
    sites, steps = (int(part) for part in name.split("x"))
    problem, rng = fleet(sites, steps, seed=seed), np.random.default_rng(seed)

    def other(values: tuple[float, ...], share: float) -> tuple[float, ...]:
        return tuple(np.round(np.array(values) * (1 + rng.uniform(-share, share, len(values))), 4).tolist())

    prices = {index: other(values, PRICE_SHARE) for index, values in problem.prices_usd_per_mwh.items()}
    hashprice = other(problem.hashprice_usd_per_ph_day, HASHPRICE_SHARE)
    content = {field: getattr(problem, field) for field in Problem.model_fields}
    newer = Problem(**{**content, "prices_usd_per_mwh": prices, "hashprice_usd_per_ph_day": hashprice})
    return _compared(newer, _planned(problem, gap), gap)


def _planned(problem: Problem, gap: float, **known: Any) -> Any:
    from optimizer.solve import optimise

    result = optimise(problem, gap=gap, budget_s=BUDGET_S, now=problem.grid.start, **known)
    if result.plan is None:
        raise SystemExit(f"{result.ending}: {result.why}")
    return result


def _compared(problem: Problem, before: Any, gap: float) -> Figures:
    """Plan a problem cold, then from the plan before."""
    spent = Spent()
    cold, cold_cpu_s = _planned(problem, gap), spent.figures()["cpu_s"]
    spent = Spent()
    warm = _planned(problem, gap, warm=before.warm)
    figures = spent.figures()
    return figures | {
        "gap": warm.plan.proof.gap_percent / 100, "gap_cold": cold.plan.proof.gap_percent / 100, "cold_cpu_s": cold_cpu_s,
        "by_cold": figures["cpu_s"] / cold_cpu_s, "way": warm.plan.engine.get("way", ""),
    }  # fmt: skip
