"""Shapes of inference demand in the folder of larger data: days without a date, laid from an instant on.

ServeGen counts requests of production model pools, and tokens of the part of them that has any (expected values);
BurstGPT counts requests of a university's service, whose bursts are scripts. Steps without a row are absent.
"""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import numpy as np

from scenarios.local_clock import DAY_S, HOUR_S, seconds
from scenarios.markets.files import csv_rows, parquet_rows
from scenarios.timed import Timed

SERVEGEN = "llm/servegen_hourly.csv"
SERVEGEN_FINE = "llm/servegen_10min.parquet"
BURSTGPT = "llm/burstgpt1_hourly.csv"
SERVEGEN_UNITS = {
    "requests": "requests",
    "requests_with_token_info": "requests",
    "input_tokens_covered": "tokens",
    "output_tokens_covered": "tokens",
}
BURSTGPT_COLUMNS = ("requests", "conversation_requests", "api_requests")
FINE_S = 600


def read_servegen(
    folder: Path, model: str, column: str = "requests", *, start: datetime, zone: str = "UTC", step_s: int = HOUR_S
) -> Timed:
    """Return the demand of a model pool, per step of an hour or of ten minutes, each known at its end.

    model: `m-small`, `m-large` or `mm-image`. column: one of `SERVEGEN_UNITS`. start: where day 0 is laid. zone: whose clock
    the days are to follow.

    Raises:
        ValueError: no such model, column, step or file.
    """
    if column not in SERVEGEN_UNITS:
        raise ValueError(f"{SERVEGEN}: expected one of the columns {sorted(SERVEGEN_UNITS)}, got {column!r}")
    if step_s not in (HOUR_S, FINE_S):
        raise ValueError(f"{SERVEGEN}: expected steps of {HOUR_S} or {FINE_S} s, got {step_s}")
    if step_s == HOUR_S:
        file, rows = SERVEGEN, csv_rows(folder / SERVEGEN)
    else:
        file, rows = SERVEGEN_FINE, parquet_rows(folder / SERVEGEN_FINE, ["model", "rel_seconds", column])
    mine = [row for row in rows if row["model"] == model and row[column].strip()]
    if not mine:
        raise ValueError(f"{file}: expected one of the models {sorted({row['model'] for row in rows})}, got {model!r}")
    at_s = [int(row["rel_hour"]) * HOUR_S if step_s == HOUR_S else int(row["rel_seconds"]) for row in mine]
    name, source = f"servegen_{model}_{column}", f"{file}, {model}: alibaba/ServeGen"
    values = [float(row[column]) for row in mine]
    return _laid(name, SERVEGEN_UNITS[column], at_s, values, start, zone, step_s, source, "Apache-2.0")


def read_burstgpt(folder: Path, column: str = "requests", *, start: datetime, zone: str = "UTC") -> Timed:
    """Return the requests of BurstGPT per hour, each known at its end.

    column: one of `BURSTGPT_COLUMNS`. start: where day 0 is laid. zone: whose clock the days are to follow.

    Raises:
        ValueError: no such column or file.
    """
    if column not in BURSTGPT_COLUMNS:
        raise ValueError(f"{BURSTGPT}: expected one of the columns {BURSTGPT_COLUMNS}, got {column!r}")
    rows = [row for row in csv_rows(folder / BURSTGPT) if row[column].strip()]
    at_s = [int(row["day_index"]) * DAY_S + int(row["hour_local"]) * HOUR_S for row in rows]
    values = [float(row[column]) for row in rows]
    source = f"{BURSTGPT}: HPMLL/BurstGPT"
    return _laid(f"burstgpt_{column}", "requests", at_s, values, start, zone, HOUR_S, source, "CC BY 4.0")


def _laid(
    name: str,
    unit: str,
    at_s: Iterable[int],
    values: Iterable[float],
    start: datetime,
    zone: str,
    step_s: int,
    source: str,
    licence: str,
) -> Timed:
    starts_s = seconds(start) + np.array(list(at_s), np.int64)
    return Timed(name, unit, zone, step_s, starts_s, starts_s + step_s, np.array(list(values)), None, source, licence)
