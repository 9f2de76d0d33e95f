"""The record of a forecast refuses what is no distribution."""

from datetime import UTC, datetime
from typing import Any

import pytest

from models.forecast import Forecast
from models.time_grid import hourly

START = datetime(2023, 3, 1, tzinfo=UTC)
GOOD: dict[str, Any] = {
    "name": "ercot_north",
    "unit": "USD/MWh",
    "issued_at": START,
    "grid": hourly(START, 2),
    "levels_ppm": (100_000, 500_000, 900_000),
    "values": ((1.0, 2.0), (3.0, 4.0), (5.0, 4.0)),
    "mean": (3.5, 3.5),
    "model": "naive 1",
    "yardstick": (3.0, 3.0),
}


def test_a_good_one_is_kept_and_read_back():
    forecast = Forecast(**GOOD)
    assert forecast.median == (3.0, 4.0)
    assert Forecast.model_validate_json(forecast.model_dump_json()) == forecast
    with pytest.raises(ValueError, match=r"ercot_north: expected one of the levels .*, got 1"):
        forecast.at_level(1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"levels_ppm": (100_000, 900_000, 500_000)}, "strictly increasing"),
        ({"levels_ppm": (50_000, 500_000, 900_000)}, r"\[100000\] missing"),
        ({"values": ((1.0, 2.0), (3.0, 4.0))}, "at least 3"),
        ({"values": ((1.0, 2.0), (3.0, 4.0), (5.0,))}, "values at 900000 ppm: expected 2 values, one per step, got 1"),
        ({"values": ((1.0, 5.0), (3.0, 4.0), (5.0, 6.0))}, "step 1: 5.0 at 100000 ppm is above 4.0 at 500000 ppm"),
        ({"yardstick": (3.0,)}, "yardstick: expected 2 values"),
        ({"mean": (3.0, float("nan"))}, "finite"),
        ({"trained_until": datetime(2023, 3, 2, tzinfo=UTC)}, "trained_until: expected at most issued_at 2023-03-01T00:00:00Z"),
    ],
)
def test_a_bad_one_is_refused_in_words(change: dict[str, Any], words: str):
    with pytest.raises(ValueError, match=words):
        Forecast(**GOOD | change)
