"""Days of the Bitcoin network as they were known: what a forecast of the hashprice stands on."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

import numpy as np

from models.market import SECONDS_PER_DAY, NetworkState
from models.network_path import BLOCK_S, EPOCH_BLOCKS, Chain, hashrate_ph_per_s, subsidy_btc
from scenarios.local_clock import DAY_S, Seconds, instant
from scenarios.markets.network import read_network
from scenarios.timed import Floats, Timed, together

PACE_DAYS = 7
"""The hashrate is what the blocks of a week say: of fewer days chance says more than miners do."""
LEAST_AFTER_SHARE = 0.1
BLOCKS_BEFORE = 556_464
"""Blocks before 1 January 2019 (UTC): 630,000 were there after the 128th block of 11 May 2020, the last of 12.5 BTC."""


@dataclass(frozen=True, eq=False)
class Network:
    """Daily figures of the network as they were known: price, blocks so far and fees at the end of each day, mean difficulty."""

    price_usd: Timed
    height_blocks: Timed
    fees_btc: Timed
    difficulty: Timed

    def known_by(self, at: datetime) -> Self:
        """Return what was known at an instant."""
        series = (self.price_usd, self.height_blocks, self.fees_btc, self.difficulty)
        return type(self)(*(one.known_by(at) for one in series))


@dataclass(frozen=True, eq=False)
class Days:
    """The latest days without a gap, as arrays by day: starts, price, height at the end, blocks, fees per block, difficulty.

    `ends` is the difficulty at the end of each day: on a day of a retarget that of its last blocks.
    """

    starts_s: Seconds
    price_usd: Floats
    heights: Floats
    blocks: Floats
    fees_btc: Floats
    difficulty: Floats
    ends: Floats

    def __len__(self) -> int:
        """Return how many days there are."""
        return len(self.price_usd)

    def chain(self, day: int) -> Chain:
        """Return where the chain stood at the end of a day."""
        height, end = int(self.heights[day]), instant(self.starts_s[day] + DAY_S)
        began = self._time_of(height - height % EPOCH_BLOCKS)
        return Chain(at=end, height_blocks=height, difficulty=float(self.ends[day]), epoch_began_at=began)

    def hashprice(self, day: int) -> float:
        """Return the hashprice of a day as it is published: price at its end, mean difficulty, subsidy, fees of its blocks."""
        return NetworkState(
            difficulty=self.difficulty[day],
            btc_price_usd=self.price_usd[day],
            subsidy_btc=subsidy_btc(int(self.heights[day]) - 1),
            fees_btc=self.fees_btc[day],
        ).hashprice_usd_per_ph_day

    def pace_ph_per_s(self, day: int) -> float:
        """Return the hashrate that found the blocks of the week that ends with a day."""
        week = slice(max(0, day - PACE_DAYS + 1), day + 1)
        work = float(np.sum(self.blocks[week] * self.difficulty[week]))
        return hashrate_ph_per_s(work, 1.0, len(self.blocks[week]) * SECONDS_PER_DAY)

    def after_retarget(self, day: int) -> float:
        """Return the difficulty at the end of a day with a retarget: its mean weighs the blocks before and after.

        Where few came after it, the mean says little; then it follows from the time that the epoch took.
        """
        height = self.heights[day] - self.heights[day] % EPOCH_BLOCKS
        after = (self.heights[day] - height) / self.blocks[day]
        before = self.difficulty[day - 1]
        if after > LEAST_AFTER_SHARE:
            return float(before + (self.difficulty[day] - before) / after)
        took_s = (self._time_of(height) - self._time_of(height - EPOCH_BLOCKS)).total_seconds()
        return float(before * EPOCH_BLOCKS * BLOCK_S / took_s)

    def _time_of(self, height: float) -> datetime:
        """When there were so many blocks, evenly within a day; what lies before the first day is at its pace."""
        begin = self.heights[0] - self.blocks[0]
        days = np.interp(height, np.concatenate(([begin], self.heights)), np.arange(len(self) + 1.0))
        early = min(0.0, (height - begin) / self.blocks[0])
        return instant(self.starts_s[0]) + timedelta(days=float(days) + early)


def days_of(past: Network) -> Days:
    """Return the days since the last gap but the first, which only serves to count the blocks of the next.

    Raises:
        ValueError: fewer than three days that follow each other.
    """
    starts, values = together((past.price_usd, past.height_blocks, past.fees_btc, past.difficulty))
    gap = np.flatnonzero(np.diff(starts) != DAY_S)
    since = int(gap[-1]) + 1 if len(gap) else 0
    starts, values = starts[since:], values[since:]
    if len(starts) < 3:
        raise ValueError(f"{past.price_usd.name}: expected three days that follow each other, got {len(starts)}")
    price, heights, fees, difficulty = values[1:].T
    blocks = np.diff(values[:, 1])
    days = Days(starts[1:], price, heights, blocks, fees / blocks, difficulty, difficulty)
    ends = difficulty.copy()
    for day in np.flatnonzero(np.diff(heights // EPOCH_BLOCKS)) + 1:
        ends[day] = days.after_retarget(int(day))
    return replace(days, ends=ends)


def read_days(folder: Path) -> Network:
    """Return the network of the folder of larger data, from 2019 on.

    Raises:
        ValueError: no such folder.
    """
    blocks = read_network(folder, "blk_cnt")
    heights = replace(blocks, name="btc_height", values=BLOCKS_BEFORE + np.cumsum(blocks.values))
    price, fees, difficulty = (read_network(folder, column) for column in ("price_usd", "fee_btc", "difficulty_implied"))
    return Network(price, heights, fees, difficulty)
