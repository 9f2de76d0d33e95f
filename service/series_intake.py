"""Takes a series in, or refuses it: the table of defects, as pure functions. Nothing is repaired without a flag.

| defect | what happens |
|---|---|
| stamp unsorted, overlapping the step before, or off the series' resolution | refused, by row |
| same stamp twice | equal values: one is kept, flagged `deduplicated`; different values: refused |
| gap of at most 2 steps and 5 % of the series | filled by the declared rule, flagged `filled`; without a rule: refused |
| larger gap | refused |
| count that does not fit the declared local days (23, 24 or 25 hours) | refused, with the expected count |
| every n-th value only, unless curve type A03 is declared | refused |
| value outside the unit's range or the declared floor and cap; not whole where units are whole | refused, by row |
| jump of more than 20 median absolute deviations | flagged `jump` |
| all |price| below 1 in a per-MWh series | flagged `unit_suspicious` |
| magnitude about 1000 times, or a thousandth of, what is known | refused; of prices a whole day must have moved |
| 4 zeros in a row on the day of a clock change, or a whole day equal to the day before | flagged `suspicious_repeat` |
| told later than its schedule | flagged `late` |
| told in the future | refused |

A negative price is an ordinary value.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from statistics import median

from models.base import Instant, Record, iso
from models.reading import BadInputError, Refusal
from models.time_grid import LocalDays, local_day_steps
from service.series_flags import Known, Rows, flag
from service.store.series_records import Flag, SeriesDeclaration, SeriesKind, SeriesPoint

MAX_POINTS = 20_000
MAX_FILLED_STEPS = 2
MAX_FILLED_SHARE = 0.05
UNIT_SLIP = 200
"""Two medians that differ by this factor are in different units: a thousand is meant, prices do vary tenfold."""
DEAREST_PER_KWH = 10.0
"""What no market pays for a kWh. [USD]"""
SURE_OF_PRICES = timedelta(hours=24)
"""Shorter runs of real prices do differ by UNIT_SLIP: nearly nothing for hours, or a market's cap after a calm night."""
CLOCK_SKEW = timedelta(seconds=60)
FARTHEST_AHEAD = timedelta(days=400)

RANGES: dict[SeriesKind, tuple[float, float]] = {
    "price": (-20_000, 20_000),
    "hashprice": (0, 5_000),
    "exchange": (1e-9, 1_000),
    "carbon": (0, 3_000),
    "ambient": (-60, 60),
    "limit": (0, 10**10),
    "demand": (0, 10**15),
    "difficulty": (1, 1e18),
    "fees": (0, 1_000),
    "height": (0, 10**8),
}
BTC_USD = (1, 1e8)
"""Range of the one currency of which a unit is worth more than a thousand dollars."""
WHOLE: frozenset[SeriesKind] = frozenset({"limit", "demand", "height"})
ONE_MAGNITUDE: frozenset[SeriesKind] = frozenset({"price", "hashprice", "exchange", "difficulty"})
"""Kinds whose medians stay within a factor of UNIT_SLIP; limits and demand may well be 0 or start from nothing."""


class Sample(Record):
    """One row as it came."""

    start: Instant
    value: float


def take_in(
    declaration: SeriesDeclaration,
    samples: Sequence[Sample],
    *,
    known_at: datetime,
    known: Known,
    local_days: LocalDays | None = None,
    end: datetime | None = None,
) -> list[SeriesPoint]:
    """Return the points to keep, complete and flagged, by start.

    Args:
        declaration: what the series is.
        samples: rows in the order in which they came.
        known_at: when the source told them.
        known: what is known of the series before.
        local_days: whole local days that the rows must cover exactly, if declared.
        end: end of the last step; needed for curve type A03, whose last value may hold for many.

    Raises:
        BadInputError: every row and every property that is refused, with its pointer.
    """
    step = timedelta(seconds=declaration.resolution_s)
    faults = [*_told(known_at, known), *_values(declaration, samples), *_order(samples, step, declaration.curve_type)]
    if declaration.curve_type == "A03" and end is None:
        faults.append(_fault("/end", "missing_field", "curve type A03 needs the end of the last step"))
    if faults:
        raise BadInputError(faults)
    rows = _once_each(declaration, samples)
    faults = [*_gaps(rows, step, end)]
    if faults:
        raise BadInputError(faults)
    rows = _filled(rows, step, end)
    faults = [*_days(rows, step, local_days), *_magnitude(rows, known)]
    if faults:
        raise BadInputError(faults)
    flag(rows, known, known_at)
    return [
        SeriesPoint(start=start, value=value, known_at=known_at, flags=tuple(sorted(flags)))
        for start, value, flags in zip(rows.starts, rows.values, rows.flags, strict=True)
    ]


