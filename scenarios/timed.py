"""A series with two times: when each value is for, and when it was known.

Rows are (start, known at, value); a step may be told more than once, and the newest telling known by an instant holds at it.
`known_by` is how forecasts and back-tests look at the past. What is missing is absent: nothing here fills a gap.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.time_grid import TimeGrid
from scenarios.local_clock import HOUR_S, Seconds, instant, local_s, seconds

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Timed:
    """Rows in order of start, then of when they were known; the arrays are read-only and of one length.

    starts_s, known_s: seconds since 1970, UTC. values: finite, in `unit`. step_s: length of every step; steps do not overlap.
    currency: three letters where the unit holds money. zone: whose clock its days follow. source, licence: provenance.
    """

    name: str
    unit: str
    zone: str
    step_s: int
    starts_s: Seconds
    known_s: Seconds
    values: Floats
    currency: str | None = None
    source: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        """Sort and check the rows.

        Raises:
            ValueError: rows of unequal length, a value that is not finite, one telling twice, steps that overlap.
        """
        rows = [np.asarray(self.starts_s, np.int64), np.asarray(self.known_s, np.int64), np.asarray(self.values, np.float64)]
        if len({array.shape for array in rows}) != 1 or rows[0].ndim != 1:
            raise ValueError(f"{self.name}: expected three rows of one length, got {[array.shape for array in rows]}")
        order = np.lexsort((rows[1], rows[0]))
        starts, known, values = (array[order] for array in rows)
        if (bad := ~np.isfinite(values)).any():
            raise ValueError(f"{self.name}: {_at(starts[bad])}: expected a finite number, got {values[bad][0]}")
        apart_s = np.diff(starts)
        if (twice := (apart_s == 0) & (np.diff(known) == 0)).any():
            raise ValueError(f"{self.name}: {_at(starts[1:][twice])}: expected one value known at one instant, got two")
        if (overlapping := (apart_s > 0) & (apart_s < self.step_s)).any():
            raise ValueError(f"{self.name}: {_at(starts[1:][overlapping])}: expected steps of {self.step_s} s, got an overlap")
        for field, array in (("starts_s", starts), ("known_s", known), ("values", values)):
            array.setflags(write=False)
            object.__setattr__(self, field, array)

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.values)

    def known_by(self, at: datetime) -> Self:
        """Return what was known at an instant: of each step the newest value told by then."""
        return self._where(self.known_s <= seconds(at)).newest()

    def newest(self) -> Self:
        """Return the newest value of each step, and only that."""
        last = np.append(np.diff(self.starts_s) > 0, True) if len(self) else np.zeros(0, bool)
        return self if last.all() else self._where(last)

    def between(self, start: datetime, end: datetime) -> Self:
        """Return the steps that begin in [start, end)."""
        return self._where((self.starts_s >= seconds(start)) & (self.starts_s < seconds(end)))

    @property
    def first(self) -> datetime:
        """Start of the first step.

        Raises:
            ValueError: there is none.
        """
        return instant(self._some()[0])

    @property
    def end(self) -> datetime:
        """End of the last step.

        Raises:
            ValueError: there is none.
        """
        return instant(self._some()[-1] + self.step_s)

    @property
    def local_s(self) -> Seconds:
        """What the zone's clock shows at each start, as seconds: // 86,400 is the local day, % 86,400 the time of the day."""
        return local_s(self.zone, self.starts_s)

    def at(self, starts_s: Seconds) -> Floats:
        """Return the newest values of the steps that hold some instants; not a number where there is none."""
        one = self.newest()
        if not len(one):
            return np.full(len(starts_s), math.nan)
        place = np.searchsorted(one.starts_s, starts_s, side="right") - 1
        inside = (place >= 0) & (starts_s < one.starts_s[place] + one.step_s)
        return np.where(inside, one.values[place], math.nan)

    def on(self, grid: TimeGrid) -> Floats:
        """Return the mean over each step of a grid, weighted by time; not a number where any part of a step is missing."""
        begin_s = seconds(grid.start)
        piece_s = math.gcd(self.step_s, *grid.step_s, int(np.gcd.reduce(self.starts_s - begin_s, initial=0)))
        counts = np.array(grid.step_s) // piece_s
        pieces = self.at(begin_s + piece_s * np.arange(counts.sum(), dtype=np.int64))
        firsts = np.concatenate(([0], np.cumsum(counts)[:-1]))
        return np.asarray(np.add.reduceat(pieces, firsts) / counts, np.float64)

    def means(self, step_s: int = HOUR_S) -> Self:
        """Return means over longer steps, hours unless told otherwise; a step that lacks a part is absent.

        A mean is known when the last of its parts is.

        Raises:
            ValueError: the steps do not divide the longer ones, or a step has been told more than once (see `known_by`).
        """
        if step_s == self.step_s:
            return self
        if step_s % self.step_s or (len(self) and (self.starts_s % self.step_s).any()):
            raise ValueError(f"{self.name}: steps of {self.step_s} s do not add up to steps of {step_s} s")
        if self.newest() is not self:
            raise ValueError(
                f"{self.name}: expected one value of each step to take means of, got revisions; ask what was known by"
            )
        longer, which = np.unique(self.starts_s // step_s, return_inverse=True)
        whole = np.bincount(which, minlength=len(longer)) == step_s // self.step_s
        known = np.full(len(longer), np.iinfo(np.int64).min)
        np.maximum.at(known, which, self.known_s)
        values = np.bincount(which, self.values, len(longer)) / (step_s // self.step_s)
        return replace(self, step_s=step_s, starts_s=longer[whole] * step_s, known_s=known[whole], values=values[whole])

    def gaps(self) -> tuple[tuple[datetime, datetime], ...]:
        """Return the spans [start, end) inside the series that no step covers."""
        starts = np.unique(self.starts_s)
        holes = np.flatnonzero(np.diff(starts) > self.step_s)
        return tuple((instant(starts[n] + self.step_s), instant(starts[n + 1])) for n in holes)

    def _where(self, chosen: NDArray[np.bool_]) -> Self:
        return replace(self, starts_s=self.starts_s[chosen], known_s=self.known_s[chosen], values=self.values[chosen])

    def _some(self) -> Seconds:
        if not len(self):
            raise ValueError(f"{self.name}: expected at least one step, got none")
        return self.starts_s


def joined(parts: Sequence[Timed]) -> Timed:
    """Return one series of the rows of several, which must be the same in all but their rows.

    Raises:
        ValueError: none is given, another unit, currency, zone or step, or a telling that stands in two of them.
    """
    if not parts:
        raise ValueError("expected at least one series to join")
    first = parts[0]
    for part in parts[1:]:
        for field in ("unit", "currency", "zone", "step_s"):
            if getattr(part, field) != getattr(first, field):
                expected, got = getattr(first, field), getattr(part, field)
                raise ValueError(f"{part.name}: {field}: expected {expected} as {first.name} has, got {got}")
    rows = ([getattr(part, field) for part in parts] for field in ("starts_s", "known_s", "values"))
    starts_s, known_s, values = (np.concatenate(arrays) for arrays in rows)
    return replace(first, starts_s=starts_s, known_s=known_s, values=values)


def together(series: Sequence[Timed]) -> tuple[Seconds, Floats]:
    """Return the starts that all series have (n), and their newest values (n × series).

    Raises:
        ValueError: steps of another length.
    """
    if len({one.step_s for one in series}) != 1:
        raise ValueError(f"expected series of one step, got { ({one.name: one.step_s for one in series}) } s")
    newest = [one.newest() for one in series]
    starts = newest[0].starts_s
    for one in newest[1:]:
        starts = np.intersect1d(starts, one.starts_s, assume_unique=True)
    return starts, np.stack([one.at(starts) for one in newest], axis=1) if len(starts) else np.zeros((0, len(series)))


def first_of(series: Sequence[Timed], starts_s: Seconds) -> tuple[Floats, NDArray[np.int64]]:
    """Return the value of the first series that has each instant, and which series that is.

    Where none has it the value is not a number and the place is -1: the caller says so, or leaves the step out.
    """
    values, which = np.full(len(starts_s), math.nan), np.full(len(starts_s), -1, np.int64)
    for place, one in enumerate(series):
        found = one.at(starts_s)
        taken = (which < 0) & ~np.isnan(found)
        values[taken], which[taken] = found[taken], place
    return values, which


def _at(starts_s: NDArray[Any]) -> str:
    return f"{instant(starts_s[0]):%Y-%m-%dT%H:%M:%SZ}"
