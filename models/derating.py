"""Heat derating: what warm air takes from a miner's hash, and adds to its power."""

from typing import Annotated

from annotated_types import Ge, Le

from models.base import AmbientC, Record


class HeatDerating(Record):
    """Hash lost and power risen in proportion to the degrees above a temperature, the same in all modes.

    Both are quantised to thousandths, and power then to whole watts of a miner, rounded up, so that the audit can be exact.
    """

    above_c: AmbientC = 25.0
    hash_loss_milli_per_c: Annotated[int, Ge(0), Le(50)] = 0
    power_rise_milli_per_c: Annotated[int, Ge(0), Le(50)] = 0
    max_hash_loss_milli: Annotated[int, Ge(0), Le(900)] = 500
    max_power_rise_milli: Annotated[int, Ge(0), Le(900)] = 500

    def hash_milli(self, ambient_c: float) -> int:
        """Return what is left of the hash at an outside temperature, in thousandths."""
        return 1000 - min(self.max_hash_loss_milli, round(self.hash_loss_milli_per_c * max(0.0, ambient_c - self.above_c)))

    def power_milli(self, ambient_c: float) -> int:
        """Return what becomes of the power at an outside temperature, in thousandths."""
        return 1000 + min(self.max_power_rise_milli, round(self.power_rise_milli_per_c * max(0.0, ambient_c - self.above_c)))
