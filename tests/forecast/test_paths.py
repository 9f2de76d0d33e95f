"""Joint paths: margins as forecast, together as real days were, the same for the same seed, and few that stand for many."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy.special import ndtri

from models.forecast import LEVELS_PPM, Forecast
from models.reading import BadInputError
from models.time_grid import TimeGrid, hourly
from scenarios.feed import reference_problem
from scenarios.forecast.paths import HASHPRICE, Paths, futures, joint_paths, reduced
from scenarios.local_clock import DAY_S, HOUR_S, seconds
from scenarios.timed import Timed

START = datetime(2026, 11, 22, 8, tzinfo=UTC)
GRID = hourly(START, 24)
DAYS = 150
WEST, NORTH, COAST = (("prices_usd_per_mwh", name) for name in ("west", "north", "coast"))
SUBJECTS = (COAST, NORTH, WEST)


def history():
    """West and north share most of what surprises them, hour by hour and for the whole day; the coast goes its own way."""
    rng = np.random.default_rng(5)
    hours = seconds(START) - DAYS * DAY_S + HOUR_S * np.arange(DAYS * 24)

    def course(of_day, of_hour):
        return 30 + 10 * np.sin(np.arange(DAYS * 24) * 2 * np.pi / 24) + np.repeat(of_day, 24) + of_hour

    def noise(size, count=DAYS):
        return rng.normal(0, size, count)

    day, hour = noise(8), noise(3, DAYS * 24)
    values = {
        WEST: course(day, hour),
        NORTH: course(day + noise(2), hour + noise(1, DAYS * 24)),
        COAST: course(noise(8), noise(3, DAYS * 24)),
    }
    return {
        subject: Timed(subject[1], "USD/MWh", "UTC", HOUR_S, hours, hours + HOUR_S, course) for subject, course in values.items()
    }


def forecast(subject, middle=40.0, spread=10.0, grid=GRID, issued_at=START):
    """A forecast whose upper half is twice as wide as its lower one."""
    scores = ndtri(np.array(LEVELS_PPM) / 1e6)
    rise = middle + np.arange(grid.steps) / 2
    rows = rise[None, :] + spread * np.where(scores > 0, 2 * scores, scores)[:, None]
    return Forecast(
        name=subject[1] or "hashprice", unit="USD/MWh", issued_at=issued_at, grid=grid, values=tuple(map(tuple, rows.tolist())),
        mean=tuple(rise.tolist()), model="test 1", yardstick=tuple(rise.tolist()),
    )  # fmt: skip


def forecasts():
    return {subject: forecast(subject) for subject in SUBJECTS}


@pytest.fixture(scope="module")
def paths():
    return joint_paths(forecasts(), history(), seed=1)


def test_every_margin_is_the_forecast(paths):
    """At each step and of each series, the share of paths below a quantile is its level."""
    made = forecasts()
    for place, subject in enumerate(paths.subjects):
        for ppm, row in zip(LEVELS_PPM, made[subject].values, strict=True):
            below = (paths.values[:, place, :] <= np.array(row)).mean(axis=0)
            assert below == pytest.approx([ppm / 1e6] * 24, abs=1.0 / len(paths.values))


def test_the_tails_go_on_as_those_of_a_normal_do(paths):
    total = len(paths.values)
    highest = 40 + 10 * 2 * ndtri(1 - 0.5 / total)
    assert paths.values[:, 0, 0].max() == pytest.approx(highest, rel=0.01)


def test_what_was_high_together_is_high_together(paths):
    """Ranks of real days: west with north, an hour with the next, and the coast with nobody; those of the history."""
    assert paths.subjects == SUBJECTS

    def correlation(a, b):
        return float(np.corrcoef(ranks(a), ranks(b))[0, 1])

    coast, north, west = (paths.values[:, place, :] for place in range(3))
    assert correlation(west[:, 12], north[:, 12]) > 0.85
    assert correlation(west[:, 12], west[:, 13]) > 0.75
    assert correlation(west[:, 2], west[:, 20]) > 0.75
    assert abs(correlation(west[:, 12], coast[:, 12])) < 0.25
    known = history()[WEST].values.reshape(DAYS, 24)
    anomaly = known - known.mean(axis=0)
    assert correlation(west[:, 2], west[:, 20]) == pytest.approx(correlation(anomaly[:, 2], anomaly[:, 20]), abs=0.1)


def ranks(values):
    return np.asarray(values).argsort().argsort()


def test_the_same_seed_gives_the_same_paths_and_the_future_of_history_changes_none():
    one, two = (reduced(joint_paths(forecasts(), history(), seed=3), 8) for _ in range(2))
    assert np.array_equal(one.values, two.values)
    assert one.probability_ppm == two.probability_ppm
    known = {subject: known_later(series) for subject, series in history().items()}
    late = reduced(joint_paths(forecasts(), known, seed=3), 8)
    assert np.array_equal(one.values, late.values)


def known_later(series):
    """The same, and a wild value of the last day that is told after the forecast was issued."""
    starts = np.append(series.starts_s, series.starts_s[-1])
    known = np.append(series.known_s, seconds(START) + 1)
    return Timed(series.name, series.unit, "UTC", HOUR_S, starts, known, np.append(series.values, 9_000.0))


def test_few_paths_stand_for_all(paths):
    few = reduced(paths, 10)
    assert len(few.values) == 10
    assert sum(few.probability_ppm) == 1_000_000
    assert min(few.probability_ppm) > 0
    weights = np.array(few.probability_ppm) / 1e6
    mean, every = np.tensordot(weights, few.values, 1), paths.values.mean(axis=0)
    assert np.abs(mean - every).mean() < 0.25 * paths.values.std(axis=0).mean()
    assert np.sqrt(np.tensordot(weights, (few.values - mean) ** 2, 1)).mean() > 0.5 * paths.values.std(axis=0).mean()
    assert reduced(paths, len(paths.values)).probability_ppm == paths.probability_ppm
    with pytest.raises(ValueError, match="count: expected from 1 to"):
        reduced(paths, 0)


def test_equal_paths_share_one_chance_and_none_is_lost():
    """Of four paths, two are equal: three of them stand for all, and the chance of the twins stays together."""
    values = np.array([0.0, 10.0, 10.0, 30.0])[:, None, None] * np.ones((1, 1, 4))
    few = reduced(Paths((WEST,), values, (250_000,) * 4), 3)
    assert sorted(few.values[:, 0, 0]) == [0.0, 10.0, 30.0]
    assert sorted(few.probability_ppm) == [250_000, 250_000, 500_000]


def test_what_cannot_be_joined_is_refused_by_name():
    with pytest.raises(ValueError, match=r"expected the history of every series, that of .*west"):
        joint_paths(forecasts(), {s: t for s, t in history().items() if s != WEST}, seed=1)
    with pytest.raises(ValueError, match="expected forecasts over one grid, got 2 grids"):
        joint_paths({**forecasts(), WEST: forecast(WEST, grid=hourly(START, 12))}, history(), seed=1)
    short = {subject: series.between(START - timedelta(days=15), START) for subject, series in history().items()}
    with pytest.raises(ValueError, match="expected at least 20 windows of history that hold all series, got 1"):
        joint_paths(forecasts(), short, seed=1)


def test_steps_of_several_lengths_take_the_means_of_history():
    grid = TimeGrid(start=START, step_s=(900,) * 4 + (3_600,) * 3 + (7_200,) * 2)
    made = {subject: forecast(subject, grid=grid) for subject in SUBJECTS}
    assert joint_paths(made, history(), seed=1).values.shape[1:] == (3, 9)


def test_paths_become_the_futures_of_a_problem():
    problem = reference_problem(START, hours=24)
    index, workload = sorted(problem.prices_usd_per_mwh)[0], sorted(problem.demand_work_per_h)[0]
    subjects = (("demand_work_per_h", workload), HASHPRICE, ("prices_usd_per_mwh", index))
    made = {subject: forecast(subject) for subject in subjects}
    known = dict(zip(subjects, history().values(), strict=True))
    found = futures(problem, reduced(joint_paths(made, known, seed=1), 8), "eight")
    assert sum(f.probability_ppm for f in found.scenarios) == 1_000_000
    assert len(found.problems(problem)) == 8
    one = found.scenarios[0]
    assert set(one.prices_usd_per_mwh) == {index}
    assert set(one.demand_work_per_h) == {workload}
    assert one.hashprice_usd_per_ph_day is not None
    stranger = {("prices_usd_per_mwh", "nowhere"): forecast(WEST)}
    with pytest.raises(BadInputError, match="nowhere"):
        futures(problem, reduced(joint_paths(stranger, {next(iter(stranger)): history()[WEST]}, seed=1), 2), "none")
