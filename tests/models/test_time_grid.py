"""The grid: steps of any length, and local days of 23 and 25 hours."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.time_grid import LocalDays, TimeGrid, hourly, local_day_grid, local_day_steps, local_midnight

START = datetime(2026, 3, 8, 6, tzinfo=UTC)

CLOCK_CHANGES = [
    # zone, day, hours of that day
    ("America/Chicago", date(2026, 3, 8), 23),
    ("America/Chicago", date(2026, 11, 1), 25),
    ("America/New_York", date(2026, 11, 1), 25),
    ("America/New_York", date(2027, 3, 14), 23),
    ("Europe/Berlin", date(2026, 3, 29), 23),
    ("Europe/Berlin", date(2026, 10, 25), 25),
    ("Australia/Lord_Howe", date(2026, 10, 4), 23.5),
    ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
    ("Asia/Muscat", date(2026, 3, 8), 24),
    ("Asia/Kolkata", date(2026, 10, 25), 24),
    ("Africa/Addis_Ababa", date(2026, 3, 29), 24),
]


@pytest.mark.parametrize(("zone", "day", "hours"), CLOCK_CHANGES)
def test_a_local_day_has_the_hours_that_its_zone_gives_it(zone, day, hours):
    assert local_day_steps(zone, day, 900) == hours * 4
    grid = local_day_grid(zone, day, step_s=1800)
    assert sum(grid.hours) == hours
    assert grid.end == local_midnight(zone, day + timedelta(days=1))


@pytest.mark.parametrize(("zone", "day", "hours"), CLOCK_CHANGES)
def test_a_declared_day_refuses_any_other_number_of_steps(zone, day, hours):
    declared = LocalDays(zone=zone, first=day, days=1)
    for wrong in {23.0, 24.0, 25.0} - {hours}:
        steps = (1800,) * int(wrong * 2)
        with pytest.raises(ValidationError, match=rf"\({hours:g} h\); .*\({len(steps)} steps, {wrong:g} h\)"):
            TimeGrid(start=declared.start, step_s=steps, local_days=declared)


@given(st.lists(st.sampled_from([300, 900, 1800, 3600]), min_size=1, max_size=60))
def test_steps_follow_each_other_without_gap(step_s):
    grid = TimeGrid(start=START, step_s=tuple(step_s))
    ends = [s + timedelta(seconds=n) for s, n in zip(grid.starts, step_s, strict=True)]
    assert ends[:-1] == list(grid.starts[1:])
    assert ends[-1] == grid.end
    assert sum(grid.hours) * 3600 == pytest.approx(sum(step_s))


def test_an_instant_enters_with_its_offset_and_leaves_in_utc():
    grid = TimeGrid.model_validate_json('{"start": "2026-03-08T00:00:00-06:00", "step_s": [3600]}')
    assert grid.start == START
    assert '"2026-03-08T06:00:00Z"' in grid.model_dump_json()


@pytest.mark.parametrize("start", ["2026-03-08T00:00:00", "noon", 0, 1.5, True, None])
def test_a_start_without_offset_is_refused(start):
    with pytest.raises(ValidationError, match="offset"):
        TimeGrid.model_validate({"start": start, "step_s": (3600,)})


def test_hourly_is_a_grid_of_hours():
    assert hourly(START, 48).end - START == timedelta(days=2)
