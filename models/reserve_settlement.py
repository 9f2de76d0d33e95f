"""What a call of a reserve pays once the meter has been read: plain arithmetic, nothing looks ahead."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from models.base import NonNegative, Record, Seconds, Watts
from models.order import LimitOrder
from models.reserve import Award, Reserve

W_PER_KW = 1000
W_PER_MW = 1_000_000
S_PER_H = 3600


class CallSettlement(Record):
    """A call, settled.

    asked_w: what was sold. least_w: the least that was delivered at any time of the call. asked_s: how long it lasted.
    kept_s: time of it in which all of the sold power was delivered. energy_mwh: delivered, up to what was sold.
    energy_usd: paid for that. claw_back_usd: for what was missing, the lost capacity payment included.
    """

    asked_w: Watts
    least_w: Watts
    asked_s: Seconds
    kept_s: Seconds
    energy_mwh: NonNegative
    energy_usd: NonNegative
    claw_back_usd: NonNegative


def settle_call(
    reserve: Reserve,
    award: Award,
    call: LimitOrder,
    *,
    baseline_w: int,
    start: datetime,
    step_s: Sequence[int],
    draw_w: Sequence[int],
) -> CallSettlement:
    """Return what a call pays.

    baseline_w: what the site would have drawn. start: of the first interval. step_s, draw_w: length and mean draw of each.

    Raises:
        ValueError: the call has no end, or the intervals do not cover it.
    """
    if call.end is None:
        raise ValueError(f"call {call.name}: expected an end")
    asked_w, asked_s = award.kw * W_PER_KW, (call.end - call.start) // timedelta(seconds=1)
    least_w, kept_s, seen_s, watt_s, missing_s = asked_w, 0, 0, 0, 0
    begins = start
    for length_s, drawn_w in zip(step_s, draw_w, strict=True):
        ends = begins + timedelta(seconds=length_s)
        inside_s = max(0, (min(ends, call.end) - max(begins, call.start)) // timedelta(seconds=1))
        if inside_s:
            delivered_w = max(0, min(asked_w, baseline_w - drawn_w))
            least_w = min(least_w, delivered_w)
            kept_s += inside_s if delivered_w == asked_w else 0
            watt_s += delivered_w * inside_s
            missing_s += (asked_w - delivered_w) * inside_s
            seen_s += inside_s
        begins = ends
    if seen_s != asked_s:
        raise ValueError(f"call {call.name}: expected readings of {asked_s} s, got {seen_s} s")
    mwh = watt_s / W_PER_MW / S_PER_H
    missing_mw_h = missing_s / W_PER_MW / S_PER_H
    return CallSettlement(
        asked_w=asked_w,
        least_w=least_w,
        asked_s=asked_s,
        kept_s=kept_s,
        energy_mwh=mwh,
        energy_usd=reserve.energy_usd_per_mwh * mwh,
        claw_back_usd=(reserve.claw_back_usd_per_mw_h + reserve.capacity_usd_per_mw_h) * missing_mw_h,
    )


def capacity_usd(reserve: Reserve, award: Award, block_s: int, unkept_w: Sequence[int], step_s: Sequence[int]) -> float:
    """Return what a whole block pays for capacity, less what is clawed back for power that was not kept in its steps.

    block_s: length of the block. unkept_w, step_s: by step, what was not kept and for how long.
    """
    sold = reserve.capacity_usd_per_mw_h * award.kw / W_PER_KW * block_s / S_PER_H
    missing_mw_h = sum(w * s for w, s in zip(unkept_w, step_s, strict=True)) / W_PER_MW / S_PER_H
    return sold - (reserve.capacity_usd_per_mw_h + reserve.claw_back_usd_per_mw_h) * missing_mw_h
