"""Contracts for energy: what a metered MWh costs in each step."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from annotated_types import Ge, Len, Lt
from pydantic import Field

from models.base import Name, PriceUsdPerMwh, Record, Text
from models.local_hours import LocalHours, shares_inside
from models.time_grid import TimeGrid


class TimeOfUse(Record):
    """What a MWh costs on top in some hours of the site's own calendar; a negative adder takes off."""

    hours: LocalHours
    adder_usd_per_mwh: PriceUsdPerMwh


Adders = Annotated[tuple[TimeOfUse, ...], Len(0, 50)]
"""Adders by time of use; where several hold, they add up."""


class FixedPrice(Record):
    """Hosting or supply at one price, with adders by time of use."""

    kind: Literal["fixed"] = "fixed"
    price_usd_per_mwh: PriceUsdPerMwh
    time_of_use: Adders = ()
    source: Text = ""


class IndexPrice(Record):
    """The price of a market index, marked up for losses up to the meter, plus adders for delivery, fees and time of use."""

    kind: Literal["index"] = "index"
    index: Name
    adder_usd_per_mwh: PriceUsdPerMwh = 0.0
    loss_share: Annotated[float, Ge(0), Lt(0.5)] = 0.0
    time_of_use: Adders = ()
    source: Text = ""


EnergyContract = Annotated[FixedPrice | IndexPrice, Field(discriminator="kind")]


def energy_price_usd_per_mwh(
    contract: FixedPrice | IndexPrice, prices_usd_per_mwh: Mapping[str, Sequence[float]], grid: TimeGrid, zone: str
) -> tuple[float, ...]:
    """Return what a metered MWh costs in each step: the fixed price, or `price / (1 - losses) + adder`, plus time of use.

    An adder counts by the share of a step that lies in its hours; zone: of the site's calendar.
    """
    if isinstance(contract, FixedPrice):
        base = [contract.price_usd_per_mwh] * grid.steps
    else:
        delivered = 1 - contract.loss_share
        base = [p / delivered + contract.adder_usd_per_mwh for p in prices_usd_per_mwh[contract.index]]
    for adder in contract.time_of_use:
        shares = shares_inside(zone, adder.hours, grid)
        base = [usd + adder.adder_usd_per_mwh * share for usd, share in zip(base, shares, strict=True)]
    return tuple(base)
