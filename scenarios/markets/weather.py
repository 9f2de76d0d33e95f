"""Weather as it was in ten cities, by hour, in the folder of larger data."""

from pathlib import Path

from scenarios.local_clock import HOUR_S
from scenarios.markets.files import parquet_column
from scenarios.timed import Timed

FILE = "weather/weather_hourly_2020_2023.parquet"
SOURCE, LICENCE = "Open-Meteo by HewlettPackard/green-dcc", "CC BY 4.0"
ZONES = {
    "dallas_ercot": "America/Chicago",
    "sanjose_caiso": "America/Los_Angeles",
    "nyc_nyiso": "America/New_York",
    "philadelphia_pjm": "America/New_York",
    "frankfurt_de": "Europe/Berlin",
    "london_gb": "Europe/London",
    "toronto_on": "America/Toronto",
    "sydney_nsw": "Australia/Sydney",
    "melbourne_vic": "Australia/Melbourne",
    "singapore_sg": "Asia/Singapore",
}


def read_temperature(folder: Path, city: str) -> Timed:
    """Return the air temperature of a city [C], each hour known at its end.

    folder: the folder of larger data. city: one of `ZONES`.

    Raises:
        ValueError: no such city or file, or nothing here can read Parquet.
    """
    if city not in ZONES:
        raise ValueError(f"{FILE}: expected one of the cities {sorted(ZONES)}, got {city!r}")
    starts_s, values = parquet_column(folder / FILE, f"{city}_temp_c")
    return Timed(
        name=f"temperature_{city}",
        unit="C",
        zone=ZONES[city],
        step_s=HOUR_S,
        starts_s=starts_s,
        known_s=starts_s + HOUR_S,
        values=values,
        source=f"{FILE}, {city}: {SOURCE}",
        licence=LICENCE,
    )
