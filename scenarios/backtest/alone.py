"""One rule on one site, by the settlement interval: what studies of such rules publish, so that they can be repeated.

A site of identical miners is on or off as a whole in each interval; there is no start, no limit and no contract but the market's
price and an adder. Intervals that the record lacks are left out and counted. The policies of a back-test are rules over real
machines and contracts (`scenarios.backtest.rules`); this is the plain arithmetic beside them, over years of quarter hours.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from scenarios.backtest.rules import Bools, two_strikes
from scenarios.timed import Floats, Timed

AloneRule = Literal["always", "margin", "margin_of_the_last", "strike", "two_strikes"]
"""`margin`: on while hashing earns more than the interval's power. `margin_of_the_last`: by the price of the interval before.
`strike`: on while the price is at most the low strike. `two_strikes`: as `scenarios.backtest.rules.two_strikes`, by the prices
of the intervals before."""
S_PER_H, HOURS_A_DAY = 3600, 24


@dataclass(frozen=True)
class Alone:
    """What one MW of miners did and earned over the intervals that are known.

    uptime_share: of the time. paid_usd_per_mwh: mean price of the energy that was taken; always_usd_per_mwh: had it run always.
    saved_share: of the power bill of running always. missing: intervals that the record lacks.
    """

    profit_usd: float
    hash_usd: float
    power_usd: float
    energy_mwh: float
    uptime_share: float
    paid_usd_per_mwh: float
    always_usd_per_mwh: float
    saved_share: float
    intervals: int
    missing: int


def alone(
    price: Timed,
    hashprice: Timed,
    rule: AloneRule,
    *,
    efficiency_j_per_th: float,
    paid_share: float = 1.0,
    adder_usd_per_mwh: float = 0.0,
    low_usd_per_mwh: float = 0.0,
    high_usd_per_mwh: float = 0.0,
) -> Alone:
    """Return what a MW of miners comes to by a rule, over the intervals of a price series.

    Arguments:
        price: USD/MWh by settlement interval.
        hashprice: USD/PH/day, by day.
        rule: when the miners are on.
        efficiency_j_per_th: of the miners, cooling included.
        paid_share: of the hash, after fees.
        adder_usd_per_mwh: on top of the market's price.
        low_usd_per_mwh: low strike, of the market's price.
        high_usd_per_mwh: high strike.

    Raises:
        ValueError: no interval has both a price and a hashprice.
    """
    one = price.newest()
    earned = hashprice.newest().at(one.starts_s) * paid_share * 1000 / (HOURS_A_DAY * efficiency_j_per_th)  # USD/MWh
    known = ~np.isnan(earned)
    if not known.any():
        raise ValueError(f"{price.name}: expected intervals with a price and a hashprice, got none")
    market, earned = one.values[known], earned[known]
    cost = market + adder_usd_per_mwh
    on = _on(rule, market, cost, earned, low_usd_per_mwh, high_usd_per_mwh)
    hours = one.step_s / S_PER_H
    mwh, hash_usd, power_usd = (float((on * values).sum()) * hours for values in (np.ones(on.size), earned, cost))
    always_usd = float(cost.sum()) * hours
    span = int(one.starts_s[known][-1] - one.starts_s[known][0]) // one.step_s + 1
    return Alone(
        profit_usd=hash_usd - power_usd,
        hash_usd=hash_usd,
        power_usd=power_usd,
        energy_mwh=mwh,
        uptime_share=float(on.mean()),
        paid_usd_per_mwh=power_usd / mwh if mwh else 0.0,
        always_usd_per_mwh=always_usd / (on.size * hours),
        saved_share=1 - power_usd / always_usd if always_usd > 0 else 0.0,
        intervals=on.size,
        missing=span - on.size,
    )


def _on(rule: AloneRule, market: Floats, cost: Floats, earned: Floats, low: float, high: float) -> Bools:
    if rule == "always":
        return np.ones(market.size, bool)
    if rule == "margin":
        return np.asarray(cost < earned)
    if rule == "strike":
        return np.asarray(market <= low)
    if rule == "margin_of_the_last":
        return np.concatenate(([True], cost[:-1] < earned[1:]))
    before = np.concatenate(([0.0], market[:-1]))
    return two_strikes(before, np.full(market.size, low), np.full(market.size, high))
