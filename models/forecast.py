"""The record of a forecast: quantiles and a mean by step, when it was issued, and a naive yardstick always beside it."""

from itertools import pairwise
from typing import Annotated, Self

from annotated_types import Ge, Gt, Le, Len, Lt
from pydantic import model_validator

from models.base import MAX_STEPS, Instant, Name, Record, Text, iso
from models.time_grid import TimeGrid

LevelPpm = Annotated[int, Gt(0), Lt(1_000_000)]
Magnitude = Annotated[float, Ge(-1e18), Le(1e18)]
Row = Annotated[tuple[Magnitude, ...], Len(1, MAX_STEPS)]

LEVELS_PPM = (50_000, 100_000, 250_000, 500_000, 750_000, 900_000, 950_000)
"""The levels that our own forecasters give."""

REQUIRED_PPM = (100_000, 500_000, 900_000)


class Forecast(Record):
    """What is expected of a series over a grid, and how far it may be off.

    All numbers are in `unit`. values: by level, then by step; with probability `levels_ppm[i]` / 1e6 the step ends at or below
    `values[i]`. mean: expectation by step, which is what a planner of expected profit needs. yardstick: the seasonal naive
    forecast of the same steps. issued_at: all that it stands on was known by then. trained_until: the last that its training
    saw was known by then; None where nothing was trained.
    """

    name: Name
    unit: Text
    issued_at: Instant
    grid: TimeGrid
    levels_ppm: Annotated[tuple[LevelPpm, ...], Len(3, 99)] = LEVELS_PPM
    values: Annotated[tuple[Row, ...], Len(3, 99)]
    mean: Row
    model: Text
    trained_until: Instant | None = None
    yardstick: Row

    @model_validator(mode="after")
    def is_a_distribution_by_step(self) -> Self:
        """Refuse levels out of order or missing, rows of another length than the grid, and quantiles that cross."""
        if any(low >= high for low, high in pairwise(self.levels_ppm)):
            raise ValueError(f"levels_ppm: expected strictly increasing levels, got {self.levels_ppm}")
        if missing := [level for level in REQUIRED_PPM if level not in self.levels_ppm]:
            raise ValueError(f"levels_ppm: expected {REQUIRED_PPM} among the levels, {missing} missing")
        if len(self.values) != len(self.levels_ppm):
            raise ValueError(f"values: expected a row for each of {len(self.levels_ppm)} levels, got {len(self.values)}")
        rows = {f"values at {level} ppm": row for level, row in zip(self.levels_ppm, self.values, strict=True)}
        for where, row in {**rows, "mean": self.mean, "yardstick": self.yardstick}.items():
            if len(row) != self.grid.steps:
                raise ValueError(f"{where}: expected {self.grid.steps} values, one per step, got {len(row)}")
        for (low, below), (high, above) in pairwise(zip(self.levels_ppm, self.values, strict=True)):
            for step, (a, b) in enumerate(zip(below, above, strict=True)):
                if a > b:
                    raise ValueError(f"values: step {step}: {a} at {low} ppm is above {b} at {high} ppm")
        if self.trained_until is not None and self.trained_until > self.issued_at:
            raise ValueError(f"trained_until: expected at most issued_at {iso(self.issued_at)}, got {iso(self.trained_until)}")
        return self

    def at_level(self, ppm: int) -> tuple[float, ...]:
        """Return the values of one level by step.

        Raises:
            ValueError: the forecast does not hold this level.
        """
        if ppm not in self.levels_ppm:
            raise ValueError(f"{self.name}: expected one of the levels {self.levels_ppm} ppm, got {ppm}")
        return self.values[self.levels_ppm.index(ppm)]

    @property
    def median(self) -> tuple[float, ...]:
        """The values that are exceeded with a chance of one half, by step."""
        return self.at_level(500_000)
