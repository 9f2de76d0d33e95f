"""The answer: what every machine does in each step, where the money comes from, and how good that is proven to be."""

from datetime import datetime
from functools import cached_property
from typing import Annotated, Literal

from annotated_types import Len

from models.base import MAX_STEPS, Count, Instant, Name, NonNegative, Record, Text, Watts, Work
from models.digest import digest
from models.problem import Label
from models.time_grid import TimeGrid

Basis = Literal["optimised", "last_good", "rule", "safe"]
Status = Literal["optimal", "feasible", "none"]
Term = Literal[
    "hashing_revenue",
    "asic_start_wear",
    "forced_stop_wear",
    "asic_end_value",
    "gpu_start_cost",
    "gpu_end_value",
    "energy_cost",
    "tier_cost",
    "block_cost",
    "resale_revenue",
    "demand_charge",
    "take_shortfall",
    "coincident_peak",
    "carbon_cost",
    "reserve_capacity",
    "reserve_energy",
    "reserve_saved_energy",
    "reserve_lost_hash",
    "reserve_starts",
    "reserve_claw_back",
    "inference_revenue",
    "reserved_revenue",
    "unserved_penalty",
    "late_penalty",
    "backlog_end_value",
    "service_shortfall",
    "routing_cost",
]
REVENUE_TERMS: tuple[Term, ...] = (
    "hashing_revenue",
    "inference_revenue",
    "reserved_revenue",
    "resale_revenue",
    "reserve_capacity",
    "reserve_energy",
)

CountSeries = Annotated[tuple[Count, ...], Len(1, MAX_STEPS)]
WattsByStep = Annotated[tuple[Watts, ...], Len(1, MAX_STEPS)]
WorkByStep = Annotated[tuple[Work, ...], Len(1, MAX_STEPS)]
UsdByStep = Annotated[tuple[float, ...], Len(1, MAX_STEPS)]


class GroupPlan(Record):
    """Blocks of an ASIC group in each mode, by step; the others sleep."""

    mode_blocks: dict[Name, CountSeries]


class PoolPlan(Record):
    """Nodes of a GPU pool that are on, and the work that they do by workload: the average rate over each step.

    nodes_warm: where nodes of the pool can be warm, how many are.
    """

    nodes_on: CountSeries
    nodes_warm: CountSeries | None = None
    work_per_h: dict[Name, WorkByStep] = {}


class ReservePlan(Record):
    """What a site offers of a reserve, or has been awarded, in the block that begins at `start`.

    unkept_w: what of an award is not kept, by step; absent where all is.
    """

    reserve: Name
    start: Instant
    end: Instant
    kw: Count
    is_award: bool = False
    unkept_w: Annotated[tuple[Watts, ...], Len(0, MAX_STEPS)] = ()


class SitePlan(Record):
    """One site: its machines, and what its meter shows.

    `draw_w` is the draw rounded up to whole watts; `hashing_w` and `inference_w` are the metered parts (PUE included)
    of running miners and of GPU nodes, rounded down; what remains is sleep and base load. `limit_w` is the limit in
    force.
    """

    groups: dict[Name, GroupPlan] = {}
    pools: dict[Name, PoolPlan] = {}
    draw_w: WattsByStep
    hashing_w: WattsByStep
    inference_w: WattsByStep
    limit_w: WattsByStep
    reserves: Annotated[tuple[ReservePlan, ...], Len(0, 10_000)] = ()

    def reserve_kw(self, start: datetime, end: datetime) -> dict[str, int]:
        """Return by reserve what is sold of it in [start, end), or the most where its block changes in between; none of 0."""
        found: dict[str, int] = {}
        for sold in self.reserves:
            if sold.kw and sold.start < end and sold.end > start:
                found[sold.reserve] = max(sold.kw, found.get(sold.reserve, 0))
        return found


class WorkloadPlan(Record):
    """One workload: unserved rate by step; for batch, work that waits and is late at the end of each step, rounded up."""

    unserved_work_per_h: WorkByStep
    backlog_work: WorkByStep | None = None
    late_work: WorkByStep | None = None


