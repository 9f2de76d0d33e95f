"""Contracts for energy: what a metered MWh costs in each step."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from annotated_types import Ge, Le, Len, Lt
from pydantic import Field, StringConstraints

from models.base import Name, PriceUsdPerMwh, Record, Text
from models.local_hours import LocalHours, shares_inside
from models.time_grid import TimeGrid

Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
"""A code of ISO 4217."""


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


class ForeignPrice(Record):
    """One price in another currency, at a declared series of exchange rates, plus adders in USD."""

    kind: Literal["foreign"] = "foreign"
    currency: Currency
    price_per_mwh: Annotated[float, Ge(-1e9), Le(1e9)]
    """In the contract's own currency."""
    adder_usd_per_mwh: PriceUsdPerMwh = 0.0
    time_of_use: Adders = ()
    source: Text = ""


EnergyContract = Annotated[FixedPrice | IndexPrice | ForeignPrice, Field(discriminator="kind")]


def energy_price_usd_per_mwh(
    contract: EnergyContract,
    prices_usd_per_mwh: Mapping[str, Sequence[float]],
    usd_per_unit: Mapping[str, Sequence[float]],
    grid: TimeGrid,
    zone: str,
) -> tuple[float, ...]:
    """Return what a metered MWh costs in each step, by the kind of contract, plus time of use.

    fixed: its price. index: `price / (1 - losses) + adder`. foreign: `price x exchange rate + adder`.

    An adder counts by the share of a step that lies in its hours; zone: of the site's calendar. usd_per_unit: exchange
    rates by currency and step.
    """
    if isinstance(contract, FixedPrice):
        base = [contract.price_usd_per_mwh] * grid.steps
    elif isinstance(contract, ForeignPrice):
        base = [contract.price_per_mwh * rate + contract.adder_usd_per_mwh for rate in usd_per_unit[contract.currency]]
    else:
        delivered = 1 - contract.loss_share
        base = [p / delivered + contract.adder_usd_per_mwh for p in prices_usd_per_mwh[contract.index]]
    for adder in contract.time_of_use:
        shares = shares_inside(zone, adder.hours, grid)
        base = [usd + adder.adder_usd_per_mwh * share for usd, share in zip(base, shares, strict=True)]
    return tuple(base)
