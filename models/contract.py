"""Contracts: what a site pays for energy."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from annotated_types import Ge, Lt
from pydantic import Field

from models.base import Name, PriceUsdPerMwh, Record, Text


class FixedPrice(Record):
    """Hosting or supply at one price."""

    kind: Literal["fixed"] = "fixed"
    price_usd_per_mwh: PriceUsdPerMwh
    source: Text = ""


class IndexPrice(Record):
    """The price of a market index, marked up for losses up to the meter, plus an adder for delivery and fees."""

    kind: Literal["index"] = "index"
    index: Name
    adder_usd_per_mwh: PriceUsdPerMwh = 0.0
    loss_share: Annotated[float, Ge(0), Lt(0.5)] = 0.0
    source: Text = ""


EnergyContract = Annotated[FixedPrice | IndexPrice, Field(discriminator="kind")]


def energy_price_usd_per_mwh(
    contract: FixedPrice | IndexPrice, prices_usd_per_mwh: Mapping[str, Sequence[float]], steps: int
) -> tuple[float, ...]:
    """Return what a metered MWh costs in each step: `price / (1 - losses) + adder`, or the fixed price."""
    if isinstance(contract, FixedPrice):
        return (contract.price_usd_per_mwh,) * steps
    delivered = 1 - contract.loss_share
    return tuple(p / delivered + contract.adder_usd_per_mwh for p in prices_usd_per_mwh[contract.index])
