"""Columns of the tables in the folder of larger data, Parquet or CSV; what a table lacks is absent, never filled.

The folder is no part of the project. Parquet needs the extra `parquet`.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from scenarios.local_clock import Seconds
from scenarios.timed import Floats


def parquet_column(path: Path, column: str) -> tuple[Seconds, Floats]:
    """Return the starts of the rows that have a value in a column [s since 1970], and these values.

    Raises:
        ValueError: no such file or column, or nothing here can read Parquet; in words.
    """
    try:
        from pyarrow import parquet
    except ImportError:
        raise ValueError(f"{path.name}: reading Parquet needs pyarrow: pip install 'wattsplit[parquet]'") from None
    _expect_file(path)
    if column not in (names := parquet.read_schema(path).names):
        raise ValueError(f"{path.name}: expected a column {column!r}, got {names}")
    table = parquet.read_table(path, columns=["ts_utc", column])
    starts_s = table["ts_utc"].to_numpy().astype("datetime64[s]").astype(np.int64)
    values = np.asarray(table[column].to_numpy(), np.float64)
    there = ~np.isnan(values)
    return starts_s[there], values[there]


def parquet_rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Return some columns of a table as texts, as `csv_rows` does.

    Raises:
        ValueError: no such file, or nothing here can read Parquet; in words.
    """
    try:
        from pyarrow import parquet
    except ImportError:
        raise ValueError(f"{path.name}: reading Parquet needs pyarrow: pip install 'wattsplit[parquet]'") from None
    _expect_file(path)
    rows = parquet.read_table(path, columns=list(columns)).to_pylist()
    return [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows]


def csv_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file by column.

    Raises:
        ValueError: no such file.
    """
    _expect_file(path)
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _expect_file(path: Path) -> None:
    if not path.is_file():
        raise ValueError(f"{path.parent.name}/{path.name}: no such file in the folder of larger data that WATTSPLIT_DATA names")
