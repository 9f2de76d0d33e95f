"""The hashprice to come, as a formula: where the chain stands, and what price, fees and hashrate are taken to do.

Until the next retarget the difficulty D is known. Blocks come at the pace of the hashrate h, which may grow exponentially:

    n blocks take t with  n × D × 2^32 = ∫ h = h0 × (exp(g t) − 1) / g
    retarget every 2,016 blocks:  D' = D × (2,016 × 600 s) ÷ (time that they took), at most 4 D, at least D / 4
    subsidy = 50 BTC ÷ 2^(height ÷ 210,000, whole)
    hashprice = price × k(D) × (subsidy + fees)     k: blocks per PH/s and day (`models.market`)

A halving is for the subsidy what a doubled difficulty is for the whole, so both are steps of `stepped_hashprice`. The
protocol times 2,015 of the 2,016 intervals; the formula all of them, which differs by 0.05 %.
Source: Bitcoin Core, `GetNextWorkRequired` and `GetBlockSubsidy`; hashprice as Luxor defines it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import log1p
from typing import Annotated, Self

from annotated_types import Ge, Le
from pydantic import model_validator

from models.base import Instant, Positive, Record, iso
from models.market import HASHES_PER_DIFFICULTY, SECONDS_PER_DAY, DifficultyStep, NetworkState, stepped_hashprice
from models.time_grid import TimeGrid

HALVING_BLOCKS = 210_000
EPOCH_BLOCKS = 2_016
BLOCK_S = 600
FIRST_SUBSIDY_BTC = 50.0
HASHES_PER_PH = 1e15
MOST_RISE, MOST_FALL = 4.0, 0.25 + 1e-9
"""Factors of one retarget; a step of the difficulty stays above a quarter."""
HALVED = 1.0
"""What a halving is, told as a rise of the difficulty of the subsidy."""


class Chain(Record):
    """Where the chain stands: blocks so far (the height of the next one), their difficulty, and when its epoch began."""

    at: Instant
    height_blocks: Annotated[int, Ge(0), Le(10_000_000)]
    difficulty: Positive
    epoch_began_at: Instant

    @model_validator(mode="after")
    def began_before(self) -> Self:
        """Refuse an epoch that begins after what is known of it."""
        if self.epoch_began_at > self.at:
            raise ValueError(f"epoch_began_at: expected an instant until {iso(self.at)}, got {iso(self.epoch_began_at)}")
        return self

    @property
    def subsidy_btc(self) -> float:
        """Subsidy of the next block. [BTC]."""
        return subsidy_btc(self.height_blocks)


@dataclass(frozen=True)
class ChainPath:
    """What is to come of a chain: its retargets, and the halvings told as rises of the subsidy's difficulty."""

    retargets: tuple[DifficultyStep, ...]
    halvings: tuple[DifficultyStep, ...]


def subsidy_btc(height_blocks: int) -> float:
    """Return the subsidy of the block of a height. [BTC]."""
    return FIRST_SUBSIDY_BTC / 2.0 ** (height_blocks // HALVING_BLOCKS)


def hashrate_ph_per_s(blocks: float, difficulty: float, seconds: float) -> float:
    """Return the hashrate that finds so many blocks of a difficulty in a time, on average. [PH/s]."""
    return blocks * difficulty * HASHES_PER_DIFFICULTY / (seconds * HASHES_PER_PH)


def chain_path(chain: Chain, hashrate_ph_per_s: float, until: datetime, growth_share_per_day: float = 0.0) -> ChainPath:
    """Return the retargets and halvings of a chain until an instant.

    hashrate_ph_per_s: at `chain.at`, above 0. growth_share_per_day: of the hashrate, continuous; it may be negative, and a
    hashrate that dies out before the next milestone reaches none.

    Raises:
        ValueError: the hashrate is not above 0.
    """
    if not hashrate_ph_per_s > 0:
        raise ValueError(f"hashrate_ph_per_s: expected a hashrate above 0, got {hashrate_ph_per_s}")
    at, height, difficulty, began = chain.at, chain.height_blocks, chain.difficulty, chain.epoch_began_at
    growth_per_s = growth_share_per_day / SECONDS_PER_DAY
    retargets: list[DifficultyStep] = []
    halvings: list[DifficultyStep] = []
    while True:
        milestone = min((height // EPOCH_BLOCKS + 1) * EPOCH_BLOCKS, (height // HALVING_BLOCKS + 1) * HALVING_BLOCKS)
        alone_s = (milestone - height) * difficulty * HASHES_PER_DIFFICULTY / (hashrate_ph_per_s * HASHES_PER_PH)
        needed_s = _grown(alone_s, growth_per_s)
        if needed_s is None or needed_s >= (until - at).total_seconds():
            return ChainPath(tuple(retargets), tuple(halvings))
        at, height = at + timedelta(seconds=needed_s), milestone
        hashrate_ph_per_s *= 1 + growth_per_s * alone_s  # = exp(g t), by the equation above
        if height % HALVING_BLOCKS == 0:
            halvings.append(DifficultyStep(at=at, change_share=HALVED, source="halving"))
        if height % EPOCH_BLOCKS == 0:
            factor = EPOCH_BLOCKS * BLOCK_S / max(1.0, (at - began).total_seconds())
            factor = min(MOST_RISE, max(MOST_FALL, factor))
            retargets.append(DifficultyStep(at=at, change_share=factor - 1, source="retarget, forecast"))
            difficulty, began = difficulty * factor, at


def _grown(alone_s: float, growth_per_s: float) -> float | None:
    """Return how long work takes that would take `alone_s` at a constant hashrate; None where it is never done."""
    if growth_per_s == 0:
        return alone_s
    grown = growth_per_s * alone_s
    return log1p(grown) / growth_per_s if grown > -1 else None


def hashprice_path(
    grid: TimeGrid, chain: Chain, path: ChainPath, btc_price_usd: Sequence[float], fees_btc: Sequence[float]
) -> tuple[float, ...]:
    """Return what a PH/s and day earns in each step, averaged over the step, before pool fees. [USD/(PH/s day)].

    btc_price_usd, fees_btc: by step of the grid, which begins no earlier than `chain.at`; fees of a block in BTC.
    """
    whole, fees = [], []
    for usd, fee in zip(btc_price_usd, fees_btc, strict=True):
        known = NetworkState(difficulty=chain.difficulty, btc_price_usd=usd, subsidy_btc=chain.subsidy_btc, fees_btc=fee)
        share = fee / (chain.subsidy_btc + fee)
        whole.append(known.hashprice_usd_per_ph_day * (1 - share))
        fees.append(known.hashprice_usd_per_ph_day * share)
    of_subsidy = stepped_hashprice(whole, grid, (*path.retargets, *path.halvings))
    of_fees = stepped_hashprice(fees, grid, path.retargets)
    return tuple(a + b for a, b in zip(of_subsidy, of_fees, strict=True))
