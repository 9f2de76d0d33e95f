"""Joint scenario paths out of forecasts: each series keeps its quantiles, all together the shape of real days.

Templates are windows of history that begin at the same time of day as the grid, all series known throughout. What nobody
expected of them is taken for each series and step (the value less the mean of the same hour in the week before the window);
its rank among all M windows, r of M, becomes the level (r + 1/2) / M of the forecast's quantiles there. So every margin is
the forecast's, and what was high together in a real window, over hours and over series, is high together in its path (the
Schaake shuffle: Clark et al. 2004). Between levels a quantile is linear in normal scores, and so are the tails.

Few paths stand for all: fast forward selection (Heitsch and Römisch 2003) picks those that leave the least distance to all
M, each of which gives its weight to the nearest. Probabilities are parts per million and add up to a million.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from models.forecast import Forecast
from models.futures import CERTAIN_PPM, UNCERTAIN, Future, Futures
from models.problem import Problem
from models.time_grid import TimeGrid
from scenarios.local_clock import DAY_S, seconds
from scenarios.timed import Floats, Timed

HASHPRICE = ("hashprice_usd_per_ph_day", "")
"""The one series that has no name of its own."""
LEAST_TEMPLATES, MOST_TEMPLATES = 20, 200
LOOK_BACK_DAYS = 730
WEEK = 7
RECOURSE_AFTER_S = 21_600

Subject = tuple[str, str]
"""A family of series as a `Problem` names it, and a series of it."""


@dataclass(frozen=True, eq=False)
class Paths:
    """Courses of several series: path × series × step, and the chance of each path in parts per million."""

    subjects: tuple[Subject, ...]
    values: Floats
    probability_ppm: tuple[int, ...]


def joint_paths(forecasts: Mapping[Subject, Forecast], history: Mapping[Subject, Timed], seed: int) -> Paths:
    """Return equally likely paths, one for each window of history, at most 200.

    forecasts: all over one grid and issued at one instant; only what was known then is taken from `history`, in the same
    units or others: ranks alone count.

    Raises:
        ValueError: no forecast, forecasts of several grids, a series without history, or fewer than 20 windows of it.
    """
    subjects = tuple(sorted(forecasts))
    if not subjects or len({forecasts[s].grid for s in subjects}) != 1:
        raise ValueError(f"expected forecasts over one grid, got {len({f.grid for f in forecasts.values()})} grids")
    if missing := [subject for subject in subjects if subject not in history]:
        raise ValueError(f"expected the history of every series, that of {missing} is missing")
    at = min(f.issued_at for f in forecasts.values())
    rng = np.random.default_rng(seed)
    surprises = _surprises([history[s].known_by(at) for s in subjects], forecasts[subjects[0]].grid, rng)
    jittered = surprises + rng.uniform(0, 1e-9, surprises.shape) * np.maximum(1.0, np.abs(surprises))
    ranks = jittered.argsort(axis=0).argsort(axis=0)
    levels = (ranks + 0.5) / len(ranks)
    values = np.stack([_at_levels(forecasts[s], levels[:, n]) for n, s in enumerate(subjects)], axis=1)
    return Paths(subjects, values, _whole_ppm(np.full(len(ranks), 1 / len(ranks))))


def reduced(paths: Paths, count: int) -> Paths:
    """Return the `count` paths that stand best for all, with the chances of those that are nearest to them.

    Distances are absolute, by step and series in units of its spread; families of series count alike.

    Raises:
        ValueError: `count` is not from 1 to the number of paths.
    """
    total = len(paths.probability_ppm)
    if not 1 <= count <= total:
        raise ValueError(f"count: expected from 1 to {total}, the number of windows of history, got {count}")
    spread = paths.values.std(axis=0)
    families = [subject[0] for subject in paths.subjects]
    weights = np.array([1 / families.count(family) for family in families])
    scaled = np.divide(paths.values, spread, out=np.zeros_like(paths.values), where=spread > 0) * weights[:, None]
    flat = scaled.reshape(total, -1)
    apart = np.stack([np.abs(flat - one).sum(axis=1) for one in flat])
    chance = np.array(paths.probability_ppm) / CERTAIN_PPM
    chosen: list[int] = []
    nearest = np.full(total, np.inf)
    for _ in range(count):
        left = (np.minimum(nearest[None, :], apart) * chance).sum(axis=1)
        left[chosen] = np.inf
        chosen.append(int(np.argmin(left)))
        nearest = np.minimum(nearest, apart[chosen[-1]])
    chosen.sort()
    goes_to = np.argmin(apart[chosen], axis=0)
    goes_to[chosen] = np.arange(count)
    return Paths(paths.subjects, paths.values[chosen], _whole_ppm(np.bincount(goes_to, chance, count).astype(np.float64)))


def futures(problem: Problem, paths: Paths, name: str, *, recourse_after_s: int = RECOURSE_AFTER_S, source: str = "") -> Futures:
    """Return paths as the futures of a problem, of whose grid they are.

    Raises:
        models.reading.BadInputError: a series that the problem does not have, or of another length.
        pydantic.ValidationError: a value that no problem may hold.
    """
    scenarios = []
    for number, ppm in enumerate(paths.probability_ppm):
        fields: dict[str, Any] = {family: {} for family in UNCERTAIN}
        for place, subject in enumerate(paths.subjects):
            course = paths.values[number, place]
            if subject == HASHPRICE:
                fields[HASHPRICE[0]] = tuple(np.maximum(0.0, course).round(6).tolist())
            elif subject[0] == "demand_work_per_h":
                fields[subject[0]][subject[1]] = tuple(round(max(0.0, v)) for v in course)
            else:
                fields[subject[0]][subject[1]] = tuple(course.round(6).tolist())
        scenarios.append(Future(name=f"path-{number + 1}", probability_ppm=ppm, **fields))
    made = Futures(name=name, recourse_after_s=recourse_after_s, scenarios=tuple(scenarios), source=source)
    made.problems(problem)
    return made


def _surprises(histories: list[Timed], grid: TimeGrid, rng: np.random.Generator) -> Floats:
    """Return what was unexpected of windows of history: windows × series × steps, of the latest 400 at most 200."""
    backs = np.arange(1, LOOK_BACK_DAYS + 1)
    found = np.stack([_unexpected(one, grid, backs) for one in histories], axis=1)
    whole = found[np.isfinite(found).all(axis=(1, 2))][: 2 * MOST_TEMPLATES]
    if len(whole) < LEAST_TEMPLATES:
        raise ValueError(f"expected at least {LEAST_TEMPLATES} windows of history that hold all series, got {len(whole)}")
    return np.asarray(whole[np.sort(rng.permutation(len(whole))[:MOST_TEMPLATES])], np.float64)


def _unexpected(one: Timed, grid: TimeGrid, backs: NDArray[np.int64]) -> Floats:
    """Return the windows so many days before a grid, less what is known of the same hours in the week before each, as a mean."""
    if not len(one):
        return np.full((len(backs), grid.steps), np.nan)
    first_days = -(-sum(grid.step_s) // DAY_S)
    values = _shifted(one, grid, np.arange(1, backs[-1] + first_days + WEEK))
    total, count = np.zeros((len(backs), grid.steps)), np.zeros((len(backs), grid.steps))
    for days in range(first_days, first_days + WEEK):
        before = values[backs - 1 + days]
        known = np.isfinite(before)
        total += np.where(known, before, 0.0)
        count += known
    expected = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return np.asarray(values[: len(backs)] - expected, np.float64)


def _shifted(one: Timed, grid: TimeGrid, backs: NDArray[np.int64]) -> Floats:
    """Return means over the steps of a grid so many days earlier: days × steps; not a number where a part is missing."""
    start = seconds(grid.start)
    piece_s = gcd(one.step_s, *grid.step_s, abs(start - int(one.starts_s[0])))
    counts = np.array(grid.step_s) // piece_s
    at = start + piece_s * np.arange(counts.sum(), dtype=np.int64) - DAY_S * backs[:, None]
    pieces = one.at(at.ravel()).reshape(at.shape)
    firsts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    return np.asarray(np.add.reduceat(pieces, firsts, axis=1) / counts, np.float64)


def _at_levels(forecast: Forecast, levels: Floats) -> Floats:
    """Return the quantiles of a forecast at levels that differ by path and step: paths × steps."""
    knots = ndtri(np.array(forecast.levels_ppm) / 1e6)
    rows = np.array(forecast.values)
    scores = ndtri(levels)
    place = np.clip(np.searchsorted(knots, scores) - 1, 0, len(knots) - 2)
    steps = np.arange(rows.shape[1])
    low, high = rows[place, steps], rows[place + 1, steps]
    return np.asarray(low + (high - low) * (scores - knots[place]) / (knots[place + 1] - knots[place]), np.float64)


def _whole_ppm(chances: Floats) -> tuple[int, ...]:
    """Return chances as parts per million that add up to a million: the largest remainders are rounded up."""
    exact = chances / chances.sum() * CERTAIN_PPM
    whole = np.floor(exact).astype(int)
    for place in np.argsort(whole - exact, kind="stable")[: CERTAIN_PPM - int(whole.sum())]:
        whole[place] += 1
    return tuple(int(ppm) for ppm in whole)
