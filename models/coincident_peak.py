"""Coincident peak charges: a site pays for what it draws in the few hours of a year in which its grid peaks."""

from typing import Annotated

from annotated_types import Len

from models.base import NonNegative, Record, Share, Text
from models.local_hours import LocalHours, shares_inside
from models.time_grid import TimeGrid


class PeakHours(Record):
    """Local hours in each of which a system peak falls with a probability."""

    hours: LocalHours
    probability_share: Share
    """Probability that an hour of these holds one of the peaks that are billed."""


class CoincidentPeak(Record):
    """A price per kW of the draw in each billed system peak, and how likely each hour is to hold one.

    A charge of so much per kW and year on the mean of four peaks is a quarter of it for each.
    Where several `likely` hours overlap, their probabilities add up.
    """

    usd_per_kw_peak: NonNegative
    likely: Annotated[tuple[PeakHours, ...], Len(1, 50)]
    source: Text = ""

    def expected_usd_per_kw(self, zone: str, grid: TimeGrid) -> list[float]:
        """Return what a kW through each step is expected to cost: price of a peak x peaks expected in the step."""
        expected = [0.0] * grid.steps
        for likely in self.likely:
            for t, share in enumerate(shares_inside(zone, likely.hours, grid)):
                expected[t] += likely.probability_share * share * grid.hours[t]
        return [self.usd_per_kw_peak * peaks for peaks in expected]
