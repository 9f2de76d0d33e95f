"""Reads the history of series as people keep it: one CSV, a row for each step, a column for each series.

    start,price:HB_WEST,hashprice,ambient:odessa,demand:chat
    2026-10-01T00:00:00Z,21.4,38.2,19.5,210000000

Columns are `price:INDEX`, `hashprice`, `ambient:NAME` and `demand:WORKLOAD`, in the units of a problem. Steps are all as long as
the shortest distance of two rows, each known at its end; an empty cell, or a row that is not there, is a value that is missing.
"""

import csv
import io
from datetime import datetime

import numpy as np

from models.reading import BadInputError, Refusal
from scenarios.forecast.paths import HASHPRICE, Subject
from scenarios.local_clock import DAY_S, seconds
from scenarios.timed import Timed

FAMILIES = {"price": "prices_usd_per_mwh", "ambient": "ambient_c", "demand": "demand_work_per_h"}
KINDS = {family: kind for kind, family in FAMILIES.items()} | {HASHPRICE[0]: "hashprice"}
"""The kind of series that each family of a problem holds."""
UNITS = {"price": "USD/MWh", "hashprice": "USD/PH/day", "ambient": "degC", "demand": "work/h"}
MOST_FAULTS = 100


def read_history(raw: bytes, zone: str = "UTC") -> dict[Subject, Timed]:
    """Return the series of a CSV by family and name. zone: whose clock their days follow.

    Raises:
        BadInputError: a column of another name, an instant or a number that cannot be read; every fault with its row.
    """
    try:
        rows = list(csv.reader(io.StringIO(raw.decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInputError([Refusal(pointer="", code="not_csv", detail=f"expected CSV in UTF-8: {error}")]) from None
    faults: list[Refusal] = []

    def refuse(row: int, column: str, detail: str) -> None:
        faults.append(Refusal(pointer=f"/{row}/{column}", code="history", detail=f"row {row}, {column}: {detail}"))

    head = rows[0] if rows else []
    if head[:1] != ["start"] or len(head) < 2 or len(set(head)) < len(head):
        refuse(0, "start", f"expected columns start and then series, each once, got {', '.join(head) or 'nothing'}")
    subjects = {n: found for n, column in enumerate(head[1:], 1) if (found := subject_of(column)) is not None}
    for column in head[1:]:
        if subject_of(column) is None:
            refuse(0, column, "expected hashprice, or price:, ambient: or demand: and a name")
    starts: list[int] = []
    values: dict[int, list[tuple[int, float]]] = {n: [] for n in subjects}
    for number, row in enumerate(rows[1:], 1):
        try:
            start = seconds(datetime.fromisoformat(row[0]))
        except (ValueError, IndexError) as error:
            refuse(number, "start", f"expected an instant with offset: {error}")
            continue
        if starts and start <= starts[-1]:
            refuse(number, "start", f"expected later than the row before, got {row[0]}")
        starts.append(start)
        for n in subjects:
            try:
                if n < len(row) and row[n].strip():
                    values[n].append((start, float(row[n])))
            except ValueError:
                refuse(number, head[n], f"expected a number or nothing, got {row[n]!r}")
    if not faults and len(starts) < 2:
        refuse(0, "start", f"expected at least two rows, got {len(starts)}")
    if faults:
        raise BadInputError(faults[:MOST_FAULTS])
    step_s = min(int(np.diff(starts).min()), DAY_S)
    return {subject: _timed(head[n], values[n], step_s, zone) for n, subject in subjects.items()}


def subject_of(column: str) -> Subject | None:
    """Return the family and name that a column tells of; None where there is no such."""
    if column == "hashprice":
        return HASHPRICE
    kind, _, name = column.partition(":")
    return (FAMILIES[kind], name) if kind in FAMILIES and name else None


def _timed(column: str, values: list[tuple[int, float]], step_s: int, zone: str) -> Timed:
    starts = np.array([start for start, _ in values], np.int64)
    found = np.array([value for _, value in values], np.float64)
    kind, _, name = column.partition(":")
    try:
        return Timed(name or kind, UNITS[kind], zone, step_s, starts, starts + step_s, found)
    except ValueError as error:
        raise BadInputError([Refusal(pointer=f"/{column}", code="history", detail=str(error))]) from None
