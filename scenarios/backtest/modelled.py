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
from scenarios.backtest.history import AHEAD, AMBIENT, DEMAND, HASHPRICE, PRICE, History
from scenarios.backtest.knowledge import Families, Naive, as_tuple, as_work, part_of, starts_of
from scenarios.backtest.records import KnowledgeKind, StandInReason
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
MOST_WORDS = 300

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
    _fitted: dict[str, tuple[int, Answer | str]] = field(default_factory=dict)
    """By series: of which training, and what it came to: a model, or in words why there is none."""
    _prices_stood_in: dict[tuple[str, int], tuple[StandInReason, str]] = field(default_factory=dict)
    """By index and first step of a window: what is said of it is kept by the blend, and this with it."""

    def families(self, history: History, first: int, steps: int) -> Families:
        """Return the means of what models say from what was known when the window begins."""
        grid, problem = part_of(history.problem.grid, first, steps), history.problem
        stood_in: dict[str, tuple[StandInReason, str]] = {}

        def say(
            name: str, fit: Callable[[datetime], Answer], else_: Callable[[], Floats], level_ppm: int | None = None
        ) -> Floats:
            """The mean of a series' model, or a level of it; the naive rule where there is none."""
            told = self._told(name, first, history, fit, grid)
            if isinstance(told, Forecast):
                return np.array(told.mean if level_ppm is None else told.values[told.levels_ppm.index(level_ppm)])
            stood_in[name] = told
            return else_()

        naive = self._naive
        prices = {
            name: self._blend.price(history, name, first, steps, partial(self._prices, history, name))
            if steps <= MOST_BLENDED
            else naive.price(history, name, grid)
            for name in problem.prices_usd_per_mwh
        }
        for name in problem.prices_usd_per_mwh:
            if steps > MOST_BLENDED:
                stood_in[PRICE + name] = "long_window", f"{steps} steps, of which models look at {MOST_BLENDED} at most"
            elif (why := self._prices_stood_in.get((name, first))) is not None:
                stood_in[PRICE + name] = why
        hashprice = say(HASHPRICE, _hashprice(history), partial(naive.hashprice, history, grid))
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
            stood_in,
        )

    def _prices(self, history: History, name: str, first: int, steps: int) -> Floats:
        """What the model, the naive rule and the last price say of an index, 3 x steps; a published price is what all say."""
        grid = part_of(history.problem.grid, first, steps)
        naive = self._naive.price(history, name, grid)
        told = self._told(PRICE + name, first, history, _price(history, name), grid)
        if not isinstance(told, Forecast):
            self._prices_stood_in[name, first] = told
        known = history.past[PRICE + name].known_by(grid.start)
        published = known.at(starts_of(grid))
        last = np.full(steps, naive[0] if known.end < grid.start else known.values[-1])
        said = np.stack([np.array(told.mean) if isinstance(told, Forecast) else naive, naive, last])
        return np.where(np.isnan(published), said, published)

    def forecast(self, history: History, name: str, first: int, grid: TimeGrid) -> Forecast | None:
        """Return what the model of a price or temperature says of a window, or nothing where there is none.

        name: of the series in the history's past.
        """
        family, series = name.split(".", 1)
        told = self._told(name, first, history, (_price if family + "." == PRICE else _ambient)(history, series), grid)
        return told if isinstance(told, Forecast) else None

    def _told(
        self, name: str, first: int, history: History, fit: Callable[[datetime], Answer], grid: TimeGrid
    ) -> Forecast | tuple[StandInReason, str]:
        """Return what the model of a series says of a window, or why it says nothing."""
        answer = self._of(name, first, history, fit)
        if isinstance(answer, str):
            return "untrained", answer
        try:
            return answer(grid.start, grid)
        except ValueError as error:
            return "unanswered", _words(error)

    def _of(self, name: str, first: int, history: History, fit: Callable[[datetime], Answer]) -> Answer | str:
        """Return the model of a series, trained at the last week's beginning since the period began, or why there is none."""
        training = first // REFIT_STEPS
        if self._fitted.get(name, (-1, ""))[0] != training:
            at = history.problem.grid.starts[training * REFIT_STEPS]
            try:
                self._fitted[name] = training, fit(at)
            except ValueError as error:
                self._fitted[name] = training, _words(error)
        return self._fitted[name][1]


def _words(error: ValueError) -> str:
    return str(error)[:MOST_WORDS]


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
