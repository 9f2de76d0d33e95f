"""Rolling origin: a forecast every day of months of history from what was known then, scored on what came.

A real-time price is forecast at local midnight for the days that begin then, a day-ahead price at 11:00 for the days after,
before its auction; a step that is known by then, and one that never came, is not scored. Models are fitted anew every so many
days. Those days are a leg: one fit, one file of steps. A leg whose file is there is not done again. An origin at which any model
has too little to stand on is left out of the scores of all, and told with its reason.
"""

import csv
import io
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.base import Name, Record, iso
from models.forecast import REQUIRED_PPM, Forecast
from models.time_grid import LocalDays, local_day_grid, local_midnight
from scenarios.forecast.expert import Expert
from scenarios.forecast.naive import DAY, Naive
from scenarios.forecast.price import Lear
from scenarios.forecast.rows import RowForecaster, Rule
from scenarios.forecast.scores import Score, score
from scenarios.forecast.slices import WEEK
from scenarios.local_clock import HOUR_S, seconds
from scenarios.markets import market, read_market
from scenarios.timed import Timed

BEFORE_AUCTION = timedelta(hours=13)
"""How long before the first day's midnight a day-ahead price is forecast."""
COLUMNS = ("origin", "start", "day", "model", "actual", "p10", "p50", "p90", "mean")
LEFT_OUT = "left out"
OURS, PLAIN = "lear", "expert"
NAIVES = ("yesterday", "last-week")
STUDY: dict[str, date] = {
    "ercot_north": date(2023, 1, 1),
    "caiso_np15": date(2022, 1, 1),
    "pjm_dom": date(2023, 1, 1),
    "nyiso_capital": date(2022, 1, 1),
    "miso_indiana": date(2022, 1, 1),
    "eu_de_lu": date(2023, 1, 1),
    "eu_fr": date(2023, 1, 1),
    "nsw": date(2023, 1, 1),
}
"""Markets of different kinds, twelve months each; those of EIA's files in 2022, for they lack weeks of 2023."""


class Trial(Record):
    """What is scored: the days from `first` on, `days` origins, each for `ahead_days` local days; a fit every `refit_days`."""

    market: Name
    first: date
    days: int = 365
    ahead_days: int = 1
    refit_days: int = 28

    @property
    def legs(self) -> tuple[date, ...]:
        """The first day of each leg."""
        return tuple(self.first + timedelta(days=n) for n in range(0, self.days, self.refit_days))

    def days_of(self, leg: date) -> Iterator[date]:
        """Yield the days of a leg."""
        end = min(leg + timedelta(days=self.refit_days), self.first + timedelta(days=self.days))
        yield from (leg + timedelta(days=n) for n in range((end - leg).days))


class Outcome(Record):
    """Scores by model, over all steps and by how many days ahead; what was left out, by day, and why."""

    trial: Trial
    unit: str
    scores: tuple[Score, ...]
    by_day: dict[int, tuple[Score, ...]]
    left_out: dict[str, str]

    def of(self, model: str, day: int | None = None) -> Score:
        """Return the score of a model, over all steps or those of one day ahead (0 for the first)."""
        return next(one for one in (self.scores if day is None else self.by_day[day]) if one.model == model)

    def gain_share(self, figure: str, over: Sequence[str], day: int | None = None) -> float:
        """Return by what share ours is lower than the lowest of some models in `mae`, `pinball` or `winkler`."""
        best = min(float(getattr(self.of(name, day), figure)) for name in over)
        return 1 - float(getattr(self.of(OURS, day), figure)) / best


@dataclass(frozen=True, eq=False)
class Material:
    """The series of a trial: the price by hour, and what is known beside it."""

    price: Timed
    beside: tuple[Timed, ...]


def material(folder: Path, name: str) -> Material:
    """Return what a market's forecasts stand on, out of the folder of larger data.

    Raises:
        ValueError: no such market, or its file is not there.
    """
    beside = tuple(read_market(folder, ahead) for ahead in [market(name).ahead] if ahead)
    return Material(read_market(folder, name).means(HOUR_S), beside)


def forecasters() -> dict[str, RowForecaster]:
    """Return the models that are compared, by name."""
    rules: dict[str, Rule] = {OURS: Lear(), PLAIN: Expert(), NAIVES[0]: Naive(DAY), NAIVES[1]: Naive(WEEK)}
    return {name: RowForecaster(rule) for name, rule in rules.items()}


def origin(name: str, day: date) -> datetime:
    """Return when a market's forecast for a local day and those after it is made."""
    one = market(name)
    midnight = local_midnight(one.zone, day)
    return midnight if one.auction is None else midnight - BEFORE_AUCTION


