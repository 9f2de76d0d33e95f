"""Plans that count on several courses of prices and temperature at once, instead of on their means.

The forecasts' quantiles become joint paths of the shape of real days (`scenarios.forecast.paths`), a few of which stand for all
(`optimizer.futures`): what is done now is the same in all of them, what is done later answers to the path that comes. The plan
of the base problem, which is that of the means, is carried out. Demand and hashprice are taken at their means.
"""

from dataclasses import dataclass

from models.futures import Risk
from models.problem import Problem
from models.reading import BadInputError
from optimizer.futures import optimise_futures
from optimizer.making import Result
from optimizer.solve import optimise
from scenarios.backtest.history import AMBIENT, PRICE, History
from scenarios.backtest.modelled import Model
from scenarios.forecast.paths import futures, joint_paths, reduced

ALONE = "means alone"
"""How it begins to say why a plan counts on no paths."""


@dataclass(frozen=True)
class Stochastic:
    """Plans the windows of a history over a few paths of its models' forecasts; seed: of what cannot be told apart by rank."""

    history: History
    model: Model
    paths: int
    risk: Risk
    gap: float
    budget_s: float
    seed: int

    def __call__(self, first: int, problem: Problem) -> Result:
        """Return the plan of a window; that of its means alone where there are no paths, and says so."""
        names = {("prices_usd_per_mwh", name): PRICE + name for name in problem.prices_usd_per_mwh}
        names |= {("ambient_c", name): AMBIENT + name for name in problem.ambient_c}
        told = {subject: self.model.forecast(self.history, name, first, problem.grid) for subject, name in names.items()}
        now = problem.grid.start
        try:
            known = {subject: forecast for subject, forecast in told.items() if forecast is not None}
            past = {subject: self.history.past[names[subject]] for subject in known}
            few = reduced(joint_paths(known, past, self.seed), self.paths)
            courses = futures(problem, few, f"paths-{first}")
        except (ValueError, BadInputError) as error:
            alone = optimise(problem, gap=self.gap, budget_s=self.budget_s, now=now, seed=self.seed)
            return Result(alone.ending, plan=alone.plan, why=f"{ALONE}: {error}"[:500])
        found = optimise_futures(problem, courses, self.risk, gap=self.gap, budget_s=self.budget_s, now=now, seed=self.seed)
        return Result(found.ending, plan=None if found.found is None else found.found.plan, why=found.why)
