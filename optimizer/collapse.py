"""Which scenarios need no decisions of their own, and are planned as one.

Equal problems are one. Where risk does not count, so are problems that differ only in prices of steps whose set-points
are shared: what is drawn and hashed there is the same in all of them, prices multiply it, and so the mean price decides.
With one problem left there is no recourse, and nothing is solved twice. Where reserves were awarded, what is kept of them
may answer to the price of each step, and no mean price decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from models.digest import digest
from models.futures import Futures, Risk, mean_problem
from models.problem import Problem
from optimizer.stages import steps_shared


@dataclass(frozen=True, eq=False)
class Node:
    """Problems that are planned as one: their weight, that one, and which they are, counted from 0 for the base problem."""

    ppm: int
    problem: Problem
    members: tuple[int, ...]


def nodes(base: Problem, problems: Sequence[Problem], futures: Futures, risk: Risk) -> list[Node]:
    """Return what must be planned together: the base problem, which weighs nothing, with the problems of all scenarios."""
    weighted = [(0, base), *zip((future.probability_ppm for future in futures.scenarios), problems, strict=True)]
    answers_to_prices = bool(risk.weight_share or base.awards)
    priced_once = 0 if answers_to_prices else steps_shared(base.grid, futures, "set_point")
    alike: dict[str, list[int]] = {}
    for place, (_, problem) in enumerate(weighted):
        alike.setdefault(_without_prices_of(problem, priced_once), []).append(place)
    return [_node([(place, *weighted[place]) for place in places]) for places in alike.values()]


def _node(members: Sequence[tuple[int, int, Problem]]) -> Node:
    known = [(ppm, problem) for _, ppm, problem in members if ppm] or [(1, members[0][2])]
    return Node(sum(ppm for _, ppm, _ in members), mean_problem(known), tuple(place for place, _, _ in members))


def _without_prices_of(problem: Problem, steps: int) -> str:
    """Return a digest of all that may differ between scenarios, except the prices of the first steps."""
    content = problem.model_dump(mode="json", include={"ambient_c", "demand_work_per_h"})
    content["hashprice_usd_per_ph_day"] = problem.hashprice_usd_per_ph_day[steps:]
    content["prices_usd_per_mwh"] = {name: series[steps:] for name, series in problem.prices_usd_per_mwh.items()}
    return digest(content)
