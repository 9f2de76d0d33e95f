"""Time windows over steps of any length: what a change in one step, or before the first, still means in a later one.

All times are whole seconds from the start of the grid; those before it are negative.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from models.state import Cohort
from models.time_grid import TimeGrid
from optimizer.compiled import Floats, Ints
from optimizer.data import Groups

SECOND = timedelta(seconds=1)


def held_by(start_s: Ints, hold_s: int) -> Ints:
    """Return pairs (step, earlier step) such that what changed at the start of the second is still held in the first.

    It is held in every step that begins less than `hold_s` after the change, and always in the step of the change.
    """
    age_s = start_s[:, None] - start_s[None, :]
    return np.argwhere((age_s >= 0) & (age_s < max(hold_s, 1)))


def still_held(start_s: Ints, hold_s: int, changed_s: Ints, count: Ints) -> Ints:
    """Return, by step, how many of those that changed before the first step are still held."""
    if not changed_s.size:
        return np.zeros(len(start_s), dtype=np.int64)
    return np.asarray((start_s[:, None] - changed_s[None, :] < hold_s) @ count, dtype=np.int64)


def lost_shares(start_s: Ints, step_s: Ints, lost_s: int) -> tuple[Ints, Floats]:
    """Return pairs (step, earlier step), and the share of the first that is lost to a start at the start of the second."""
    share = _overlap_share(start_s, step_s, start_s, lost_s)
    pairs = np.argwhere(share > 0)
    return pairs, share[pairs[:, 0], pairs[:, 1]]


def still_lost(start_s: Ints, step_s: Ints, lost_s: int, changed_s: Ints, count: Ints) -> Floats:
    """Return, by step, how many whole units are lost to starts before the first step, shares of a step added up."""
    if not changed_s.size:
        return np.zeros(len(start_s))
    return np.asarray(_overlap_share(start_s, step_s, changed_s, lost_s) @ count, dtype=np.float64)


def not_yet_due(start_s: Ints, step_s: Ints, arrivals: Floats, deadline_s: int, lots: Floats, due_s: Ints) -> Floats:
    """Return, by step, the work that may still wait at the step's end.

    Arrivals come evenly over their step and are due `deadline_s` later; lots that waited at the start have dates of
    their own. What is due by the end of a step must be done by then.

    arrivals: work that arrives in each step; lots, due_s: work that waited at the start and when it is due.
    """
    end_s = start_s + step_s
    young_from = end_s[:, None] - deadline_s
    overlap_s = np.minimum(end_s[None, :], end_s[:, None]) - np.maximum(start_s[None, :], young_from)
    young = np.clip(overlap_s, 0, None) / step_s[None, :]
    return np.asarray(young @ arrivals + (due_s[None, :] > end_s[:, None]) @ lots, dtype=np.float64)


def carried(
    start_s: Ints, step_s: Ints, hold_s: int, lost_s: int, changed_s: Ints, count: Ints, most: Sequence[int] | None
) -> tuple[Ints, Floats, Ints]:
    """Return, by step, of those that ran before the horizon: held on, whole units that they lose, let go before they worked.

    most: the most that a recovery leaves held on in each step, or None. Whoever ran longest was let go first and stays
    away, so that only the youngest that were left in every step so far can still lose anything.
    """
    held, unready = still_held(start_s, hold_s, changed_s, count), np.zeros(len(start_s), dtype=np.int64)
    if most is None:
        return held, still_lost(start_s, step_s, lost_s, changed_s, count), unready
    youngest_first = np.argsort(-changed_s, kind="stable")
    changed_s, count = changed_s[youngest_first], count[youngest_first]
    held = np.minimum(held, np.asarray(most, dtype=np.int64))
    lost = np.zeros(len(start_s))
    for t in range(len(start_s)):
        here = slice(t, t + 1)
        if held[t] < still_held(start_s[here], hold_s, changed_s, count)[0]:
            left = np.clip(held[t] - (np.cumsum(count) - count), 0, count)
            unready[t] = still_held(start_s[here], lost_s, changed_s, count - left)[0]
            count = left
        lost[t] = still_lost(start_s[here], step_s[here], lost_s, changed_s, count)[0]
    return held, lost, unready


def recent_changes(start_s: Ints, hold_s: Sequence[int]) -> Groups:
    """Return, for each unit and step, the steps whose changes are still held in it; one `hold_s` for each unit."""
    known = {hold: held_by(start_s, hold) for hold in set(hold_s)}
    return _by_unit_and_step(_stacked([known[hold] for hold in hold_s]), len(hold_s), len(start_s))


def losses(start_s: Ints, step_s: Ints, lost_s: Sequence[int]) -> tuple[Ints, Floats, Groups]:
    """Return what starts lose: tuples (unit, step, step of the start), the share of each, and them by unit and step."""
    known = {lost: lost_shares(start_s, step_s, lost) for lost in set(lost_s)}
    table = _stacked([known[lost][0] for lost in lost_s])
    shares = np.concatenate([known[lost][1] for lost in lost_s]) if lost_s else np.zeros(0)
    return table, shares, _by_unit_and_step(table, len(lost_s), len(start_s))


def _stacked(windows: Sequence[Ints]) -> Ints:
    """Stack one table for each unit below each other, with the number of the unit ahead."""
    if not windows:
        return np.zeros((0, 3), dtype=np.int64)
    return np.column_stack((np.repeat(np.arange(len(windows)), [len(w) for w in windows]), np.concatenate(windows)))


def _by_unit_and_step(table: Ints, units: int, steps: int) -> Groups:
    return Groups.of(units * steps, table[:, 0] * steps + table[:, 1], table[:, 2])


def cohort_arrays(grid: TimeGrid, cohorts: Sequence[Cohort]) -> tuple[Ints, Ints]:
    """Return when cohorts changed and their counts; what changed within a second changed at its end."""
    return seconds_after(grid, [c.since for c in cohorts]), np.array([c.count for c in cohorts], dtype=np.int64)


def seconds_after(grid: TimeGrid, instants: Sequence[datetime]) -> Ints:
    """Return instants in whole seconds from the grid's start, rounded up."""
    return np.array([-((grid.start - instant) // SECOND) for instant in instants], dtype=np.int64)


def _overlap_share(start_s: Ints, step_s: Ints, changed_s: Ints, lost_s: int) -> Floats:
    """Share of each step (rows) that lies within `lost_s` after each change (columns); a change acts forwards only."""
    begin = np.maximum(start_s[:, None], changed_s[None, :])
    until = np.minimum((start_s + step_s)[:, None], changed_s[None, :] + lost_s)
    return np.asarray(np.clip(until - begin, 0, None) / step_s[:, None], dtype=np.float64)
