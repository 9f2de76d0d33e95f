"""Cooling: power usage effectiveness (PUE) against the air outside."""

from typing import Annotated, Self

from annotated_types import Ge, Le
from pydantic import model_validator

from models.base import AmbientC, Record

PueMilli = Annotated[int, Ge(1000), Le(3000)]


class Cooling(Record):
    """A PUE that is flat up to a temperature and rises in proportion above it, up to a ceiling.

    PUE is quantised to thousandths, so that the audit can be exact. `rise_milli_per_c` is in thousandths per kelvin.
    """

    base_pue_milli: PueMilli = 1000
    rise_milli_per_c: Annotated[int, Ge(0), Le(100)] = 0
    above_c: AmbientC = 25.0
    max_pue_milli: PueMilli = 3000

    @model_validator(mode="after")
    def ceiling_is_above_base(self) -> Self:
        """Refuse a ceiling below the base."""
        if self.max_pue_milli < self.base_pue_milli:
            raise ValueError(f"max_pue_milli: expected at least base_pue_milli {self.base_pue_milli}, got {self.max_pue_milli}")
        return self

    def pue_milli(self, ambient_c: float) -> int:
        """Return the PUE at an outside temperature, in thousandths."""
        if ambient_c <= self.above_c:
            return self.base_pue_milli
        rise = round(self.rise_milli_per_c * (ambient_c - self.above_c))
        return min(self.max_pue_milli, self.base_pue_milli + rise)
