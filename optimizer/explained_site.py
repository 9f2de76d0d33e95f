"""What explanations of a plan share: its columns in the fleet, the prices of the hubs, and each site alone at these prices."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from models.plan import Plan
from models.problem import Problem
from optimizer.compile import compile_model
from optimizer.compiled import Compiled, Floats, Ints
from optimizer.formulation import build, data_of, formulate
from optimizer.prices import Prices, fleet_prices
from optimizer.recovery import recover
from optimizer.sets import Release, World
from optimizer.valuation import PlacementError, place


class UnexplainedError(ValueError):
    """A plan, site or step cannot be explained; the message says why."""


@dataclass(frozen=True, eq=False)
class Ground:
    """One plan of a problem, valued: made once, then any site and step of it can be explained."""

    problem: Problem
    plan: Plan
    release: Release
    fleet: Compiled
    x: Floats
    prices: Prices

    def site_alone(self, site: str) -> tuple[Compiled, Floats]:
        """Return the model of one site at the hub prices, and the plan's columns in it."""
        alone = build(self.problem, "sites", sites=[site], release=self.release)
        x = np.zeros(len(alone.cost))
        for name, columns in alone.columns.items():
            x[columns] = self.x[self.fleet.columns[name][_places(self.fleet, alone, name)]]
        return self.prices.priced(alone), x

    def raised(self, site: str, step: int, by_w: int) -> Compiled:
        """Return the model of one site at the hub prices with the limit of one step raised."""
        here = RaisedWorld(self.problem, (self.problem.fleet.site_by_name[site],), self.release, step, by_w)
        model = formulate("sites")
        return self.prices.priced(compile_model(model, data_of(model, here)))


@dataclass(frozen=True, eq=False)
class RaisedWorld(World):
    """A world whose limits are `by_w` higher in one step, whatever sets them: connection, series or order."""

    step: int = 0
    by_w: int = 0

    @cached_property
    def effective_limit_w(self) -> Ints:
        """Lowest of connection, limit series and orders in force, by site and step, raised."""
        limits = np.array(super().effective_limit_w)
        limits[:, self.step] += self.by_w
        return limits


def ground(problem: Problem, plan: Plan, *, deadline_s: float, memory_bytes: int) -> Ground:
    """Return a plan made ready for explanations.

    Raises:
        UnexplainedError: the plan does not answer this problem.
        UnpricedError: the prices could not be found in the time.
    """
    if plan.problem_digest != problem.digest:
        raise UnexplainedError(f"plan {plan.plan_id} answers another problem than {problem.name}")
    release = recover(problem).release
    fleet = build(problem, release=release)
    try:
        x = place(problem, fleet, plan)
    except PlacementError as error:
        raise UnexplainedError(f"plan {plan.plan_id} does not fit its problem: {error}") from None
    return Ground(
        problem, plan, release, fleet, x, fleet_prices(problem, fleet, deadline_s=deadline_s, memory_bytes=memory_bytes)
    )


def _places(fleet: Compiled, alone: Compiled, name: str) -> tuple[Ints, ...]:
    """Where the members of a family of one site stand in the same family of the fleet."""
    positions = []
    for there, here in zip(fleet.column_families[name].labels, alone.column_families[name].labels, strict=True):
        place_of = {label: n for n, label in enumerate(there)}
        positions.append(np.array([place_of[label] for label in here], dtype=np.int64))
    return np.ix_(*positions)
