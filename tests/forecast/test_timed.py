"""A series with two times shows at any moment what was known then, and fills nothing."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.time_grid import TimeGrid, hourly, local_day_grid
from scenarios.local_clock import instant, local_midnight_s, local_s, seconds
from scenarios.timed import Timed, first_of, joined, together

START = datetime(2023, 3, 1, tzinfo=UTC)
START_S = seconds(START)
HOUR = timedelta(hours=1)


def series(rows: list[tuple[int, int, float]], step_s: int = 3600, name: str = "x") -> Timed:
    """A series of rows (start in steps, known in steps, value) from START on."""
    starts, known, values = (np.array(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    at = np.asarray(starts, int) * step_s + START_S
    return Timed(name, "USD/MWh", "UTC", step_s, at, np.asarray(known, int) * step_s + START_S, np.asarray(values, float))


def test_of_each_step_the_newest_value_known_by_then_holds():
    told = series([(0, -5, 10.0), (0, 1, 11.0), (0, 3, 12.0), (1, 2, 20.0)])
    assert [list(told.known_by(START + n * HOUR).values) for n in (-6, -5, 0, 1, 2, 3)] == [
        [],
        [10.0],
        [10.0],
        [11.0],
        [11.0, 20.0],
        [12.0, 20.0],
    ]
    assert list(told.newest().values) == [12.0, 20.0]


@given(
    st.dictionaries(
        st.tuples(st.integers(0, 8), st.integers(-4, 12)), st.floats(-1e4, 1e4, allow_nan=False), min_size=1, max_size=30
    ),
    st.integers(-5, 13),
)
def test_what_is_known_later_never_matters(told: dict[tuple[int, int], float], now: int):
    rows = [(start, known, value) for (start, known), value in told.items()]
    poisoned = [(start, known, value if known <= now else 1e6) for start, known, value in rows]
    at = START + now * HOUR
    seen, again = series(rows).known_by(at), series(poisoned).known_by(at)
    expected = {s: told[s, max(k for t, k in told if t == s and k <= now)] for s, k in told if k <= now}
    assert dict(zip((seen.starts_s - START_S) // 3600, seen.values, strict=True)) == expected
    assert seen.values.tobytes() == again.values.tobytes()
    assert seen.starts_s.tobytes() == again.starts_s.tobytes()


def test_quarters_make_hours_only_where_all_four_are_there():
    quarters = series([(n, n + 1, float(n)) for n in range(12) if n != 6], step_s=900)
    hours = quarters.means()
    assert list(hours.values) == [1.5, 9.5]
    assert list((hours.starts_s - START_S) // 3600) == [0, 2]
    assert list((hours.known_s - START_S) // 3600) == [1, 3]
    assert quarters.gaps() == ((START + 6 * HOUR / 4, START + 7 * HOUR / 4),)


def test_a_grid_of_mixed_steps_takes_means_by_time_and_leaves_gaps():
    quarters = series([(n, n + 1, float(n)) for n in range(12) if n != 6], step_s=900)
    found = quarters.on(TimeGrid(start=START + HOUR / 4, step_s=(900, 1800, 3600, 3600)))
    assert list(found[[0, 1, 3]]) == [1.0, 2.5, 9.5]
    assert np.isnan(found[2])
    halves = series([(0, 0, 4.0), (1, 0, 8.0)]).on(TimeGrid(start=START, step_s=(1800, 3600, 1800, 60)))
    assert list(halves[:3]) == [4.0, 6.0, 8.0]
    assert np.isnan(halves[3])


@pytest.mark.parametrize(("day", "hours"), [(date(2023, 3, 26), 23), (date(2023, 10, 29), 25), (date(2023, 6, 1), 24)])
def test_local_days_of_23_and_25_hours(day: date, hours: int):
    grid = local_day_grid("Europe/Berlin", day)
    whole = Timed("p", "EUR/MWh", "Europe/Berlin", 3600, *(np.array([seconds(at) for at in grid.starts]),) * 2, np.ones(hours))
    local = whole.local_s
    assert len(whole) == hours
    assert set(local // 86400) == {(day - date(1970, 1, 1)).days}
    assert len(set(local)) == min(hours, 24)
    assert local_midnight_s("Europe/Berlin", int(local[0] // 86400)) == seconds(grid.start)


@pytest.mark.parametrize("zone", ["America/Chicago", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"])
def test_the_local_clock_of_arrays_is_that_of_the_zone(zone: str):
    from zoneinfo import ZoneInfo

    at = START_S + 1800 * np.arange(48 * 365)
    expected = [instant(s).astimezone(ZoneInfo(zone)).replace(tzinfo=UTC).timestamp() for s in at]
    assert list(local_s(zone, at)) == expected


def test_the_first_series_that_has_a_step_gives_it_and_says_so():
    real, ahead = series([(0, 1, 1.0), (2, 3, 3.0)]), series([(n, -9, 9.0) for n in range(3)], name="ahead")
    values, which = first_of([real, ahead], START_S + 3600 * np.arange(4))
    assert list(values[:3]) == [1.0, 9.0, 3.0]
    assert np.isnan(values[3])
    assert list(which) == [0, 1, 0, -1]
    starts, both = together([real, ahead])
    assert list((starts - START_S) // 3600) == [0, 2]
    assert both.tolist() == [[1.0, 9.0], [3.0, 9.0]]


def test_parts_are_joined_only_if_they_are_of_one_kind():
    whole = joined([series([(0, 1, 1.0)]), series([(1, 2, 2.0)])])
    assert list(whole.values) == [1.0, 2.0]
    with pytest.raises(ValueError, match="step_s: expected 3600 as x has, got 900"):
        joined([whole, series([(4, 5, 1.0)], step_s=900)])


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([(0, 0, float("nan"))], "expected a finite number, got nan"),
        ([(0, 0, 1.0), (0, 0, 2.0)], "expected one value known at one instant, got two"),
    ],
)
def test_bad_rows_are_refused_in_words(rows: list[tuple[int, int, float]], words: str):
    with pytest.raises(ValueError, match=f"x: 2023-03-01T00:00:00Z: {words}"):
        series(rows)
    with pytest.raises(ValueError, match="expected steps of 3600 s, got an overlap"):
        Timed("x", "USD", "UTC", 3600, np.array([0, 1800]), np.array([0, 0]), np.array([1.0, 2.0]))


def test_means_of_revised_quarters_are_refused():
    with pytest.raises(ValueError, match="ask what was known by"):
        series([(0, 1, 1.0), (0, 2, 2.0)], step_s=900).means()


def test_a_grid_finds_nothing_in_an_empty_series():
    assert np.isnan(series([]).on(hourly(START, 3))).all()
    with pytest.raises(ValueError, match="x: expected at least one step"):
        _ = series([]).first
