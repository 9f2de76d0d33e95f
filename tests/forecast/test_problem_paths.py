"""Futures of a problem out of the history of its series, and the file that holds such a history."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from pydantic import TypeAdapter

from models.futures import Futures
from models.reading import BadInputError
from models.time_grid import TimeGrid
from scenarios.feed import reference_problem
from scenarios.forecast.paths import HASHPRICE
from scenarios.forecast.problem_paths import problem_futures
from scenarios.history_file import read_history
from scenarios.local_clock import seconds

START = datetime(2026, 11, 22, 8, tzinfo=UTC)
PROBLEM = reference_problem(START, hours=24)
CHAT = sorted(PROBLEM.demand_work_per_h)[0]
AIR = sorted(PROBLEM.ambient_c)[0]
SUBJECTS = {HASHPRICE, ("ambient_c", AIR), ("demand_work_per_h", CHAT)}


def table(days=80, until=START, extra=""):
    """A history by the hour: warm days are busy days."""
    rng = np.random.default_rng(7)
    rows, paid, day = [f"start,hashprice,ambient:{AIR},demand:{CHAT}{extra}"], 40.0, 0.0
    for n in range(days * 24, 0, -1):
        at = until - timedelta(hours=n)
        day = rng.normal() if at.hour == 0 else day
        paid *= np.exp(rng.normal(0, 0.003))
        air, busy = 15 + 6 * np.sin(at.hour / 4) + 3 * day, 2e8 * (2 + np.sin(at.hour / 4)) * np.exp(0.2 * day)
        rows.append(f"{at.isoformat()},{paid:.4f},{air + rng.normal() / 3:.2f},{busy * np.exp(0.02 * rng.normal()):.0f}")
    return "\n".join(rows)


def made(text, **words):
    return problem_futures(PROBLEM, read_history(text.encode()), **{"count": 8, "seed": 1} | words)


def test_every_series_that_has_a_history_becomes_eight_courses_that_belong_together():
    found = made(table())
    assert sum(one.probability_ppm for one in found.scenarios) == 1_000_000
    assert found.recourse_after_s == 21_600
    assert "demand-shape 1, temperature-anomaly 1, walk 1" in found.source
    for one in found.scenarios:
        assert one.hashprice_usd_per_ph_day is not None
        assert set(one.ambient_c) == {AIR}
        assert set(one.demand_work_per_h) == {CHAT}
        assert one.prices_usd_per_mwh == {}
    air = np.array([one.ambient_c[AIR] for one in found.scenarios]).mean(axis=1)
    busy = np.array([one.demand_work_per_h[CHAT] for one in found.scenarios]).mean(axis=1)
    assert np.corrcoef(air, busy)[0, 1] > 0.5  # warm days are busy days in the paths, too
    assert len(found.problems(PROBLEM)) == 8
    assert made(table()) == found != made(table(), seed=2)


def test_what_comes_after_the_problem_begins_is_not_looked_at():
    late = table(days=83, until=START + timedelta(days=3))
    cut = "\n".join(line for line in late.split("\n") if line < START.isoformat() or line.startswith("start"))
    assert made(late) == made(cut)


def test_futures_of_forecasts_survive_a_file():
    found = made(table())
    assert TypeAdapter(Futures).validate_json(found.model_dump_json(exclude_none=True)) == found


def test_a_history_of_other_series_or_a_short_one_is_refused():
    with pytest.raises(ValueError, match="history: expected a series of the problem"):
        problem_futures(
            PROBLEM, read_history(b"start,price:nowhere\n2026-11-01T00:00Z,3\n2026-11-01T01:00Z,4\n"), count=2, seed=1
        )
    with pytest.raises(ValueError, match="hashprice: expected at least 260 steps to learn from, got 120"):
        made(table(days=5))


def test_a_history_is_read_whole_or_refused_with_every_fault():
    history = read_history(
        b"start,price:hub,hashprice\n2026-11-01T00:00:00Z,3,40\n2026-11-01T01:00:00Z,,41\n2026-11-01T03:00:00Z,5,\n"
    )
    assert {subject: len(past) for subject, past in history.items()} == {("prices_usd_per_mwh", "hub"): 2, HASHPRICE: 2}
    assert history[HASHPRICE].step_s == 3600
    faulty = (
        b"start,prices:hub,hashprice,ambient:x\n2026-11-01T00:00:00Z,3,forty,1\n2026-11-01T00:00:00,3,40,2\n"
        b"2026-11-01T00:00:00Z,3,40,3\n2026-10-01T00:00:00Z,3,nan,3\n"
    )
    with pytest.raises(BadInputError) as refused:
        read_history(faulty)
    assert [refusal.pointer for refusal in refused.value.refusals] == [
        "/0/prices:hub", "/1/hashprice", "/2/start", "/3/start", "/4/start"
    ]  # fmt: skip
    with pytest.raises(BadInputError, match="expected a finite number"):
        read_history(b"start,hashprice\n2026-11-01T00:00:00Z,3\n2026-11-01T01:00:00Z,nan\n")
    with pytest.raises(BadInputError, match="expected columns start and then series"):
        read_history(b"")


def test_a_plan_that_begins_within_an_hour_takes_its_part_of_it():
    """Twenty minutes, then hours: the first step is that of the hour it lies in, and what is told already has no spread."""
    grid = TimeGrid(start=START + timedelta(minutes=40), step_s=(1_200, 3_600, 3_600, 900, 900, 1_800))
    problem = reference_problem(START, grid=grid)
    told = read_history(table(until=START + timedelta(hours=2)).encode())
    known = {s: replace(past, known_s=np.minimum(past.known_s, seconds(START))) for s, past in told.items()}
    found = problem_futures(problem, known, count=6, seed=1)
    courses = np.array([one.hashprice_usd_per_ph_day for one in found.scenarios])
    assert courses.shape == (6, 6)
    assert courses.std(axis=0)[:2].max() < 1e-6 < courses.std(axis=0)[5]
    assert courses[0, 0] == pytest.approx(told[HASHPRICE].values[-2], abs=1e-5)
    assert courses[0, 1] == pytest.approx(told[HASHPRICE].values[-1], abs=1e-5)
