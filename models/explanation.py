"""Why a plan does what it does at one site in one step: what one more MW is worth, and what the next best use would change."""

from typing import Literal

from models.base import Count, Instant, Name, NonNegative, Record, Text, Watts

Move = Literal["raise_mode", "lower_mode", "start_block", "stop_block", "serve_more", "serve_less", "warm_more", "warm_less"]


class NextBlock(Record):
    """The site re-solved at the plan's hub prices with the limit of the step raised by its largest block (or node).

    value_usd_per_mwh: difference in profit per MWh of the block; 0 where no block fits or the limit does not bind, and None
    where time did not suffice. plus_minus_usd_per_mwh: sum of the gaps of both solutions.
    """

    block_w: Watts
    value_usd_per_mwh: float | None
    plus_minus_usd_per_mwh: NonNegative = 0.0
    words: Text


class Alternative(Record):
    """Another use in this step, forced, with everything else at the site decided anew around it.

    change_usd: what that does to the profit over the whole horizon, at the plan's hub prices, against the best schedule of
    the site; None where it is not known. fits: False where no lawful schedule has it. plus_minus_usd: sum of both gaps.
    """

    move: Move
    thing: Name
    words: Text
    fits: bool
    change_usd: float | None
    plus_minus_usd: NonNegative = 0.0


class ModeBreakEven(Record):
    """Prices at which a block in a mode earns just what its energy costs, cooling and fees counted.

    power_usd_per_mwh: at the meter, with this step's hashprice. hashprice_usd_per_ph_day: with this step's energy price.
    step_up_usd_per_mwh: the power price at which a block that is one mode lower (or asleep) should be raised to this one.
    """

    group: Name
    mode: Name
    power_usd_per_mwh: float
    step_up_usd_per_mwh: float
    hashprice_usd_per_ph_day: float


class WorkBlock(Record):
    """A node's work through the step more of a workload, done at this site with everything else there decided anew.

    mwork: the block, in million units. fits: False where no lawful schedule of the site does it. value_usd_per_mwork: its
    price less routing and less what the site loses by it at the plan's hub prices, or what leaving it unserved is worth,
    where that is more; None where it is not known. plus_minus_usd_per_mwork: sum of both gaps.
    """

    mwork: NonNegative
    fits: bool
    value_usd_per_mwork: float | None
    plus_minus_usd_per_mwork: NonNegative = 0.0
    words: Text


class WorkloadValue(Record):
    """What one more million units of a workload, asked for in this step, are worth.

    value_usd_per_mwork: marginal, from the duals of the relaxed fleet. next_block: a whole node's work at this site; absent
    where it may not be served here.
    """

    workload: Name
    value_usd_per_mwork: float
    next_block: WorkBlock | None = None


class ReserveValue(Record):
    """What one more MW of a reserve would be worth in the block that the step lies in, per hour of the block in the horizon.

    kw: what the plan offers, or is awarded. marginal_usd_per_mw_h: all counts fixed but the mode split; the dual of what is
    sold, and None where no trace more could be sold. next_mw_usd_per_mw_h: the site re-solved with a MW more of it sold; None
    where that is not known, and fits: False where no lawful schedule has it.
    """

    reserve: Name
    start: Instant
    end: Instant
    kw: Count
    is_award: bool
    marginal_usd_per_mw_h: float | None
    next_mw_usd_per_mw_h: float | None
    plus_minus_usd_per_mw_h: NonNegative = 0.0
    fits: bool = True


class Explanation(Record):
    """One site and step of a plan, explained.

    marginal_usd_per_mwh: value of one more MW with all counts fixed except the mode split, which is taken as continuous; the
    dual of the limit. next_block: what a whole block would really bring.
    left_usd: by how much the best schedule of the site at the same prices beats the plan's over the whole horizon, and its ±.
    missing: what time did not suffice for, in words; those figures are None.
    """

    schema_version: Literal[1] = 1
    plan_id: Name
    site: Name
    step: Count
    start: Instant
    step_s: Count
    draw_w: Watts
    limit_w: Watts
    energy_usd_per_mwh: float
    hashprice_usd_per_ph_day: float
    reason: Text
    binding: tuple[Text, ...] = ()
    marginal_usd_per_mwh: float | None
    next_block: NextBlock
    next_best: Alternative | None = None
    alternatives: tuple[Alternative, ...] = ()
    left_usd: float | None = None
    left_plus_minus_usd: NonNegative = 0.0
    break_evens: tuple[ModeBreakEven, ...] = ()
    workloads: tuple[WorkloadValue, ...] = ()
    reserves: tuple[ReserveValue, ...] = ()
    notes: tuple[Text, ...] = ()
    missing: tuple[Text, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether time sufficed for everything."""
        return not self.missing
