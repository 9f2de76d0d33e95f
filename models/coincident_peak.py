"""Coincident peak charges: a site pays for what it draws in the few hours of a year in which its grid peaks."""

from typing import Annotated

from annotated_types import Ge, Le, Len

from models.base import NonNegative, Record, Share, Text
from models.local_hours import LocalHours, shares_inside
from models.time_grid import TimeGrid


class PeakHours(Record):
    """Local hours in each of which a system peak falls with a probability."""

    hours: LocalHours
    probability_share: Share
    """Probability that an hour of these holds one of the peaks that are billed."""


class CoincidentPeak(Record):
    """A yearly price per kW of the mean draw in the billed system peaks, and how likely each hour is to hold one.

    Where several `likely` hours overlap, their probabilities add up.
    """

    usd_per_kw_year: NonNegative
    peaks_count: Annotated[int, Ge(1), Le(366)] = 4
    """Peaks that are billed in a year; each weighs the same."""
    likely: Annotated[tuple[PeakHours, ...], Len(1, 50)]
    source: Text = ""

    def expected_usd_per_kw(self, zone: str, grid: TimeGrid) -> list[float]:
        """Return what a kW through each step is expected to cost: price of a peak x peaks expected in the step."""
        expected = [0.0] * grid.steps
        for likely in self.likely:
            for t, share in enumerate(shares_inside(zone, likely.hours, grid)):
                expected[t] += likely.probability_share * share * grid.hours[t]
        return [self.usd_per_kw_year / self.peaks_count * peaks for peaks in expected]
