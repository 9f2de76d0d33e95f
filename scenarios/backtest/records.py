"""What a back-test is asked, and what it answers: plain records, made without a solver and read without one.

A *policy* decides what every machine does in each step, knowing only what was known by then; `perfect_foresight` alone knows
all of the period. What it decided is carried out at the real prices, demand and temperature, and valued over the whole period.
"""

from functools import cached_property
from typing import Annotated, Literal, Self

from annotated_types import Ge, Gt, Le, Len
from pydantic import model_validator

from models.base import MAX_STEPS, Count, Instant, Name, NonNegative, PositiveCount, Record, Share, Text, repeated
from models.contract import Currency
from models.digest import digest
from models.time_grid import TimeGrid, Zone

KnowledgeKind = Literal["perfect", "naive", "model"]
"""What a window sees of what is yet to come: what came; what a plain rule says; what a trained model says."""

Rule = Literal["always_mining", "break_even", "two_strike", "day_ahead", "real_time_lag", "inference_first"]
PolicyName = Literal["plan", "plan_stochastic", "plan_perfect", "perfect_foresight", Rule]
"""`plan`: re-planned with the declared knowledge. `plan_stochastic`: over several paths of the models' forecasts; it takes part
where it is asked for. `plan_perfect`: re-planned in the same windows, each of which sees what came. `perfect_foresight`: the
yardstick, which sees the whole period. The others are rules (`scenarios.backtest.rules`)."""
RULES: tuple[Rule, ...] = ("always_mining", "break_even", "two_strike", "day_ahead", "real_time_lag", "inference_first")
POLICIES: tuple[PolicyName, ...] = ("plan", "plan_perfect", "perfect_foresight", *RULES)

UsdByStep = Annotated[tuple[float, ...], Len(1, MAX_STEPS)]
MwByStep = Annotated[tuple[NonNegative, ...], Len(1, MAX_STEPS)]


class Market(Record):
    """A price series of the period: what it is, where it stands, and what it takes where the real-time price is missing."""

    index: Name
    market: Text
    zone: Zone
    currency: Currency = "USD"
    resolution_s: PositiveCount = 3600
    kind: Literal["real_time", "day_ahead"] = "real_time"
    instead: Text = ""
    """The declared series for missing intervals; empty: there is none."""
    source: Text = ""


class BacktestSpec(Record):
    """A period, a fleet, what is known when, and who is compared.

    history: by which `scenarios.backtest.histories` finds the series. start, steps, step_s: what is replayed. window_steps: how
    far a plan looks. gap, budget_s: of every plan. perfect_window_steps: of the yardstick; absent: one plan of the whole period.
    terminal, look_ahead_every: how a window sees what a month still owes (`scenarios.rolling`). paths, cvar_weight_share: of
    `plan_stochastic`, how many, and how much the worst twentieth of them counts beyond its probability.
    """

    schema_version: Literal[1] = 1
    name: Name
    title: Text = ""
    history: Name
    start: Instant
    steps: Annotated[int, Gt(0), Le(MAX_STEPS)]
    step_s: Annotated[int, Ge(300), Le(3600)] = 3600
    fleet: Name
    sites: Annotated[int, Gt(0), Le(1_000)] = 10
    markets: Annotated[tuple[Market, ...], Len(0, 100)] = ()
    window_steps: Annotated[int, Gt(0), Le(MAX_STEPS)] = 24
    gap: Annotated[float, Gt(0), Le(0.5)] = 2e-3
    budget_s: Annotated[float, Gt(0), Le(3600)] = 60.0
    perfect_window_steps: Annotated[int, Gt(0), Le(MAX_STEPS)] | None = None
    perfect_budget_s: Annotated[float, Gt(0), Le(36_000)] = 300.0
    terminal: Literal["look_ahead", "pro_rata", "none"] = "pro_rata"
    look_ahead_every: Annotated[int, Gt(0), Le(MAX_STEPS)] = 24
    knowledge: KnowledgeKind = "naive"
    policies: Annotated[tuple[PolicyName, ...], Len(1, len(POLICIES) + 1)] = POLICIES
    paths: Annotated[int, Gt(0), Le(50)] = 5
    cvar_weight_share: Share = 0.0
    seed: Count = 0

    @model_validator(mode="after")
    def begins_on_a_second(self) -> Self:
        """Refuse a start with a fraction of a second: no grid of steps begins there."""
        if self.start.microsecond:
            raise ValueError(f"start: expected a whole second, got {self.start.isoformat()}")
        return self

    @model_validator(mode="after")
    def policies_differ(self) -> Self:
        """Refuse a policy that is named twice."""
        if twice := repeated(self.policies):
            raise ValueError(f"policies: expected each once, got {twice} twice")
        return self


class DataFlag(Record):
    """A stretch of a series that is not what it should be, and what was done about it."""

    series: Name
    start: Instant
    end: Instant
    intervals: Count
    what: Text
    is_left_out: bool
    """Whether the hours that it touches are left out of the score."""


class Progress(Record):
    """How far a back-test is: of one policy, steps done of how many; of all of them, the share of the work."""

    policy: PolicyName
    done_steps: Count
    steps: Count
    share: Share
    words: Text = ""


