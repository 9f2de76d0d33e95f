"""Series as CSV: `start,value` rows in, the same with `known_at` and flags out."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from models.base import iso
from models.reading import BadInputError, Refusal, refuse
from service.series_intake import MAX_POINTS
from service.store.series_records import SeriesPoint

CSV = "text/csv"
MAX_CELL = 64
_ROW = re.compile(r"/points/([0-9]+)(/|$)")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")


def as_csv(points: list[SeriesPoint]) -> bytes:
    """Write points by start."""
    lines = ["start,value,known_at,flags", *(f"{iso(p.start)},{p.value!r},{iso(p.known_at)},{' '.join(p.flags)}" for p in points)]
    return ("\n".join(lines) + "\n").encode()


def by_line(refusals: Iterable[Refusal]) -> list[Refusal]:
    """Return the refusals of a table, with the line of each as editors count it."""
    return in_rows(refusals, "line", 2)


def in_rows(refusals: Iterable[Refusal], row: str, first: int) -> list[Refusal]:
    """Return refusals whose words say in which row of a table they are; `/points/0` is the row called `first`."""
    return [
        r.model_copy(update={"detail": f"{row} {int(at[1]) + first}: {r.detail}"}) if (at := _ROW.match(r.pointer)) else r
        for r in refusals
    ]


def read_csv(raw: bytes, query: Mapping[str, str]) -> dict[str, Any]:
    """Read `start,value` rows; whatever else a spreadsheet may write is refused by row.

    Raises:
        BadInputError: not UTF-8, another header, too many or faulty rows.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        refuse("not_utf8", f"expected UTF-8, byte {error.start} in line {line} is not")
    if "\0" in text:
        refuse("bad_text", f"line {text.count(chr(10), 0, text.index(chr(0))) + 1} holds a null")
    reader = csv.reader(io.StringIO(text), strict=True)
    rows = []
    try:
        for row in reader:
            rows.append(row)
            if reader.line_num != len(rows):
                refuse("malformed_csv", f"line {len(rows)}: a cell goes on in the next line")
    except csv.Error as error:
        refuse("malformed_csv", f"line {reader.line_num}: not CSV: {error}")
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
        got = ",".join(rows[0])
        why = "; cells are separated by commas, and numbers have a decimal point" if ";" in got or "\t" in got else ""
        yield Refusal(pointer="", code="malformed_csv", detail=f"line 1: expected the header start,value, got {got[:100]!r}{why}")
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
