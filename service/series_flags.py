"""Flags what is lawful in a series but unlikely: people look at it, and plans name it among their reasons."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from statistics import median
from zoneinfo import ZoneInfo

from models.base import iso
from service.store.series_records import Flag, SeriesDeclaration, SeriesPoint

JUMP_MADS = 20
ZEROS_AT_CLOCK_CHANGE = 4
ENOUGH = 6
"""Values from which on a spread means something."""
FEW = 12
"""Values that say nothing of their unit by themselves, where others are known."""


@dataclass(frozen=True)
class Known:
    """What is known of a series before: its newest values, oldest first, and when it is now."""

    now: datetime
    recent: Sequence[SeriesPoint] = ()
    scale: float | None = None
    """Magnitude that values have where it is known otherwise: the connection of the site that a limit belongs to."""


@dataclass
class Rows:
    """Rows on their way through the checks."""

    declaration: SeriesDeclaration
    starts: list[datetime]
    values: list[float]
    flags: list[set[Flag]]
    rows: list[int] = field(default_factory=list)
    """Row of the input that each came from; the row before it where it was filled."""


def flag(rows: Rows, known: Known, known_at: datetime) -> None:
    """Flag what is lawful but unlikely; people look at it, and plans name it among their reasons."""
    declaration, lately = rows.declaration, _lately(rows, known)
    if declaration.kind == "price" and any(rows.values) and all(abs(value) < 1 for value in lately):
        _mark(rows, range(len(rows.values)), "unit_suspicious")
    if known_at < known.now - timedelta(seconds=declaration.late_after_s):
        _mark(rows, range(len(rows.values)), "late")
    centre = median(lately)
    spread = median(abs(value - centre) for value in lately)
    if spread > 0 and len(lately) >= ENOUGH:
        _mark(rows, [i for i, value in enumerate(rows.values) if abs(value - centre) > JUMP_MADS * spread], "jump")
    if declaration.kind in ("price", "demand"):
        _mark(rows, _repeats(rows, known), "suspicious_repeat")


def told_of(declaration: SeriesDeclaration, points: Iterable[SeriesPoint]) -> list[str]:
    """Return in words what is flagged in a series, for the reasons of a plan: filled intervals, and what looks unlikely."""
    by_flag: dict[Flag, list[datetime]] = {}
    for point in points:
        for name in point.flags:
            by_flag.setdefault(name, []).append(point.start)
    notes = []
    for name, starts in sorted(by_flag.items()):
        code = "filled" if name == "filled" else "flagged"
        what = "filled by the declared rule" if name == "filled" else name
        words = f"{len(starts)} interval(s) of series {declaration.name}, from {iso(starts[0])}: {what}"
        notes.append(f"{declaration.kind}_{code}: {words}")
    return notes


def _lately(rows: Rows, known: Known) -> list[float]:
    """Return the values, and of few values those known before them too: an hour or two near nothing is no other unit."""
    return [*(point.value for point in known.recent[-FEW:]), *rows.values] if len(rows.values) < FEW else rows.values


def _repeats(rows: Rows, known: Known) -> set[int]:
    """Find runs of zeros on days of a clock change, and days that equal the day before to the last digit."""
    zone = ZoneInfo(rows.declaration.zone)
    days: dict[date, list[int]] = {}
    for index, start in enumerate(rows.starts):
        days.setdefault(start.astimezone(zone).date(), []).append(index)
    before = {point.start: point.value for point in known.recent}
    value_at = before | dict(zip(rows.starts, rows.values, strict=True))
    found: set[int] = set()
    for day, indexes in days.items():
        if _clock_changes(zone, day):
            found |= _zero_runs(rows.values, indexes)
        yesterday = [value_at.get(rows.starts[i] - timedelta(days=1)) for i in indexes]
        today = [rows.values[i] for i in indexes]
        if len(indexes) >= 86_400 // rows.declaration.resolution_s and len(set(today)) > 1 and today == yesterday:
            found |= set(indexes)
    return found


def _clock_changes(zone: ZoneInfo, day: date) -> bool:
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=zone)
    return (noon - timedelta(days=1)).utcoffset() != noon.utcoffset()


def _zero_runs(values: Sequence[float], indexes: Sequence[int]) -> set[int]:
    found: set[int] = set()
    run: list[int] = []
    for index in indexes:
        run = [*run, index] if values[index] == 0 else []
        if len(run) >= ZEROS_AT_CLOCK_CHANGE:
            found |= set(run)
    return found


def _mark(rows: Rows, indexes: Iterable[int], flag: Flag) -> None:
    for index in indexes:
        rows.flags[index].add(flag)
