"""Energy tiers: energy that costs more once a month has taken so much of it."""

from models.base import NonNegative, Positive, Record, Text
from models.billing import Meter

WH_PER_MWH = 1_000_000


class EnergyTier(Record):
    """What each MWh of a local month beyond a threshold costs on top of what it costs anyway.

    Several tiers add up. A price that falls with use is not possible: that would need a choice of tier, not a price.
    """

    above_mwh: Positive
    adder_usd_per_mwh: NonNegative
    source: Text = ""

    def room_mwh(self, month: str, meter: Meter) -> float:
        """What a month may still take before the tier begins, by what the meter has counted so far."""
        taken_wh = meter[month].energy_wh if month in meter else 0
        return max(0.0, self.above_mwh - taken_wh / WH_PER_MWH)

    def beyond_mwh(self, month: str, meter: Meter) -> float:
        """What a month has taken beyond the threshold."""
        taken_wh = meter[month].energy_wh if month in meter else 0
        return max(0.0, taken_wh / WH_PER_MWH - self.above_mwh)