def _told(known_at: datetime, known: Known) -> Iterator[Refusal]:
    if known_at > known.now + CLOCK_SKEW:
        yield _fault("/known_at", "told_in_the_future", f"expected no later than {iso(known.now)}, got {iso(known_at)}")


def _values(declaration: SeriesDeclaration, samples: Sequence[Sample]) -> Iterator[Refusal]:
    lowest, highest = BTC_USD if declaration.kind == "exchange" and declaration.subject == "BTC" else RANGES[declaration.kind]
    floor = lowest if declaration.floor is None else max(lowest, declaration.floor)
    cap = highest if declaration.cap is None else min(highest, declaration.cap)
    for row, sample in enumerate(samples):
        where = f"{declaration.name} at {iso(sample.start)}"
        if not floor <= sample.value <= cap:
            detail = f"{where}: expected {floor:g} to {cap:g} {declaration.unit}, got {sample.value:g}"
            yield _fault(f"/points/{row}/value", "out_of_range", detail)
        elif declaration.kind in WHOLE and sample.value != int(sample.value):
            detail = f"{where}: expected a whole number of {declaration.unit}, got {sample.value:g}"
            yield _fault(f"/points/{row}/value", "not_whole", detail)
        if sample.start.microsecond:
            yield _fault(f"/points/{row}/start", "off_resolution", f"{where}: expected a whole second")


def _order(samples: Sequence[Sample], step: timedelta, curve_type: str) -> Iterator[Refusal]:
    """Refuse what is unsorted, overlaps, or lies between steps; and the same stamp with different values."""
    spacings = []
    for row in range(1, len(samples)):
        before, here = samples[row - 1], samples[row]
        apart = here.start - before.start
        at = f"/points/{row}/start"
        if apart == timedelta(0):
            if here.value != before.value:
                detail = f"{iso(here.start)} came twice with different values, {before.value:g} and {here.value:g}"
                yield _fault(at, "contradicting_duplicate", detail)
        elif apart < timedelta(0):
            yield _fault(at, "unsorted", f"expected after {iso(before.start)}, got {iso(here.start)}")
        elif apart < step:
            yield _fault(at, "overlap", f"{iso(here.start)} starts before the step from {iso(before.start)} of {step} ends")
        elif apart % step:
            yield _fault(at, "off_resolution", f"expected a multiple of {step} after {iso(before.start)}, got {iso(here.start)}")
        else:
            spacings.append(apart)
    if curve_type == "A01" and len(spacings) > 1 and min(spacings) > step:
        detail = f"rows are at least {min(spacings)} apart, the series is declared every {step}: every n-th value only?"
        yield _fault("/points", "resolution_mismatch", detail)


def _once_each(declaration: SeriesDeclaration, samples: Sequence[Sample]) -> Rows:
    rows = Rows(declaration, [], [], [])
    for row, sample in enumerate(samples):
        if rows.starts and rows.starts[-1] == sample.start:
            rows.flags[-1].add("deduplicated")
            continue
        rows.starts.append(sample.start)
        rows.values.append(sample.value)
        rows.flags.append(set())
        rows.rows.append(row)
    return rows


def _missing(rows: Rows, step: timedelta, end: datetime | None) -> Iterator[tuple[int, int]]:
    """Give the index before each gap and the number of steps that are missing after it."""
    last = rows.starts[-1] + step if end is None else end
    for index, (start, following) in enumerate(zip(rows.starts, [*rows.starts[1:], last], strict=True)):
        if (steps := round((following - start) / step) - 1) != 0:
            yield index, steps


def _gaps(rows: Rows, step: timedelta, end: datetime | None) -> Iterator[Refusal]:
    """Refuse gaps that are too large, or that no rule is declared for."""
    if end is not None and ((end - rows.starts[-1]) % step or end <= rows.starts[-1]):
        yield _fault("/end", "off_resolution", f"expected a multiple of {step} after {iso(rows.starts[-1])}, got {iso(end)}")
        return
    gaps = list(_missing(rows, step, end))
    missing = sum(steps for _, steps in gaps)
    whole = len(rows.starts) + missing
    if whole > MAX_POINTS:
        yield _fault("/points", "too_long", f"expected at most {MAX_POINTS} steps, got {whole}")
        return
    if rows.declaration.curve_type == "A03":
        return
    for index, steps in gaps:
        first = iso(rows.starts[index] + step)
        at = f"/points/{rows.rows[index] + 1}"
        if steps > MAX_FILLED_STEPS:
            yield _fault(at, "gap", f"{steps} steps are missing from {first} on; at most {MAX_FILLED_STEPS} can be filled")
        elif rows.declaration.fill == "none":
            yield _fault(at, "gap", f"{steps} step(s) are missing from {first} on, and the series declares no rule to fill them")
    if missing > MAX_FILLED_SHARE * whole and all(steps <= MAX_FILLED_STEPS for _, steps in gaps):
        yield _fault("/points", "gap", f"{missing} of {whole} steps are missing, more than {MAX_FILLED_SHARE:.0%}")


