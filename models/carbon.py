"""Carbon: what the emissions of the energy that a site draws cost."""

from typing import Annotated

from annotated_types import Ge, Le

from models.base import Name, NonNegative, Record, Text

KgPerMwh = Annotated[float, Ge(0), Le(3_000)]
"""Lignite plants emit about 1,200; beyond the bound a unit is wrong."""


class Carbon(Record):
    """A price of emissions, and the intensity of the grid's energy: one figure, or a series that replaces it by step."""

    usd_per_t: NonNegative
    intensity_kg_per_mwh: KgPerMwh = 0.0
    intensity: Name | None = None
    """Name of a series of `Problem.carbon_kg_per_mwh`."""
    source: Text = ""
