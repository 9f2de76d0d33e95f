"""Tables as an XLSX workbook: typed cells, units in the headers, header rows that stay in sight.

Text is written as text, whatever it begins with: a name like `=1+1` is no formula, neither when the file is opened nor when
its cell is edited. No cell holds a formula or a link. The same tables at the same instant give the same bytes.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

Kind = Literal["text", "usd", "mwh", "percent", "count", "utc", "any"]
Cell = str | float | int | datetime | None

NUMBER_FORMATS: dict[Kind, str] = {
    "text": "@", "usd": "#,##0.00", "mwh": "#,##0.000", "percent": "0.0000", "count": "#,##0", "utc": "yyyy-mm-dd hh:mm",
    "any": "General",
}  # fmt: skip
NARROWEST, WIDEST = 18, 100
"""Characters of a column: a date, or hundreds of millions to the cent, and a sentence."""


@dataclass(frozen=True)
class Column:
    """A column: its title, unit included, and what its cells hold; instants are shown in UTC."""

    title: str
    kind: Kind = "text"


@dataclass(frozen=True)
class Sheet:
    """A table with one header row; `None` is an empty cell."""

    name: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]


def workbook(sheets: Sequence[Sheet], *, title: str, created_at: datetime) -> bytes:
    """Return sheets as the bytes of an XLSX file.

    Args:
        sheets: in their order; names differ and have at most 31 characters.
        title: of the file, in its properties.
        created_at: when what it shows was made.

    Raises:
        ValueError: a row has not as many cells as its sheet has columns, or a text is longer than a cell may hold.
    """
    from xlsxwriter import Workbook  # nobody else needs it

    file = io.BytesIO()
    book = Workbook(file, {"in_memory": True})
    book.set_properties({"title": title, "created": created_at.astimezone(UTC).replace(tzinfo=None)})
    head = book.add_format({"bold": True, "text_wrap": True, "valign": "top", "bottom": 1})
    looks = {kind: book.add_format({"num_format": form, "valign": "top"}) for kind, form in NUMBER_FORMATS.items()}
    looks["text"].set_quote_prefix()
    looks["text"].set_text_wrap()
    for sheet in sheets:
        page = book.add_worksheet(sheet.name)
        page.freeze_panes(1, 1 if len(sheet.columns) > 2 else 0)
        page.set_landscape()
        page.fit_to_pages(1, 0)
        page.repeat_rows(0)
        for n, column in enumerate(sheet.columns):
            page.set_column(n, n, _width(sheet, n))
            page.write_string(0, n, column.title, head)
        for line, row in enumerate(sheet.rows, start=1):
            for n, (column, cell) in enumerate(zip(sheet.columns, row, strict=True)):
                if isinstance(cell, str):
                    if page.write_string(line, n, cell, looks["text"]):
                        raise ValueError(f"{sheet.name} {column.title}: {len(cell)} characters are more than a cell may hold")
                elif isinstance(cell, datetime):
                    page.write_datetime(line, n, cell.astimezone(UTC).replace(tzinfo=None), looks["utc"])
                elif cell is not None:
                    page.write_number(line, n, cell, looks["any" if column.kind == "text" else column.kind])
    book.close()
    return file.getvalue()


def _width(sheet: Sheet, n: int) -> int:
    """Return how wide a column is: as its longest text, within reason. [characters]"""
    texts = [sheet.columns[n].title, *(text for row in sheet.rows if isinstance(text := row[n], str))]
    return min(max(NARROWEST, *(len(text) + 2 for text in texts)), WIDEST)