class MoneyLine(Record):
    """One named term of one owner (a site or a workload), by step; money out is negative."""

    term: Term
    owner: Name
    usd: UsdByStep


class Recovery(Record):
    """A rule that the state at the start already breaks, and the shortfall until it is met again."""

    site: Name
    step: Count
    rule: Name
    shortfall: NonNegative
    unit: Name
    words: Text

    @property
    def reason(self) -> str:
        """The recovery as a plan's reasons tell it."""
        return f"recovery at {self.site}, step {self.step}: {self.words}"


class Proof(Record):
    """Objective, certified bound and gap of a plan; a plan that no solver made has neither bound nor gap."""

    objective_usd: float
    bound_usd: float | None = None
    gap_usd: float | None = None
    gap_percent: float | None = None
    status: Status
    asked_gap: NonNegative | None = None
    wall_s: NonNegative
    cpu_s: NonNegative = 0.0


class Stability(Record):
    """What changed from the plan that stood before, in decisions and money.

    decisions: pairs of machines and step that both plans have; changed_before, changed: those whose counts differ, in the
    best plan that was found and in this one. given_up_usd: profit of the best plan found above this one's, of which the
    second pass might take give_up_usd. gain_usd: profit of the new plan above that of the standing one carried on; absent
    where that no longer holds. kept: this is the standing plan, since a new one would not gain more than least_gain_usd.
    """

    standing: Name
    decisions: Count
    changed_before: Count
    changed: Count
    given_up_usd: float
    give_up_usd: NonNegative
    gain_usd: float | None = None
    least_gain_usd: NonNegative
    kept: bool

    @property
    def words(self) -> str:
        """What became of the plan that stood before, in a line."""
        gain = "it no longer holds" if self.gain_usd is None else f"a new one would gain {self.gain_usd:,.2f} USD"
        changed = f"{self.changed} of {self.decisions} decisions changed ({self.changed_before} in the best plan found)"
        if self.kept:
            return f"kept plan {self.standing}: {gain}, of {self.least_gain_usd:,.2f} USD asked for"
        return f"replaced plan {self.standing} ({gain}): {changed}, {self.given_up_usd:,.2f} USD given up to stay next to it"


class AuditReport(Record):
    """What the independent audit found: every broken rule in words; none means that the plan is sound."""

    audit_version: Count = 1
    passed: bool
    broken: tuple[Text, ...] = ()
    rules_checked: tuple[Name, ...]


class Plan(Record):
    """Decisions of one planning run over a problem's grid, with their money and their proof.

    `reasons` say in words why the basis is what it is and what a reader must know.
    """

    schema_version: Literal[1] = 1
    plan_id: Name
    problem_name: Name
    problem_digest: Text
    grid: TimeGrid
    basis: Basis
    created_at: Instant
    labels: tuple[Label, ...] = ()
    reasons: tuple[Text, ...] = ()
    recoveries: tuple[Recovery, ...] = ()
    sites: dict[Name, SitePlan]
    workloads: dict[Name, WorkloadPlan] = {}
    money: tuple[MoneyLine, ...]
    proof: Proof
    engine: dict[Name, Text] = {}
    seed: int = 0
    stability: Stability | None = None
    audit: AuditReport | None = None

    @property
    def stand_ins(self) -> tuple[str, ...]:
        """Its reasons that name input which was missing, and what stands in for it in the plan's figures."""
        return tuple(reason for reason in self.reasons if reason.partition(":")[0].endswith("_missing"))

    @cached_property
    def profit_usd(self) -> float:
        """Sum of all money terms."""
        return sum(sum(line.usd) for line in self.money)

    @cached_property
    def money_by_term_usd(self) -> dict[str, float]:
        """Total of each money term over all owners and steps."""
        total: dict[str, float] = {}
        for line in self.money:
            total[line.term] = total.get(line.term, 0.0) + sum(line.usd)
        return total

    @cached_property
    def decisions_digest(self) -> str:
        """Digest of the decisions and their money alone: equal for equal plans, whenever they were made."""
        return digest(self.model_dump(mode="json", include={"problem_digest", "grid", "sites", "workloads", "money"}))
