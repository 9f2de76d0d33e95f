"""Planted faults: what is wrong with good data, and how the table of defects says that it must end.

Good data is two local days of a market with a declared floor, cap and rule for gaps. A fault changes the values, the
declaration or what is said beside them; it ends `refused`, with the code and pointer of the first error, or `kept`, with
exactly the flags that it should get (and none without a flag).
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from models.base import iso
from models.time_grid import local_day_grid

ZONE = "America/Chicago"
KNOWN_AT = datetime(2026, 11, 22, 8, tzinfo=UTC)
NOW = datetime(2026, 11, 22, 8, 5, tzinfo=UTC)
FIRST = date(2026, 11, 22)
DECLARED: dict[str, Any] = {
    "name": "price.west", "kind": "price", "subject": "west", "unit": "USD/MWh", "zone": ZONE, "resolution_s": 3600,
    "source": "planted", "curve_type": "A01", "floor": -500, "cap": 5000, "fill": "previous", "licence": "ours",
}  # fmt: skip
GONE = object()


@dataclass
class Data:
    """What is handed in."""

    declaration: dict[str, Any]
    rows: list[list[Any]]
    said: dict[str, Any] = field(default_factory=lambda: {"known_at": iso(KNOWN_AT)})
    before: list[list[Any]] | None = None
    """Values that the series is known by before."""

    @property
    def content(self) -> dict[str, Any]:
        points = [{"start": start if isinstance(start, str) else iso(start), "value": value} for start, value in self.rows]
        return {"declaration": self.declaration, "points": points} | self.said


def market(seed: int, steps: int, base: float = 35.0) -> list[float]:
    """Return prices of an ordinary market: a daily shape, noise, and no two alike."""
    rng = random.Random(seed)
    shape = [math.sin((n % 24) / 24 * 2 * math.pi - 2) for n in range(steps)]
    return [round(base * (1 + 0.35 * s) + rng.gauss(0, 2), 2) for s in shape]


def good(
    days: int = 2, *, first: date = FIRST, step_s: int = 3600, zone: str = ZONE, seed: int = 1, counted: bool = False
) -> Data:
    grid = local_day_grid(zone, first, days, step_s)
    rows = [[start, value] for start, value in zip(grid.starts, market(seed, grid.steps), strict=True)]
    data = Data(DECLARED | {"zone": zone, "resolution_s": step_s}, rows)
    if counted:
        data.said["local_days"] = {"zone": zone, "first": first.isoformat(), "days": days}
    return data


@dataclass(frozen=True)
class Fault:
    """One planted fault: what is made, and how it ends."""

    make: Callable[[], Data]
    code: str | None = None
    pointer: str = ""
    flags: dict[str, int] = field(default_factory=dict)
    only_json: bool = False
    """It cannot be written in the other formats, or means nothing there."""


def changed(**values: Any) -> Callable[[], Data]:
    """Good data with some values (`v10=…`) and starts (`s10=…`) changed, or rows dropped (`GONE`)."""

    def make() -> Data:
        data = good()
        for place, value in values.items():
            data.rows[int(place[1:])][1 if place[0] == "v" else 0] = value
        data.rows = [row for row in data.rows if row[1] is not GONE]
        return data

    return make


def declared(**words: Any) -> Callable[[], Data]:
    def make() -> Data:
        data = good()
        data.declaration = {k: v for k, v in (data.declaration | words).items() if v is not GONE}
        return data

    return make


def said(**words: Any) -> Callable[[], Data]:
    def make() -> Data:
        data = good()
        data.said = {k: v for k, v in (data.said | words).items() if v is not GONE}
        return data

    return make


def rows(change: Callable[[list[list[Any]]], list[list[Any]]], **more: Any) -> Callable[[], Data]:
    def make() -> Data:
        data = good(**more)
        data.rows = change(data.rows)
        return data

    return make


def yesterday_again() -> Data:
    data = good(1)
    data.before = [[start - timedelta(days=1), value] for start, value in data.rows]
    return data


def after(before: float, here: float) -> Callable[[], Data]:
    """A day of one magnitude after a day of another."""

    def make() -> Data:
        data = good(1)
        data.before = [[start - timedelta(days=1), value / 35 * before] for start, value in data.rows]
        data.rows = [[start, round(value / 36 * here, 4)] for start, value in data.rows]
        return data

    return make


def clock_change(change: Callable[[list[list[Any]]], list[list[Any]]], **more: Any) -> Callable[[], Data]:
    def make() -> Data:
        data = good(1, first=date(2026, 11, 1), **more)
        data.rows = change(data.rows)
        return data

    return make


def zeros(at: int, count: int) -> Callable[[list[list[Any]]], list[list[Any]]]:
    return lambda found: [[s, 0.0 if at <= n < at + count else v] for n, (s, v) in enumerate(found)]


def naive(found: list[list[Any]]) -> list[list[Any]]:
    """Local times as a broker's table has them: 01:00 and 01:30 come twice, and nobody says which is which."""
    from zoneinfo import ZoneInfo

    return [[f"{start.astimezone(ZoneInfo(ZONE)):%Y-%m-%dT%H:%M:%S}", value] for start, value in found]


