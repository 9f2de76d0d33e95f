"""Markets of the folder of larger data: zones, currencies, steps, and when a price was known."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from scenarios.local_clock import instant, seconds
from scenarios.markets import EUROPE_AUCTION, MARKETS, read_market
from scenarios.markets.demand import read_burstgpt, read_servegen
from scenarios.markets.network import read_network
from scenarios.markets.weather import read_temperature


def test_day_ahead_prices_are_known_on_the_day_before_by_the_auctions_clock():
    steps = [datetime(2023, 3, 26, 21, tzinfo=UTC), datetime(2023, 3, 26, 22, tzinfo=UTC), datetime(2023, 1, 1, 23, tzinfo=UTC)]
    known = EUROPE_AUCTION.known_s(np.array([seconds(at) for at in steps]))
    assert [instant(s) for s in known] == [
        datetime(2023, 3, 25, 12, tzinfo=UTC),  # the last hour of the short Sunday: 13:00 in winter time, the day before
        datetime(2023, 3, 26, 11, tzinfo=UTC),  # the first hour of Monday: 13:00 of the Sunday, in summer time
        datetime(2023, 1, 1, 12, tzinfo=UTC),
    ]


def test_every_market_says_what_it_is():
    assert len(MARKETS) > 40
    for name, one in MARKETS.items():
        assert one.licence in ("public domain", "MIT", "CC BY 4.0"), name
        assert one.ahead is None or MARKETS[one.ahead].auction is not None, name
    with pytest.raises(ValueError, match=r"market: expected one of .*, got 'mars'"):
        read_market(Path(), "mars")


def test_a_folder_without_the_file_is_refused_in_words(tmp_path: Path):
    with pytest.raises(ValueError, match=r"prices/ercot_rt_15min_hubs_2020_2024.parquet: no such file"):
        read_market(tmp_path, "ercot_north")


@pytest.mark.parametrize(
    ("name", "rows", "unit", "step_s"),
    [("ercot_north", 173_517, "USD/MWh", 900), ("eu_ch", 31_653, "EUR/MWh", 3600), ("nsw", 35_064, "AUD/MWh", 3600)],
)
def test_prices_are_read_as_they_came(larger_data: Path, name: str, rows: int, unit: str, step_s: int):
    prices = read_market(larger_data, name)
    assert (len(prices), prices.unit, prices.step_s) == (rows, unit, step_s)
    assert (prices.known_s <= prices.starts_s + step_s).all()
    assert prices.licence in prices.source


def test_known_gaps_stay_gaps(larger_data: Path):
    ercot = read_market(larger_data, "ercot_west")
    assert any(b - a > timedelta(days=15) for a, b in ercot.gaps() if a.year == 2022 and a.month == 10)
    nyiso = read_market(larger_data, "nyiso_west").between(datetime(2023, 8, 1, tzinfo=UTC), datetime(2023, 9, 1, tzinfo=UTC))
    assert len(nyiso) == 0


def test_the_network_the_weather_and_demand_are_read_too(larger_data: Path):
    price = read_network(larger_data, "price_usd")
    assert (price.unit, price.values[0], len(price)) == ("USD/BTC", 3808.1178, 2_192)
    assert price.known_s[0] - price.starts_s[0] == 86_400
    assert read_temperature(larger_data, "dallas_ercot").values.min() < -10
    start = datetime(2024, 1, 1, tzinfo=UTC)
    large, fine = (read_servegen(larger_data, "m-large", start=start, step_s=s) for s in (3600, 600))
    assert np.allclose(large.values, 6 * fine.means().values)
    assert len(read_burstgpt(larger_data, start=start)) == 936
    with pytest.raises(ValueError, match="expected one of the models"):
        read_servegen(larger_data, "m-huge", start=start)
