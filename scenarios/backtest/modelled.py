"""What trained models say is yet to come: one for each series, trained on what was known by then, anew every week.

Prices: `scenarios.forecast.price` with the day-ahead price beside a real-time one, weighed with naive ones (`blend`); demand,
temperature and hashprice: the models of `scenarios.forecast`. A plan of expected profit takes their means; but of requests that
are answered when they come, or lost at a penalty, it takes the 90 % quantile, as a node that waits costs little beside work
that is lost. Where a model has too little to learn from, or cannot answer for an hour, the naive rule stands in for it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np

from models.forecast import Forecast
from models.time_grid import TimeGrid
from models.workload import InteractiveWorkload
from scenarios.backtest.blend import Blend
from scenarios.backtest.history import AHEAD, AMBIENT, DEMAND, PRICE, History
from scenarios.backtest.knowledge import Families, Naive, as_tuple, as_work, part_of, starts_of
from scenarios.backtest.records import KnowledgeKind
from scenarios.forecast.demand import DemandShape
from scenarios.forecast.hashprice import HashpriceForward
from scenarios.forecast.price import price_forecaster
from scenarios.forecast.temperature import TemperatureAnomaly
from scenarios.timed import Floats

REFIT_STEPS = 168
MOST_BLENDED = 48
"""Steps of a window up to which prices are modelled; those of a whole month are the naive rule's."""
READY_PPM = 900_000
"""Level of the demand for which nodes are kept ready."""
HASHPRICE_LEADS = 8
COLDEST_C, HOTTEST_C = -60.0, 60.0

Answer = Callable[[datetime, TimeGrid], Forecast]


@dataclass
class Model:
    """Means of trained models; what was fitted is kept until the next training."""

    kind: KnowledgeKind = "model"
    words: str = (
        "models trained on what was known, anew every week: temperature, hashprice, demand (requests: the 90 % quantile), and "
        "prices, weighed with day-ahead and last ones by the errors of the last day; naive rules where a model knows too little"
    )
    _naive: Naive = field(default_factory=Naive)
    _blend: Blend = field(default_factory=Blend)
    _fitted: dict[str, tuple[int, Answer | None]] = field(default_factory=dict)

    def families(self, history: History, first: int, steps: int) -> Families:
        """Return the means of what models say from what was known when the window begins."""
        grid, problem = part_of(history.problem.grid, first, steps), history.problem

        def say(
            name: str, fit: Callable[[datetime], Answer], else_: Callable[[], Floats], level_ppm: int | None = None
        ) -> Floats:
            """The mean of a series' model, or a level of it; the naive rule where there is none."""
            answer = self._of(name, first, history, fit)
            if answer is not None:
                try:
                    told = answer(grid.start, grid)
                    return np.array(told.mean if level_ppm is None else told.values[told.levels_ppm.index(level_ppm)])
                except ValueError:
                    pass  # too little is known for this hour: the naive rule says what it can
            return else_()

        naive = self._naive
        prices = {
            name: self._blend.price(history, name, first, steps, partial(self._prices, history, name))
            if steps <= MOST_BLENDED
            else naive.price(history, name, grid)
            for name in problem.prices_usd_per_mwh
        }
        hashprice = say("hashprice", _hashprice(history), partial(naive.hashprice, history, grid))
        lost = {workload.name for workload in problem.fleet.workloads if isinstance(workload, InteractiveWorkload)}
        demand = {
            name: say(
                DEMAND + name,
                _demand(history, name),
                partial(naive.demand, history, name, grid),
                READY_PPM if name in lost else None,
            )
            for name in problem.demand_work_per_h
        }
        ambient = {
            name: say(AMBIENT + name, _ambient(history, name), partial(naive.ambient, history, name, grid))
            for name in problem.ambient_c
        }
        return Families(
            {name: as_tuple(values) for name, values in prices.items()},
            as_tuple(np.maximum(0.0, hashprice)),
            {name: as_work(values) for name, values in demand.items()},
            {name: as_tuple(np.clip(values, COLDEST_C, HOTTEST_C)) for name, values in ambient.items()},
        )

    def _prices(self, history: History, name: str, first: int, steps: int) -> Floats:
        """What the model, the naive rule and the last price say of an index, 3 x steps; a published price is what all say."""
        grid = part_of(history.problem.grid, first, steps)
        naive, told = self._naive.price(history, name, grid), self.forecast(history, PRICE + name, first, grid)
        known = history.past[PRICE + name].known_by(grid.start)
        published = known.at(starts_of(grid))
        last = np.full(steps, naive[0] if known.end < grid.start else known.values[-1])
        said = np.stack([naive if told is None else np.array(told.mean), naive, last])
        return np.where(np.isnan(published), said, published)

    def forecast(self, history: History, name: str, first: int, grid: TimeGrid) -> Forecast | None:
        """Return what the model of a price or temperature says of a window, or nothing where there is none.

        name: of the series in the history's past.
        """
        family, series = name.split(".", 1)
        answer = self._of(name, first, history, (_price if family + "." == PRICE else _ambient)(history, series))
        try:
            return None if answer is None else answer(grid.start, grid)
        except ValueError:
            return None

    def _of(self, name: str, first: int, history: History, fit: Callable[[datetime], Answer]) -> Answer | None:
        """Return the model of a series, trained at the last week's beginning since the period began."""
        training = first // REFIT_STEPS
        if self._fitted.get(name, (-1, None))[0] != training:
            at = history.problem.grid.starts[training * REFIT_STEPS]
            try:
                self._fitted[name] = training, fit(at)
            except ValueError:
                self._fitted[name] = training, None
        return self._fitted[name][1]


def _price(history: History, name: str) -> Callable[[datetime], Answer]:
    past = history.past[PRICE + name]
    beside: Sequence[Any] = [history.past[AHEAD + name]] if AHEAD + name in history.past else []

    def fit(at: datetime) -> Answer:
        fitted = price_forecaster().fit(past, at, beside)
        return lambda now, grid: fitted.forecast(past, now, grid, beside)

    return fit


def _demand(history: History, name: str) -> Callable[[datetime], Answer]:
    past = history.past[DEMAND + name]

    def fit(at: datetime) -> Answer:
        fitted = DemandShape().fit(past, at)
        return lambda now, grid: fitted.forecast(past, now, grid)

    return fit


def _ambient(history: History, name: str) -> Callable[[datetime], Answer]:
    past = history.past[AMBIENT + name]

    def fit(at: datetime) -> Answer:
        fitted = TemperatureAnomaly().fit(past, at)
        return lambda now, grid: fitted.forecast(past, now, grid)

    return fit


def _hashprice(history: History) -> Callable[[datetime], Answer]:
    network = history.network

    def fit(at: datetime) -> Answer:
        if network is None:
            raise ValueError("hashprice: expected the network by day, got none")
        fitted = HashpriceForward().fit(network, at, HASHPRICE_LEADS)
        return lambda now, grid: fitted.forecast(network, now, grid)

    return fit
