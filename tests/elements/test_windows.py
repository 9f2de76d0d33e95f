"""Time windows against a plain count, second by second or machine by machine."""

from datetime import UTC, datetime, timedelta
from random import Random

import numpy as np
import pytest

from models.state import Cohort
from models.time_grid import TimeGrid
from optimizer.windows import carried, cohort_arrays, held_by, losses, lost_shares, not_yet_due, recent_changes, seconds_after

START = datetime(2026, 1, 5, 12, tzinfo=UTC)
LENGTHS = (60, 120, 300, 420)


def steps_of(rng):
    step_s = np.array([rng.choice(LENGTHS) for _ in range(rng.randint(1, 6))])
    return np.cumsum(step_s) - step_s, step_s


@pytest.mark.parametrize("seed", range(30))
def test_windows_within_the_horizon(seed):
    rng = Random(seed)
    start_s, step_s = steps_of(rng)
    hold_s = rng.choice((0, 1, 59, 60, 300, 421, 900))
    held = {(t, h) for t, a in enumerate(start_s) for h, b in enumerate(start_s) if h == t or 0 < a - b < hold_s}
    assert set(map(tuple, held_by(start_s, hold_s).tolist())) == held
    pairs, shares = lost_shares(start_s, step_s, hold_s)
    lost = {}
    for t, (begin, length) in enumerate(zip(start_s, step_s, strict=True)):
        for h, at in enumerate(start_s):
            seconds = sum(at <= s < at + hold_s for s in range(begin, begin + length))
            if seconds:
                lost[t, h] = seconds / length
    assert dict(zip(map(tuple, pairs.tolist()), shares.tolist(), strict=True)) == pytest.approx(lost)


def one_by_one(start_s, step_s, hold_s, lost_s, ages, most):
    """Follow machines one by one: whoever ran longest is let go first, and stays away; count those that did not work yet."""
    running, held, lost, unready = sorted(-age for age in ages), [], [], []
    for t, (begin, length) in enumerate(zip(start_s.tolist(), step_s.tolist(), strict=True)):
        young = [since for since in running if begin - since < hold_s]
        gone = 0 if most is None else max(0, len(young) - most[t])
        unready.append(sum(begin - since < lost_s for since in young[:gone]))
        if gone:
            running = young = young[gone:]
        held.append(len(young))
        lost.append(sum(max(0, min(since + lost_s, begin + length) - begin) for since in running) / length)
    return held, lost, unready


@pytest.mark.parametrize("seed", range(60))
def test_what_the_past_still_holds_and_loses(seed):
    rng = Random(seed)
    start_s, step_s = steps_of(rng)
    hold_s = rng.choice((60, 300, 900, 1500))
    lost_s = rng.randint(0, hold_s)
    cohorts = [(rng.randint(1, 3), rng.choice((0, 30, 100, 400, 5000))) for _ in range(rng.randint(0, 4))]
    ages = [age for count, age in cohorts for _ in range(count)]
    free, _, _ = one_by_one(start_s, step_s, hold_s, lost_s, ages, None)
    most = None
    if seed % 3:  # what a recovery leaves never grows
        left, most = len(ages), []
        for held in free:
            left = min(left, rng.choice((left, max(0, left - rng.randint(0, 2)))))
            most.append(min(held, left))
    changed_s = np.array([-age for _, age in cohorts], dtype=np.int64)
    count = np.array([count for count, _ in cohorts], dtype=np.int64)
    held, lost, unready = carried(start_s, step_s, hold_s, lost_s, changed_s, count, most)
    expected_held, expected_lost, expected_unready = one_by_one(start_s, step_s, hold_s, lost_s, ages, most)
    assert held.tolist() == expected_held
    assert lost == pytest.approx(expected_lost)
    assert unready.tolist() == expected_unready


@pytest.mark.parametrize("seed", range(30))
def test_work_may_wait_until_it_is_due(seed):
    rng = Random(seed)
    start_s, step_s = steps_of(rng)
    deadline_s = rng.choice((0, 60, 90, 300, 10_000))
    per_s = np.array([rng.randint(0, 3) for _ in step_s])
    lots, due_s = np.array([5.0, 7.0]), np.array([rng.choice((-5, 0, 60, 300)), 420])
    expected = []
    for end in (start_s + step_s).tolist():
        came = [
            rate
            for b, n, rate in zip(start_s, step_s, per_s, strict=True)
            for s in range(b, b + n)
            if end - deadline_s <= s < end
        ]
        expected.append(sum(came) + sum(lot for lot, due in zip(lots, due_s, strict=True) if due > end))
    assert not_yet_due(start_s, step_s, per_s * step_s, deadline_s, lots, due_s) == pytest.approx(expected)


def test_units_with_windows_of_their_own_stand_one_below_the_other():
    start_s, step_s = np.array([0, 300]), np.array([300, 300])
    recent = recent_changes(start_s, [0, 301])
    assert recent.counts.tolist() == [1, 1, 1, 2]
    assert recent.members.tolist() == [0, 1, 0, 0, 1]
    table, shares, by_step = losses(start_s, step_s, [0, 450])
    assert table.tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    assert shares.tolist() == [1.0, 0.5, 1.0]
    assert by_step.counts.tolist() == [0, 0, 1, 2]
    assert recent_changes(start_s, []).counts.size == 0
    assert losses(start_s, step_s, [])[1].size == 0


def test_what_changed_within_a_second_changed_at_its_end():
    grid = TimeGrid(start=START, step_s=(3600,))
    instants = [
        START - timedelta(seconds=90, microseconds=1),
        START - timedelta(microseconds=1),
        START,
        START + timedelta(microseconds=1),
    ]
    assert seconds_after(grid, instants).tolist() == [-90, 0, 0, 1]
    changed_s, count = cohort_arrays(grid, [Cohort(count=3, since=instants[0])])
    assert (changed_s.tolist(), count.tolist()) == ([-90], [3])
