"""The Bitcoin network by day in the folder of larger data: price, blocks, issuance, fees, difficulty, hashprice."""

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np

from scenarios.local_clock import DAY_S
from scenarios.markets.files import csv_rows
from scenarios.timed import Timed

FILE = "btc/btc_network_daily_2019_2024.csv"
SOURCE, LICENCE = "Coin Metrics community data", "CC BY-NC 4.0"
UNITS = {
    "price_usd": "USD/BTC",
    "blk_cnt": "blocks",
    "iss_btc": "BTC",
    "fee_btc": "BTC",
    "hashrate_ths": "TH/s",
    "difficulty_implied": "difficulty",
    "subsidy_btc_per_block": "BTC/block",
    "fee_btc_per_block": "BTC/block",
    "hashprice_btc_ph_day": "BTC/PH/day",
    "hashprice_usd_ph_day": "USD/PH/day",
}


def read_network(folder: Path, column: str) -> Timed:
    """Return one figure of the network by day of UTC, known at the day's end; days without a figure are absent.

    folder: the folder of larger data. column: one of `UNITS`.

    Raises:
        ValueError: no such column or file.
    """
    if column not in UNITS:
        raise ValueError(f"{FILE}: expected one of the columns {sorted(UNITS)}, got {column!r}")
    rows = [(row["date_utc"], row[column]) for row in csv_rows(folder / FILE) if row[column].strip()]
    days = [datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC) for day, _ in rows]
    starts_s = np.array([int(day.timestamp()) for day in days], np.int64)
    return Timed(
        name=f"btc_{column}",
        unit=UNITS[column],
        currency="USD" if UNITS[column].startswith("USD") else None,
        zone="UTC",
        step_s=DAY_S,
        starts_s=starts_s,
        known_s=starts_s + DAY_S,
        values=np.array([float(value) for _, value in rows]),
        source=f"{FILE}: {SOURCE}",
        licence=LICENCE,
    )
