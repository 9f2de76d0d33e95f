"""Reads XLSX files by the standard library alone, as an independent reader of what the service writes."""

import io
import re
import zipfile
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

_NS = {"m": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}


@dataclass(frozen=True)
class Page:
    """One sheet: cells by row, `None` where there is none; whether its first row stays in sight."""

    rows: list[list[Any]]
    frozen: bool

    @property
    def records(self) -> list[dict[str, Any]]:
        return [dict(zip(self.rows[0], row, strict=False)) for row in self.rows[1:]]

    def column(self, title: str) -> list[Any]:
        return [row[title] for row in self.records]


@dataclass(frozen=True)
class Book:
    pages: dict[str, Page]
    formulas: int
    links: int


def read_book(raw: bytes) -> Book:
    with zipfile.ZipFile(io.BytesIO(raw)) as file:
        assert file.testzip() is None
        shared = ["".join(part.itertext()) for part in _root(file, "xl/sharedStrings.xml").findall("m:si", _NS)]
        names = [sheet.attrib["name"] for sheet in _root(file, "xl/workbook.xml").findall("m:sheets/m:sheet", _NS)]
        sheets = [_root(file, f"xl/worksheets/sheet{n}.xml") for n in range(1, len(names) + 1)]
    return Book(
        pages={name: _page(sheet, shared) for name, sheet in zip(names, sheets, strict=True)},
        formulas=sum(len(sheet.findall(".//m:f", _NS)) for sheet in sheets),
        links=sum(len(sheet.findall(".//m:hyperlink", _NS)) for sheet in sheets),
    )


def _root(file: zipfile.ZipFile, path: str) -> ElementTree.Element:
    return ElementTree.fromstring(file.read(path))


def _page(sheet: ElementTree.Element, shared: list[str]) -> Page:
    pane = sheet.find(".//m:pane", _NS)
    rows: list[list[Any]] = []
    for row in sheet.findall("m:sheetData/m:row", _NS):
        cells: list[Any] = []
        for cell in row.findall("m:c", _NS):
            place = _column(cell.attrib["r"])
            cells += [None] * (place - len(cells))
            value = cell.find("m:v", _NS)
            assert value is not None, cell.attrib
            text = value.text or ""
            cells.append(shared[int(text)] if cell.get("t") == "s" else float(text))
        rows.append(cells)
    width = len(rows[0])
    frozen = pane is not None and pane.get("state") == "frozen" and pane.get("ySplit") == "1"
    return Page([row + [None] * (width - len(row)) for row in rows], frozen)


def _column(place: str) -> int:
    letters = re.match(r"[A-Z]+", place)
    assert letters is not None
    number = 0
    for letter in letters[0]:
        number = number * 26 + ord(letter) - 64
    return number - 1
