"""The bitcoin side of the market: hashprice from difficulty, subsidy, fees and price.

Source: Luxor's hashprice definition (Hashrate Index); a block is found once per difficulty x 2^32 hashes on average.
"""

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt

from models.base import Instant, Positive, Record, Text
from models.time_grid import TimeGrid

HASHES_PER_DIFFICULTY = 2**32
SECONDS_PER_DAY = 86_400
SUBSIDY_BTC = 3.125
"""Block subsidy between block 840,000 (April 2024) and block 1,050,000 (about 2028)."""


class NetworkState(Record):
    """The network at one moment: difficulty, subsidy and average fees of a block, and the price of a BTC."""

    difficulty: Positive
    btc_price_usd: Positive
    subsidy_btc: Positive = SUBSIDY_BTC
    fees_btc: Annotated[float, Ge(0)] = 0.0

    @property
    def hashprice_btc_per_ph_day(self) -> float:
        """Expected BTC that a PH/s earns in a day, before pool fees."""
        return blocks_per_ph_day(self.difficulty) * (self.subsidy_btc + self.fees_btc)

    @property
    def hashprice_usd_per_ph_day(self) -> float:
        """Expected USD that a PH/s earns in a day, before pool fees."""
        return self.hashprice_btc_per_ph_day * self.btc_price_usd


class DifficultyStep(Record):
    """A known change of the network's difficulty: from `at` on it is higher by a share, or lower.

    The network never lets it rise above four times, nor fall below a quarter, in one step.
    """

    at: Instant
    change_share: Annotated[float, Gt(-0.75), Le(3.0)]
    source: Text = ""


def stepped_hashprice(usd_per_ph_day: Sequence[float], grid: TimeGrid, steps: Sequence[DifficultyStep]) -> tuple[float, ...]:
    """Return what a PH/s and day earns in each step of a grid, averaged over the step.

    usd_per_ph_day: hashprice by step at the difficulty before all of `steps`; at a difficulty that is higher by a share x
    it is lower by the factor 1 / (1 + x), for the part of a step that lies after the change.
    """
    found = []
    for usd, start, length_s in zip(usd_per_ph_day, grid.starts, grid.step_s, strict=True):
        end = start + timedelta(seconds=length_s)
        cuts = sorted({start, end, *(step.at for step in steps if start < step.at < end)})
        parts = []
        for begin, until in pairwise(cuts):
            times = 1.0
            for step in steps:
                times *= 1 + step.change_share if step.at <= begin else 1.0
            parts.append((until - begin).total_seconds() / times)
        found.append(usd * sum(parts) / length_s if steps else usd)
    return tuple(found)


def blocks_per_ph_day(difficulty: float) -> float:
    """Return the expected number of blocks that a PH/s finds in a day."""
    return 1e15 * SECONDS_PER_DAY / (difficulty * HASHES_PER_DIFFICULTY)


def fees_from_share(subsidy_btc: float, fee_share: Annotated[float, Ge(0), Lt(1)]) -> float:
    """Return fees per block in BTC from their share of the total reward."""
    if not 0 <= fee_share < 1:
        raise ValueError(f"fee_share: expected a share of the total reward from 0 up to 1, got {fee_share}")
    return subsidy_btc * fee_share / (1 - fee_share)


def break_even_usd_per_mwh(
    hashprice_usd_per_ph_day: float, efficiency_j_per_th: Annotated[float, Gt(0)], paid_share: float = 1.0
) -> float:
    """Return the power price at the machine at which hashing earns just what its energy costs."""
    return hashprice_usd_per_ph_day * paid_share * 1000 / (24 * efficiency_j_per_th)