def run(trial: Trial, folder: Path, out: Path, progress: Callable[[float, str], None]) -> Outcome:
    """Score a trial, leg by leg, and go on where it was broken off.

    folder: of larger data. out: where legs are kept. progress: hears the share that is done, and which leg.

    Raises:
        ValueError: no such market or file, or `out` holds legs of another trial.
    """
    out.mkdir(parents=True, exist_ok=True)
    known: Material | None = None
    for number, leg in enumerate(trial.legs):
        progress(number / len(trial.legs), f"{trial.market} from {leg}")
        if not (out / f"{leg}.csv").exists():
            known = known or material(folder, trial.market)
            _write(out / f"{leg}.csv", trial, _leg(trial, leg, known))
    return outcome(trial, market(trial.market).currency + "/MWh", out)


def outcome(trial: Trial, unit: str, out: Path) -> Outcome:
    """Return the scores of legs that are there.

    Raises:
        ValueError: they are those of another trial, or nothing was scored.
    """
    rows = [row for leg in trial.legs for row in _read(out / f"{leg}.csv", trial)]
    left_out = {row["origin"]: row["actual"] for row in rows if row["model"] == LEFT_OUT}
    kept = [row for row in rows if row["model"] != LEFT_OUT]
    numbers = np.array([[float(row[name]) for name in COLUMNS[4:]] for row in kept]).reshape(len(kept), 5)
    models, days = np.array([row["model"] for row in kept]), np.array([int(row["day"]) for row in kept])

    def scored(chosen: NDArray[np.bool_]) -> tuple[Score, ...]:
        mine = ((name, numbers[chosen & (models == name)]) for name in (OURS, PLAIN, *NAIVES))
        return tuple(score(name, unit, part[:, 0], part[:, 1:4], part[:, 4]) for name, part in mine)

    every = {int(day): scored(days == day) for day in np.unique(days)}
    return Outcome(trial=trial, unit=unit, scores=scored(days >= 0), by_day=every, left_out=left_out)


def _leg(trial: Trial, leg: date, known: Material) -> Iterator[tuple[str, ...]]:
    first = origin(trial.market, leg)
    fitted = {name: model.fit(known.price, first, known.beside) for name, model in forecasters().items()}
    for day in trial.days_of(leg):
        at, grid = origin(trial.market, day), local_day_grid(known.price.zone, day, trial.ahead_days)
        starts_s = seconds(grid.start) + np.array(grid.offset_s[:-1], np.int64)
        actual = known.price.at(starts_s)
        scored = ~np.isnan(actual) & np.isnan(known.price.known_by(at).at(starts_s))
        if not scored.any():
            yield _left_out(at, "no price of these days ever came, or all are known")
            continue
        try:
            told = {name: model.forecast(known.price, at, grid, known.beside) for name, model in fitted.items()}
        except ValueError as why:
            yield _left_out(at, str(why))
            continue
        ahead = _days_ahead(grid.local_days, grid.starts)
        for name, forecast in told.items():
            for step in np.flatnonzero(scored):
                yield _row(at, forecast, int(step), ahead[step], name, float(actual[step]))


def _days_ahead(days: LocalDays | None, starts: Sequence[datetime]) -> list[int]:
    if days is None:
        return [0] * len(starts)
    ends = [local_midnight(days.zone, days.first + timedelta(days=n + 1)) for n in range(days.days)]
    return [sum(start >= end for end in ends) for start in starts]


def _row(at: datetime, told: Forecast, step: int, day: int, name: str, actual: float) -> tuple[str, ...]:
    numbers = (actual, *(told.at_level(ppm)[step] for ppm in REQUIRED_PPM), told.mean[step])
    return (iso(at), iso(told.grid.starts[step]), str(day), name, *(f"{number:.4f}" for number in numbers))


def _left_out(at: datetime, why: str) -> tuple[str, ...]:
    return (iso(at), "", "", LEFT_OUT, why, "", "", "", "")


def _write(path: Path, trial: Trial, rows: Iterator[tuple[str, ...]]) -> None:
    text = io.StringIO()
    text.write(f"# {trial.model_dump_json()}\n")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(rows)
    unfinished = path.with_suffix(".part")
    unfinished.write_text(text.getvalue())
    os.replace(unfinished, path)


def _read(path: Path, trial: Trial) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        if (head := file.readline().strip()) != f"# {trial.model_dump_json()}":
            raise ValueError(
                f"{path.name}: expected a leg of {trial.model_dump_json()}, got {head or 'nothing'}: give another folder"
            )
        return list(csv.DictReader(file))