class WorkDone(Record):
    """What was asked of a workload over the period, and what was served of it, in its own unit of work."""

    demanded_work: NonNegative
    served_work: NonNegative


StandInFamily = Literal["price", "demand", "temperature", "hashprice", "paths"]
StandInReason = Literal["untrained", "unanswered", "long_window"]
"""Too little is known to train on; the model cannot answer for this window (prices learn a time of day when it is first asked
for); windows longer than models look."""


class StandIn(Record):
    """Replayed hours, scored or not, whose plan went by a plain rule in place of a trained model, by family and reason.

    Of `paths`: planned over the means alone. words: of the first such hour.
    """

    family: StandInFamily
    reason: StandInReason
    hours: NonNegative
    series: tuple[Name, ...]
    words: Text = ""


class PolicyResult(Record):
    """What one policy earned over the scored hours, and what it did.

    Money of whole months (demand charge, least take, tiers, service level) is always in the score. `all_hours_usd` counts the
    hours left out as well. `usd` is the profit of each step, of all hours; `curve_usd` its running sum over the scored ones.
    worst_hours_usd: mean profit of the worst 5 % of the scored hours. bound_usd: what nobody could exceed over all hours, where
    a certified bound is known. gap_usd: sum over the plans of the scored steps of their gap, by the part of the window that was
    carried out; of one plan of the whole period its gap, over all hours as its bound. execution_usd: what the machines could not
    do of what was commanded in the scored steps, at real prices. broken: every rule that the joined plan breaks, in words; none
    is expected. stand_ins: where its knowledge is by models.
    """

    policy: PolicyName
    words: Text
    profit_usd: float
    all_hours_usd: float
    by_term_usd: dict[Name, float]
    by_owner_usd: dict[Name, float]
    usd: UsdByStep
    curve_usd: UsdByStep
    draw_mw: MwByStep
    inference_mw: MwByStep
    energy_mwh: NonNegative
    hash_ph_days: NonNegative
    work: dict[Name, WorkDone] = {}
    block_starts: Count
    node_starts: Count
    worst_hours_usd: float
    hours_scored: NonNegative
    hours_left_out: NonNegative
    plans: Count = 0
    plans_not_optimised: Count = 0
    bound_usd: float | None = None
    gap_usd: float = 0.0
    execution_usd: float = 0.0
    broken: tuple[Text, ...] = ()
    stand_ins: tuple[StandIn, ...] = ()
    cpu_s: NonNegative = 0.0
    wall_s: NonNegative = 0.0


class Regret(Record):
    """Why a plan earned less than perfect foresight over the scored hours: parts that add up to the whole (`.regret`)."""

    perfect_usd: float
    realised_usd: float
    horizon_usd: float
    """Seeing no further than a window."""
    forecast_error_usd: float
    execution_usd: float
    solver_gap_usd: float

    @property
    def total_usd(self) -> float:
        """What was missed."""
        return self.perfect_usd - self.realised_usd


class ContractAdded(Record):
    """What a kind of contract added to the profit of `plan`: with it less without it.

    how: `settled`: the same decisions billed without it. `replanned`: planned anew without it over `steps`.
    """

    contract: Name
    sites: Count
    usd: float
    how: Literal["settled", "replanned"]
    steps: Count


class BacktestReport(Record):
    """The whole answer. Money of different policies compares hour by hour: all of them are valued on the same history."""

    schema_version: Literal[1] = 1
    spec: BacktestSpec
    grid: TimeGrid
    scored: Annotated[tuple[bool, ...], Len(1, MAX_STEPS)]
    prices_usd_per_mwh: dict[Name, UsdByStep] = {}
    """The mean real price of the fleet's markets by step, for plots."""
    policies: Annotated[tuple[PolicyResult, ...], Len(1, len(POLICIES) + 1)]
    best_rule: Rule | None = None
    share_of_perfect: float | None = None
    """Profit of `plan` as a share of what was earned by those that saw what came: the yardstick, or `plan_perfect` if better."""
    gain_usd: float | None = None
    """Profit of `plan` above that of the best rule."""
    gain_share: float | None = None
    """The same as a share of the best rule's profit."""
    regret: Regret | None = None
    contracts: tuple[ContractAdded, ...] = ()
    flags: tuple[DataFlag, ...] = ()
    notes: tuple[Text, ...] = ()
    """What a reader must know: what is assumed, replayed or left out."""
    sources: dict[Name, Text] = {}
    cpu_s: NonNegative
    cpu_s_per_hour: NonNegative
    """Core-seconds of all policies for each hour that was replayed."""
    versions: dict[Name, Text] = {}

    @cached_property
    def digest(self) -> str:
        """Content digest of all but times and versions: equal for equal runs."""
        timed = {"cpu_s", "cpu_s_per_hour", "versions"}
        content = self.model_dump(mode="json", exclude=timed)
        for result in content["policies"]:
            del result["cpu_s"], result["wall_s"]
        return digest(content)

    def result(self, policy: PolicyName) -> PolicyResult | None:
        """Return what a policy came to, if it took part."""
        return next((result for result in self.policies if result.policy == policy), None)
