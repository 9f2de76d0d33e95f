"""Eight days of ERCOT's West hub in February 2021, in the file beside this: a history that runs anywhere."""

import csv
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenarios.backtest.history import AHEAD, AMBIENT, DEMAND, HASHPRICE, PRICE
from scenarios.local_clock import DAY_S, HOUR_S, Seconds, seconds
from scenarios.markets import CHICAGO, ERCOT_AUCTION
from scenarios.timed import Timed

STORM = Path(__file__).parent / "storm.csv"
INDEX = "ERCOT_HB_WEST"


def read_storm() -> dict[str, Timed]:
    """Return the series of the file; hours whose real-time price is taken from the day-ahead one are absent there."""
    with STORM.open() as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    starts = np.array([seconds(datetime.fromisoformat(row["hour_utc"])) for row in rows], np.int64)
    real = np.array([row["quarters_day_ahead"] == "0" for row in rows])

    def column(name: str, unit: str, known: Seconds, kept: NDArray[np.bool_] | None = None) -> Timed:
        kept = np.ones(len(rows), bool) if kept is None else kept
        values = np.array([float(row[name]) for row in rows])
        source = f"{STORM.name}, {name}"
        return Timed(name, unit, CHICAGO, HOUR_S, starts[kept], known[kept], values[kept], source=source)

    return {
        PRICE + INDEX: column("real_time", "USD/MWh", starts + HOUR_S, real),
        AHEAD + INDEX: column("day_ahead", "USD/MWh", ERCOT_AUCTION.known_s(starts)),
        HASHPRICE: column("hashprice", "USD/PH/day", (starts // DAY_S + 1) * DAY_S),
        AMBIENT: column("dallas_c", "C", starts + HOUR_S),
        DEMAND: column("conversations", "requests", starts + HOUR_S),
    }