def limit(**words: Any) -> dict[str, Any]:
    own = {"name": "limit.pecos", "kind": "limit", "unit": "W", "subject": "pecos", "floor": GONE, "cap": GONE}
    return own | words


def limits(value: float) -> Callable[[], Data]:
    def make() -> Data:
        data = declared(**limit())()
        data.rows = [[start, value] for start, _ in data.rows]
        return data

    return make


HOUR = timedelta(hours=1)
REFUSED: dict[str, Fault] = {
    "a gap of three": Fault(changed(v10=GONE, v11=GONE, v12=GONE), "gap", "/points/10"),
    "a long gap": Fault(rows(lambda r: r[:10] + r[30:]), "gap", "/points/10"),
    "many small gaps": Fault(changed(v5=GONE, v15=GONE, v25=GONE), "gap", "/points"),
    "a gap without a rule": Fault(lambda: _both(changed(v10=GONE), declared(fill="none")), "gap", "/points/10"),
    "one stamp, two values": Fault(lambda: _repeat(4, +1.0), "contradicting_duplicate", "/points/5/start"),
    "unsorted": Fault(rows(lambda r: r[::-1]), "unsorted", "/points/1/start"),
    "two rows swapped": Fault(rows(lambda r: [*r[:6], r[7], r[6], *r[8:]]), "unsorted", "/points/7/start"),
    "overlapping": Fault(rows(lambda r: [*r[:6], [r[6][0] - HOUR / 2, 1.0], *r[7:]]), "overlap", "/points/6/start"),
    "off the grid": Fault(rows(lambda r: [*r[:-1], [r[-1][0] + HOUR / 3, 1.0]]), "off_resolution", "/points/47/start"),
    "every fourth value": Fault(rows(lambda r: r[::4], step_s=900), "resolution_mismatch", "/points"),
    "every second value": Fault(rows(lambda r: r[::2]), "resolution_mismatch", "/points"),
    "hours declared as quarters": Fault(declared(resolution_s=900), "resolution_mismatch", "/points"),
    "quarters declared as hours": Fault(lambda: _quarters_as_hours(), "overlap", "/points/1/start"),
    "a day of 24 hours where there are 25": Fault(lambda: _counted(date(2026, 11, 1), 24), "wrong_day_length", "/points"),
    "a day of 24 hours where there are 23": Fault(lambda: _counted(date(2026, 3, 8), 24), "wrong_day_length", "/points"),
    "a day of 96 quarters where there are 100": Fault(
        lambda: _counted(date(2026, 11, 1), 96, 900), "wrong_day_length", "/points"
    ),
    "a day of 96 quarters where there are 92": Fault(lambda: _counted(date(2026, 3, 8), 96, 900), "wrong_day_length", "/points"),
    "a day that begins an hour late": Fault(lambda: _counted(FIRST, 24, late=1), "wrong_day_length", "/points"),
    "naive local times on a day of a clock change": Fault(
        clock_change(naive), "invalid_value", "/points/0/start"
    ),
    "a unit slip times 1000": Fault(rows(lambda r: [[s, v * 1000] for s, v in r]), "out_of_range", "/points/0/value"),
    "a unit slip times 1000 without a cap": Fault(lambda: _uncapped(1000), "out_of_range", "/points/0/value"),
    "a unit slip by 1000, per kWh": Fault(after(36, 0.036), "unit_magnitude", "/points"),
    "a unit slip times 1000 of small prices": Fault(after(3, 3_000), "unit_magnitude", "/points"),
    "a limit in kW": Fault(limits(2_500), "unit_magnitude", "/points"),
    "half a watt": Fault(limits(2_000_000.5), "not_whole", "/points/0/value"),
    "below the market's floor": Fault(changed(v7=-500.01), "out_of_range", "/points/7/value"),
    "above the market's cap": Fault(changed(v7=5_000.01), "out_of_range", "/points/7/value"),
    "above any market": Fault(
        lambda: _both(changed(v7=20_001.0), declared(floor=GONE, cap=GONE)), "out_of_range", "/points/7/value"
    ),
    "NaN": Fault(changed(v3=float("nan")), "not_finite", "/points/3/value"),
    "infinity": Fault(changed(v3=float("inf")), "not_finite", "/points/3/value"),
    "1e999": Fault(changed(v3="1e999 unquoted"), "not_finite", "/points/3/value", only_json=True),
    "a number as text": Fault(changed(v3="33"), "float_type", "/points/3/value", only_json=True),
    "a boolean": Fault(changed(v3=True), "float_type", "/points/3/value", only_json=True),
    "null": Fault(changed(v3=None), "float_type", "/points/3/value", only_json=True),
    "told in the future": Fault(said(known_at=iso(NOW + HOUR)), "told_in_the_future", "/known_at"),
    "not told when it was known": Fault(said(known_at=GONE), "missing_field", "/known_at"),
    "known at a naive time": Fault(said(known_at="2026-11-22T02:00:00"), "invalid_value", "/known_at"),
    "no unit": Fault(declared(unit=GONE), "missing_field", "/declaration/unit"),
    "no zone": Fault(declared(zone=GONE), "missing_field", "/declaration/zone"),
    "no resolution": Fault(declared(resolution_s=GONE), "missing_field", "/declaration/resolution_s"),
    "no source": Fault(declared(source=GONE), "missing_field", "/declaration/source"),
    "no curve type": Fault(declared(curve_type=GONE), "missing_field", "/declaration/curve_type"),
    "no subject": Fault(declared(subject=GONE), "missing_field", "/declaration/subject"),
    "francs, which no unit names": Fault(declared(unit="CHF/MWh"), "literal_error", "/declaration/unit"),
    "cents per kWh": Fault(declared(unit="ct/kWh"), "literal_error", "/declaration/unit"),
    "a unit of another kind": Fault(declared(unit="degC"), "invalid_value", "/declaration"),
    "a zone that is none": Fault(declared(zone="CST6CDT-ish"), "invalid_value", "/declaration/zone"),
    "a cap below the floor": Fault(declared(cap=-600), "invalid_value", "/declaration"),
    "repeated values left out, and no end": Fault(declared(curve_type="A03"), "missing_field", "/end"),
    "a step in two years": Fault(
        rows(lambda r: [*r[:-1], [r[-1][0] + timedelta(days=730), 30.0]]), "outside_window", "/points/47/start"
    ),
    "a limit of a site that is not there": Fault(declared(**limit(subject="atlantis")), "unknown_site", "/declaration/subject"),
    "no rows": Fault(rows(lambda r: []), "too_short", "/points"),
}  # fmt: skip
FLAGGED: dict[str, Fault] = {
    "a gap of one": Fault(changed(v10=GONE), flags={"filled": 1}),
    "a gap of two": Fault(changed(v10=GONE, v11=GONE), flags={"filled": 2}),
    "one stamp, one value, twice": Fault(lambda: _repeat(4, 0.0), flags={"deduplicated": 1}),
    "a spike": Fault(changed(v30=4_900.0), flags={"jump": 1}),
    "a spike downwards": Fault(changed(v30=-499.0), flags={"jump": 1}),
    "a day per kWh, of a series that is new": Fault(lambda: _scaled(0.001), flags={"unit_suspicious": 48}),
    "told three days late": Fault(said(known_at=iso(NOW - timedelta(days=3))), flags={"late": 48}),
    "the day before once more": Fault(yesterday_again, flags={"suspicious_repeat": 24}),
    "four zeros on a day of a clock change": Fault(clock_change(zeros(4, 4)), flags={"suspicious_repeat": 4}),
    "four quarters of zero on a day of a clock change": Fault(
        clock_change(zeros(8, 4), step_s=900), flags={"suspicious_repeat": 4}
    ),
}  # fmt: skip


def _both(*makes: Callable[[], Data]) -> Data:
    """Rows of the first, the declaration of the second."""
    return Data(makes[1]().declaration, makes[0]().rows)


def _repeat(row: int, plus: float) -> Data:
    data = good()
    data.rows.insert(row + 1, [data.rows[row][0], data.rows[row][1] + plus])
    return data


def _quarters_as_hours() -> Data:
    data = good(step_s=900)
    data.declaration["resolution_s"] = 3600
    return data


def _counted(day: date, count: int, step_s: int = 3600, late: int = 0) -> Data:
    data = good(1, first=day, step_s=step_s, counted=True)
    first = data.rows[0][0] + late * HOUR
    values = market(3, count)
    data.rows = [[first + n * timedelta(seconds=step_s), values[n]] for n in range(count)]
    return data


def _uncapped(times: float) -> Data:
    data = _both(rows(lambda r: [[s, v * times] for s, v in r]), declared(floor=GONE, cap=GONE))
    return data


def _scaled(times: float) -> Data:
    data = good()
    data.rows = [[start, round(value * times, 5)] for start, value in data.rows]
    return data
