"""Futures of a problem out of the history of its series: a forecast of each, joint paths over all, few that stand for them."""

from collections.abc import Mapping
from datetime import datetime

import numpy as np

from models.forecast import LEVELS_PPM, Forecast
from models.futures import Futures
from models.problem import Problem
from models.time_grid import TimeGrid
from scenarios.forecast.paths import RECOURSE_AFTER_S, Subject, futures, joint_paths, reduced
from scenarios.forecast.training import ahead, forecaster_of, in_hours
from scenarios.history_file import KINDS
from scenarios.local_clock import HOUR_S, seconds
from scenarios.timed import Floats, Timed


def problem_futures(
    problem: Problem, history: Mapping[Subject, Timed], *, count: int, seed: int, at: datetime | None = None,
    recourse_after_s: int = RECOURSE_AFTER_S,
) -> Futures:  # fmt: skip
    """Return the futures of a problem: its series that have a history, as they are forecast from what was known at an instant.

    at: where the problem begins, unless told otherwise. Series of the history that the problem does not have are left out;
    series of the problem without history stay as they are in every path.

    Raises:
        ValueError: no series of the problem has a history, one is too short, or `count` is more than its windows; in words.
    """
    at = at or problem.grid.start
    wanted = {subject: past for subject, past in history.items() if _has(problem, subject)}
    if not wanted:
        raise ValueError(f"history: expected a series of the problem, got {sorted(history)}")
    forecasts = {subject: _over(past, KINDS[subject[0]], at, problem.grid) for subject, past in wanted.items()}
    known = {subject: in_hours(past, at) for subject, past in wanted.items()}
    made = reduced(joint_paths(forecasts, known, seed), count)
    models = sorted({forecast.model for forecast in forecasts.values()})
    source = f"forecast at {at:%Y-%m-%dT%H:%M:%SZ} by {', '.join(models)}; joint paths of seed {seed}"
    return futures(problem, made, f"forecast-{count}", recourse_after_s=recourse_after_s, source=source)


def _has(problem: Problem, subject: Subject) -> bool:
    family, name = subject
    return name == "" or name in getattr(problem, family)


def _over(past: Timed, kind: str, at: datetime, grid: TimeGrid) -> Forecast:
    """Return the forecast of a series over any grid; hours that are told already are as told, with no spread."""
    forecaster = forecaster_of(kind)
    assert forecaster is not None, kind
    known = in_hours(past, at)
    if not len(known):
        raise ValueError(f"{past.name}: expected values known by {at:%Y-%m-%dT%H:%MZ}, got none")
    hours = -(-int((grid.end - at).total_seconds()) // HOUR_S)
    made = forecaster.fit(known, at).forecast(known, at, ahead(known, at, hours))
    start_s = seconds(grid.start) // HOUR_S * HOUR_S
    whole = np.arange(start_s, seconds(grid.end), HOUR_S)
    told = known.at(whole)
    rows = np.tile(told, (len(LEVELS_PPM) + 2, 1))
    place = (whole - seconds(made.grid.start)) // HOUR_S
    open_ = np.isnan(told)
    if open_.any() and place[open_].min() < 0:
        raise ValueError(f"{past.name}: expected the hours from {grid.start:%Y-%m-%dT%H:%MZ} on without a gap in what is told")
    rows[:, open_] = np.array([*made.values, made.mean, made.yardstick])[:, place[open_]]
    steps = _by_step(rows, grid, start_s)
    return made.model_copy(update={
        "grid": grid, "values": tuple(map(tuple, steps[:-2].tolist())), "mean": tuple(steps[-2].tolist()),
        "yardstick": tuple(steps[-1].tolist()),
    })  # fmt: skip


def _by_step(rows: Floats, grid: TimeGrid, start_s: int) -> Floats:
    """Return means over the steps of a grid of rows by hour, by how much of each hour lies in a step."""
    cumulated = np.concatenate([np.zeros((len(rows), 1)), np.cumsum(rows, axis=1)], axis=1) * HOUR_S
    edges = np.array([seconds(s) for s in (*grid.starts, grid.end)]) - start_s
    at = np.stack([np.interp(edges, np.arange(cumulated.shape[1]) * HOUR_S, row) for row in cumulated])
    return np.asarray(np.diff(at, axis=1) / np.diff(edges), np.float64)
