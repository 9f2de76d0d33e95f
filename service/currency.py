"""Prices of another currency: `price per MWh × rate of exchange`, step by step, as contracts in one do (`models.contract`)."""

from collections.abc import Sequence

from service.series_intake import RANGES
from service.store.series_records import SeriesDeclaration


def currency_of(declaration: SeriesDeclaration) -> str | None:
    """Return the currency of prices that are not in USD; None for those that are, and for what is no price."""
    currency = declaration.unit.partition("/")[0]
    return currency if declaration.kind == "price" and currency != "USD" else None


def in_usd(declaration: SeriesDeclaration, prices: Sequence[float], usd_per_unit: Sequence[float]) -> tuple[float, ...] | str:
    """Return prices in USD/MWh, or in words why none are: a rate that is none makes prices that no market has.

    prices: in the declared unit, by step. usd_per_unit: rates of exchange by step.
    """
    values = tuple(price * rate for price, rate in zip(prices, usd_per_unit, strict=True))
    lowest, highest = RANGES["price"]
    if wrong := [value for value in values if not lowest <= value <= highest]:
        return f"series {declaration.name} comes to {wrong[0]:g} USD/MWh, expected {lowest:g} to {highest:g}"
    return values
