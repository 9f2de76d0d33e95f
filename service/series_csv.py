"""Series as CSV: `start,value` rows in, the same with `known_at` and flags out."""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from typing import Any

from models.base import iso
from models.reading import BadInputError, Refusal
from service.series_intake import MAX_POINTS
from service.store.series_records import SeriesPoint

CSV = "text/csv"
MAX_CELL = 64
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")


def as_csv(points: list[SeriesPoint]) -> bytes:
    """Write points by start."""
    lines = ["start,value,known_at,flags", *(f"{iso(p.start)},{p.value!r},{iso(p.known_at)},{' '.join(p.flags)}" for p in points)]
    return ("\n".join(lines) + "\n").encode()


def read_csv(raw: bytes, query: Mapping[str, str]) -> dict[str, Any]:
    """Read `start,value` rows; whatever else a spreadsheet may write is refused by row.

    Raises:
        BadInputError: not UTF-8, another header, too many or faulty rows.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInputError([Refusal(pointer="", code="not_utf8", detail=f"expected UTF-8, byte {error.start} is not")]) from None
    if "\0" in text:
        raise BadInputError([Refusal(pointer="", code="bad_text", detail="text holds a null")])
    try:
        rows = list(csv.reader(io.StringIO(text), strict=True))
    except csv.Error as error:
        raise BadInputError([Refusal(pointer="", code="malformed_csv", detail=f"not CSV: {error}")]) from None
    faults = list(_csv_faults(rows))
    if faults:
        raise BadInputError(faults)
    points = [{"start": start, "value": float(value)} for start, value in rows[1:]]
    content: dict[str, Any] = {"points": points}
    return content | {name: query[name] for name in ("known_at", "end") if name in query}


def _csv_faults(rows: list[list[str]]) -> Iterator[Refusal]:
    if not rows:
        yield Refusal(pointer="", code="empty", detail="the document is empty")
        return
    if rows[0] != ["start", "value"]:
        yield Refusal(
            pointer="", code="malformed_csv", detail=f"expected the header start,value, got {','.join(rows[0])[:100]!r}"
        )
        return
    if len(rows) - 1 > MAX_POINTS:
        yield Refusal(pointer="/points", code="too_long", detail=f"expected at most {MAX_POINTS} rows, got {len(rows) - 1}")
        return
    for number, row in enumerate(rows[1:]):
        if len(row) != 2:
            yield Refusal(pointer=f"/points/{number}", code="malformed_csv", detail=f"expected 2 cells, got {len(row)}")
        elif any(len(cell) > MAX_CELL for cell in row):
            yield Refusal(pointer=f"/points/{number}", code="malformed_csv", detail=f"a cell has more than {MAX_CELL} characters")
        elif not _NUMBER.fullmatch(row[1]) or abs(float(row[1])) == float("inf"):
            detail = f"expected a number such as 31.5, got {row[1]!r}"
            yield Refusal(pointer=f"/points/{number}/value", code="not_a_number", detail=detail)
