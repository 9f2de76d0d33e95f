"""Outlook: what a look beyond the horizon found worthwhile for the periods that a site's bills run over."""

from collections.abc import Iterator

from models.base import NonNegative, Record, Text, Watts
from models.billing import Meter, Month, MonthTotals
from models.demand_charge import DemandCharge
from models.take_or_pay import TakeOrPay


class Outlook(Record):
    """What a site will want of periods longer than the horizon, by a look-ahead over all that is left of them.

    peaks_w: by month, the billed peak that is worth its price. Up to it a plan takes the peak as decided; beyond it a kW
    costs the whole price of the month.
    take_usd_per_mwh: by the first month of a take-or-pay period, what another MWh taken in it is worth: nothing where the
    least take will be taken anyway, the shortfall price where it will be missed whatever is done.
    """

    peaks_w: dict[Month, Watts] = {}
    take_usd_per_mwh: dict[Month, NonNegative] = {}
    source: Text = ""

    def decided(self, meter: Meter) -> dict[str, MonthTotals]:
        """Return what a meter has counted, with the peaks that are decided as if it had shown them already."""
        totals = dict(meter)
        for month, watts in self.peaks_w.items():
            before = totals.get(month, MonthTotals())
            totals[month] = before.model_copy(update={"peak_w": max(before.peak_w, watts)})
        return totals

    def faults(self, where: str, charge: DemandCharge | None, take: TakeOrPay | None, present: str) -> Iterator[str]:
        """Yield what does not fit a site's contracts, in words.

        where: of the outlook in its document. charge, take: the contracts of its site. present: month in which a plan begins.
        """
        if self.peaks_w and charge is None:
            yield f"{where}.peaks_w: expected none at a site without a demand charge, got {sorted(self.peaks_w)}"
        if past := sorted(month for month in self.peaks_w if month < present):
            yield f"{where}.peaks_w: expected months from {present} on, in which the plan begins, got {past}"
        for period, usd in self.take_usd_per_mwh.items():
            at = f"{where}.take_usd_per_mwh.{period}"
            if take is None:
                yield f"{at}: expected none at a site without take-or-pay, got {usd}"
            elif take.period_of(period) != period:
                yield f"{at}: expected the first month of a period, which is {take.period_of(period)}"
            elif usd > take.shortfall_usd_per_mwh:
                yield f"{at}: expected at most the shortfall price {take.shortfall_usd_per_mwh}, got {usd}"
