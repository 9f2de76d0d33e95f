"""A hashprice goes on at the difficulty that the blocks so far lead to, and no change of it counts twice."""

from datetime import timedelta

import pytest
from seams.fleets import NOON, post_series, small_fleet

from models.market import DifficultyStep
from models.time_grid import hourly
from service.forecasting import Forecasts
from service.inputs import gather
from service.store import open_store
from service.store.entry_records import DifficultyEntry
from service.store.series_records import SeriesDeclaration, SeriesPoint

HOUR = timedelta(hours=1)
GRID = hourly(NOON, 48)
BLOCK = timedelta(minutes=9)
"""Blocks come a tenth too fast, so that the next epoch is harder by a ninth."""
EPOCH = 466 * 2_016
LEFT = 200
"""Blocks until the next retarget, at noon: thirty hours' worth."""
UNITS = {"hashprice": "USD/PH/day", "height": "blocks", "difficulty": "hashes/2^32", "fees": "BTC/block"}


@pytest.fixture
def store(tmp_path):
    opened = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    post_series(opened, NOON, 72)
    silent = opened.series.declaration("hashprice-all")
    opened.series.declare(silent.model_copy(update={"difficulty": "constant"}), at=NOON)
    yield opened
    opened.close()


def tell(store, kind, values, **words):
    """Tell a series by the hour until noon, each value at its hour, for that hour."""
    subject = None if kind == "hashprice" else "BTC"
    name = "a-hashprice" if kind == "hashprice" else f"btc.{kind}"  # the first of its kind by name
    declared = SeriesDeclaration(
        name=name,
        kind=kind,
        subject=subject,
        unit=UNITS[kind],
        zone="UTC",
        resolution_s=3600,
        source="a test",
        curve_type="A01",
        **words,
    )
    store.series.declare(declared, at=NOON)
    hours = len(values)
    points = [SeriesPoint(start=at, value=v, known_at=at) for n, v in enumerate(values) if (at := NOON - HOUR * (hours - 1 - n))]
    store.series.add(name, points)


def network(store, days=15, paid=40.0):
    hours = 24 * days + 1
    height = EPOCH + 2_016 - LEFT - 1
    tell(store, "height", [float(height - int(n * HOUR / BLOCK)) for n in range(hours - 1, -1, -1)])
    tell(store, "difficulty", [130e12] * hours)
    tell(store, "fees", [0.02] * hours)
    tell(store, "hashprice", [paid] * hours, difficulty="constant")


def gathered(store):
    return gather(store, small_fleet(2), GRID, now=NOON, forecasts=Forecasts(store))


def notes(found):
    return [note for note in found.notes if note.startswith("hashprice_forecast")]


def test_the_next_retarget_is_forecast_from_the_pace_of_the_blocks(store):
    network(store)
    found = gathered(store)
    hashprice = found.hashprice_usd_per_ph_day
    assert hashprice[:29] == pytest.approx([40.0] * 29)
    assert hashprice[31:] == pytest.approx([40.0 * 0.9] * 17, rel=0.01)
    assert 36 < hashprice[30] < 40
    (note,) = notes(found)
    assert "the last value known, 40, at the difficulty that follows from the pace of the blocks (+11." in note
    assert "at 2026-11-23T1" in note
    assert found.difficulty_steps == ()


def test_a_change_that_was_entered_counts_once(store):
    network(store)
    step = DifficultyStep(at=NOON + 20 * HOUR, change_share=0.05)
    store.difficulty.add(
        DifficultyEntry(entry_id="d", created_at=NOON, created_by="o", entered_as="operator", difficulty=step), request_id="r"
    )
    found = gathered(store)
    assert found.difficulty_steps == (step,)
    assert found.hashprice_usd_per_ph_day == pytest.approx([40.0] * 48)
    (note,) = notes(found)
    assert "of the last 24 h known" in note


@pytest.mark.parametrize("days", [0, 2, 10])
def test_a_network_that_is_not_known_back_to_the_last_retarget_says_nothing(store, days):
    """The epoch began eleven days and eight hours before."""
    network(store, days=days)
    assert "pace of the blocks" not in notes(gathered(store))[0]


def test_a_network_of_yesterday_says_nothing(store):
    network(store)
    late = gather(store, small_fleet(2), hourly(NOON + 12 * HOUR, 24), now=NOON + 12 * HOUR, forecasts=Forecasts(store))
    assert not [note for note in late.notes if "pace of the blocks" in note]