def _filled(rows: Rows, step: timedelta, end: datetime | None) -> Rows:
    """Repeat the value before each gap. For curve type A03 that is what a gap means; otherwise it is flagged."""
    gaps = dict(_missing(rows, step, end))
    whole = Rows(rows.declaration, [], [], [])
    mark: set[Flag] = set() if rows.declaration.curve_type == "A03" else {"filled"}
    for index, start in enumerate(rows.starts):
        for repeat in range(gaps.get(index, 0) + 1):
            whole.starts.append(start + repeat * step)
            whole.values.append(rows.values[index])
            whole.flags.append(set(mark) if repeat else rows.flags[index])
            whole.rows.append(rows.rows[index])
    return whole


def _days(rows: Rows, step: timedelta, days: LocalDays | None) -> Iterator[Refusal]:
    """Refuse a count that is not that of the declared days: 23, 24 or 25 hours each, at Lord Howe also 23.5 and 24.5."""
    if days is None:
        return
    step_s = int(step.total_seconds())
    if (days.end - days.start) % step:
        hours = (days.end - days.start) / timedelta(hours=1)
        whole = f"{days.days} day(s) from {days.first} in {days.zone} have {hours:g} h, no whole number of steps of {step_s} s"
        yield _fault("/local_days", "wrong_day_length", whole)
        return
    expected = sum(local_day_steps(days.zone, days.first + timedelta(days=n), step_s) for n in range(days.days))
    if len(rows.starts) != expected or rows.starts[0] != days.start:
        yield _fault(
            "/points", "wrong_day_length",
            f"{days.days} day(s) from {days.first} in {days.zone} have {expected} steps of {step_s} s from {iso(days.start)}; "
            f"got {len(rows.starts)} from {iso(rows.starts[0])}",
        )  # fmt: skip


def _magnitude(rows: Rows, known: Known) -> Iterator[Refusal]:
    """Refuse values in another unit: prices per kWh, limits in kW or MW."""
    declaration = rows.declaration
    here = _typical(rows.values)
    if declaration.kind in ONE_MAGNITUDE and known.recent:
        before = _typical([point.value for point in known.recent])
        what = f"values before were about {before:g} {declaration.unit}"
    elif declaration.kind == "limit" and known.scale:
        before = known.scale
        of = f"feeder {declaration.feeder}" if declaration.feeder else "the connection"
        what = f"{of} of {declaration.subject} is {before:g} W"
    else:
        return
    too_large = here > before * UNIT_SLIP and declaration.kind in ONE_MAGNITUDE
    if before and here and (too_large or here * UNIT_SLIP < before) and not _prices_may(rows, known):
        detail = f"{declaration.name}: typical value {here:g} {declaration.unit}, but {what}: another unit?"
        yield _fault("/points", "unit_magnitude", detail)


def _prices_may(rows: Rows, known: Known) -> bool:
    """Whether such a change of magnitude may be that of a market: another unit moves the dearest hour of a whole day too.

    Per kWh that hour is a few dollars at most; the calm day after a storm at a market's cap is dearer.
    """
    declaration = rows.declaration
    if declaration.kind != "price":
        return False
    if len(rows.values) * timedelta(seconds=declaration.resolution_s) < SURE_OF_PRICES - timedelta(hours=1):
        return True
    here, before = max(abs(v) for v in rows.values), max(abs(point.value) for point in known.recent)
    return here <= before * UNIT_SLIP if here > before else here * UNIT_SLIP >= before or here > DEAREST_PER_KWH


def _typical(values: Sequence[float]) -> float:
    """Return the median magnitude of what is not 0."""
    sizes = [abs(value) for value in values if value]
    return median(sizes) if sizes else 0.0


def _fault(pointer: str, code: str, detail: str) -> Refusal:
    return Refusal(pointer=pointer, code=code, detail=detail)
