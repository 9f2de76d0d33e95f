"""SVG as text: marks, scales, ticks. Drawn without a script, so that a report is one file that prints as it reads."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from math import ceil, floor, log10
from zoneinfo import ZoneInfo

Point = tuple[float, float]

MOST_POINTS = 720
"""Points of a line: more than a screen has columns for it would only make the file larger."""
SPANS_H = (1, 2, 3, 6, 12, 24, 48, 96, 168, 336, 672)
MOST_MARKS = 12


def mark(name: str, *inside: str, **attributes: str | float | None) -> str:
    """Return an element: `class_` is `class`, other underscores are hyphens, numbers have a tenth, None is left out."""
    words = (f' {_name(key)}="{_value(value)}"' for key, value in attributes.items() if value is not None)
    return f"<{name}{''.join(words)}>{''.join(inside)}</{name}>"


def words(content: str, x: float, y: float, class_: str = "", **attributes: str | float | None) -> str:
    """Return text at a place."""
    return mark("text", escape(content), x=x, y=y, class_=class_ or None, **attributes)


def picture(width: float, height: float, label: str, *inside: str) -> str:
    """Return a figure that screen readers call by its label."""
    named = {"role": "img", "aria_label": label}
    return mark("svg", *inside, viewBox=f"0 0 {width:g} {height:g}", xmlns="http://www.w3.org/2000/svg", **named)


def path(points: Iterable[Point]) -> str:
    """Return the `d` of a line through points."""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _value(value: str | float) -> str:
    return escape(value) if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")


@dataclass(frozen=True)
class Scale:
    """Maps [low, high] to places [start, end]."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the place of a value."""
        return self.start + (value - self.low) / ((self.high - self.low) or 1.0) * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """Return round values within the scale, about so many."""
        step = round_step((self.high - self.low) / max(1, count))
        first, last = ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9)
        return [n * step for n in range(first, last + 1)]


def round_step(least: float) -> float:
    """Return the least of 1, 2, 5 × a power of ten that is no less."""
    if least <= 0:
        return 1.0
    power = 10.0 ** floor(log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * (1 - 1e-9))


def scale_of(values: Iterable[float], start: float, end: float) -> Scale:
    """Return a scale that holds all values and zero, with a little room at either end."""
    held = [0.0, *values]
    low, high = min(held), max(held)
    room = 0.04 * (high - low or 1.0)
    return Scale(low - room * (low < 0), high + room, start, end)


def thinned(count: int) -> list[int]:
    """Return the places of so many points at most that stand for `count` of them, first and last among them."""
    step = ceil(count / MOST_POINTS) or 1
    return sorted({*range(0, count, step), count - 1})


def apart(wanted: Sequence[float], least: float, low: float, high: float) -> list[float]:
    """Return places near the wanted ones (which ascend) that keep a distance, within [low, high] if there is room."""
    placed: list[float] = []
    for place in wanted:
        placed.append(max(place, placed[-1] + least if placed else low))
    limit = high
    for n in reversed(range(len(placed))):
        placed[n] = min(placed[n], limit)
        limit = placed[n] - least
    return placed


def time_marks(start: datetime, end: datetime, zone: str) -> Iterator[tuple[datetime, str]]:
    """Give the instants at which an axis says where it is, with what it says, in local time."""
    place, hours = ZoneInfo(zone), (end - start) / timedelta(hours=1)
    if hours > SPANS_H[-1] * MOST_MARKS:
        yield from _months(start, end, place)
        return
    span = next(s for s in SPANS_H if hours / s <= MOST_MARKS)
    local = start.astimezone(place)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    at, step = midnight, timedelta(hours=span)
    while at < end:
        if at >= start:
            yield at, f"{at.day} {at:%b}" if at.hour == 0 else f"{at:%H:%M}"
        at = at + step if span >= 24 else _later(at, step)


def _later(at: datetime, step: timedelta) -> datetime:
    """Return a wall clock a step later; a day begins anew at its midnight."""
    after = at + step
    return after if after.date() == at.date() else after.replace(hour=0, minute=0)


def _months(start: datetime, end: datetime, place: ZoneInfo) -> Iterator[tuple[datetime, str]]:
    at = start.astimezone(place).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    while at < end:
        if at >= start:
            yield at, f"{at:%b %Y}" if at.month == 1 else f"{at:%b}"
        at = at.replace(year=at.year + at.month // 12, month=at.month % 12 + 1)
