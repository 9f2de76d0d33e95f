"""Random scenarios with probabilities over the random worlds, and what is best over them, worked out beside the front door."""

from collections.abc import Sequence
from random import Random

from solver_child import SolverChild

from models.futures import CERTAIN_PPM, Future, Futures
from models.problem import Problem

PARTS = 20


def futures_of(rng: Random, problem: Problem, count: int = 3, *, recourse_after_s: int | None = None) -> Futures:
    """Return scenarios of a world: prices that jump, hashprice up and down, demand that comes or stays away, other weather."""
    cuts = sorted(rng.sample(range(1, PARTS), count - 1))
    parts = [b - a for a, b in zip([0, *cuts], [*cuts, PARTS], strict=True)]
    return Futures(
        name="chances",
        recourse_after_s=rng.choice((0, 3_600, 7_200, 14_400)) if recourse_after_s is None else recourse_after_s,
        scenarios=tuple(_future(rng, problem, n, part * CERTAIN_PPM // PARTS) for n, part in enumerate(parts)),
    )


def _future(rng: Random, problem: Problem, number: int, ppm: int) -> Future:
    prices = {name: tuple(_jump(rng, usd) for usd in series) for name, series in problem.prices_usd_per_mwh.items()}
    demand = {name: tuple(work * rng.choice((0, 1, 2)) for work in series) for name, series in problem.demand_work_per_h.items()}
    warmer = rng.choice((0.0, 0.0, 1.5))
    hashprice = rng.choice((0.3, 1.0, 1.7))
    return Future(
        name=f"future-{number}",
        probability_ppm=ppm,
        hashprice_usd_per_ph_day=tuple(usd * hashprice for usd in problem.hashprice_usd_per_ph_day),
        prices_usd_per_mwh=prices,
        ambient_c={name: tuple(c + warmer for c in series) for name, series in problem.ambient_c.items()},
        demand_work_per_h=demand,
    )


def _jump(rng: Random, usd_per_mwh: float) -> float:
    return rng.choice((usd_per_mwh, usd_per_mwh, usd_per_mwh + 40.0, -15.0, 180.0))


def split(futures: Futures, into: Sequence[int]) -> Futures:
    """Return the same futures with the first scenario given as several equal ones, whose probabilities add up to its own."""
    first, *others = futures.scenarios
    assert sum(into) == first.probability_ppm
    twins = [first.model_copy(update={"name": f"{first.name}-{n}", "probability_ppm": ppm}) for n, ppm in enumerate(into)]
    return Futures.model_validate(futures.model_copy(update={"scenarios": (*twins, *others)}).model_dump())


def best_usd(child: SolverChild, compiled) -> float | None:
    """Return the optimum of a model, or None where it has none."""
    answer = child.solve(compiled)
    return None if answer.x is None else compiled.objective(answer.x)
