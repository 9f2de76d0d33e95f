"""ASIC groups: identical blocks (containers, rows) of identical miners with power modes."""

from typing import Annotated, Self

from annotated_types import Ge, Gt, Le, Len
from pydantic import model_validator

from models.base import AmbientC, Name, NonNegative, PositiveCount, Record, Seconds, Share, Text, repeated
from models.cooling import Cooling
from models.derating import HeatDerating


class Mode(Record):
    """One operating point of one miner; above `max_ambient_c` outside it must not run."""

    name: Name
    miner_power_w: Annotated[int, Gt(0), Le(50_000)]
    miner_hash_th_per_s: Annotated[float, Gt(0), Le(5_000)]
    max_ambient_c: AmbientC | None = None

    @property
    def efficiency_j_per_th(self) -> float:
        """Energy per terahash."""
        return self.miner_power_w / self.miner_hash_th_per_s


class AsicGroup(Record):
    """`blocks` identical blocks of `miners_per_block` miners; each block is asleep or hashes in one of its modes.

    Modes run from the lowest power to the highest. A start loses `warm_up_s` of the lowest mode's hash and costs
    `start_wear_usd` per block, whatever the price of power is; a block that an order, an outage or the like stops within its
    minimum run wears by `forced_stop_usd_per_block_h` for every hour that it misses. `max_starts_per_day` is per block and
    local day; blocks take turns, so that it is counted over all of them.
    """

    name: Name
    model: Text
    blocks: PositiveCount
    miners_per_block: PositiveCount
    modes: Annotated[tuple[Mode, ...], Len(1, 8)]
    sleep_power_w: Annotated[int, Ge(0), Le(5_000)] = 0
    min_up_s: Seconds = 0
    min_down_s: Seconds = 0
    warm_up_s: Seconds = 0
    start_wear_usd: NonNegative = 0.0
    forced_stop_usd_per_block_h: NonNegative = 0.0
    end_value_share: Share = 0.0
    max_starts_per_day: Annotated[int, Gt(0), Le(1_000)] | None = None
    pool_fee: Share = 0.0
    firmware_fee: Share = 0.0
    stale_share: Share = 0.0
    uptime: Share = 1.0
    cooling: Cooling = Cooling()
    derating: HeatDerating = HeatDerating()
    source: Text = ""

    @model_validator(mode="after")
    def modes_rise(self) -> Self:
        """Refuse modes that do not rise, sleep above the lowest mode, and a warm-up longer than min up."""
        names = [mode.name for mode in self.modes]
        if twice := repeated(names):
            raise ValueError(f"modes: names must differ, got {twice} twice")
        for low, high in zip(self.modes, self.modes[1:], strict=False):
            if high.miner_power_w <= low.miner_power_w or high.miner_hash_th_per_s <= low.miner_hash_th_per_s:
                raise ValueError(f"modes: expected power and hash to rise from {low.name!r} to {high.name!r}")
            if low.max_ambient_c is not None and (high.max_ambient_c is None or high.max_ambient_c > low.max_ambient_c):
                raise ValueError(f"modes: expected max_ambient_c not to rise from {low.name!r} to {high.name!r}")
        if self.sleep_power_w >= self.modes[0].miner_power_w:
            raise ValueError(
                f"sleep_power_w: expected less than {self.modes[0].miner_power_w} W "
                f"of {self.modes[0].name!r}, got {self.sleep_power_w}"
            )
        if self.warm_up_s > self.min_up_s:
            raise ValueError(f"warm_up_s: expected at most min_up_s {self.min_up_s}, got {self.warm_up_s}")
        return self

    def block_power_w(self, mode: Mode, ambient_c: float | None = None) -> int:
        """Power of one block in a mode, at the machines: as rated, or at an outside temperature."""
        milli = 1000 if ambient_c is None else self.derating.power_milli(ambient_c)
        return self.miners_per_block * -(-mode.miner_power_w * milli // 1000)

    def block_hash_ph_per_s(self, mode: Mode, ambient_c: float | None = None) -> float:
        """Hash rate of one block in a mode: as rated, or at an outside temperature."""
        rated = self.miners_per_block * mode.miner_hash_th_per_s / 1e3
        return rated if ambient_c is None else rated * self.derating.hash_milli(ambient_c) / 1000

    def modes_allowed(self, ambient_c: float) -> int:
        """Return how many modes, from the lowest on, may run at an outside temperature."""
        return sum(mode.max_ambient_c is None or ambient_c <= mode.max_ambient_c for mode in self.modes)

    @property
    def block_sleep_w(self) -> int:
        """Power of one block asleep, at the machines."""
        return self.miners_per_block * self.sleep_power_w

    @property
    def paid_share(self) -> float:
        """Share of the hash made that is paid for: after pool and firmware fees, stale shares and down time."""
        return (1 - self.pool_fee) * (1 - self.firmware_fee) * (1 - self.stale_share) * self.uptime
