"""The answer to futures: what is decided here and now, what each scenario makes of it, and what knowing more is worth."""

from typing import Annotated, Literal

from annotated_types import Len

from models.base import Count, Name, NonNegative, Record, Text
from models.futures import MOST_FUTURES, Risk
from models.plan import Plan, Status


class ScenarioPlan(Record):
    """One scenario: its probability, its profit by named terms, and its recourse as a plan of its own problem, audited."""

    name: Name
    probability_ppm: Count
    profit_usd: float
    profit_by_term_usd: dict[Name, float]
    plan: Plan


class Knowledge(Record):
    """What the model of futures is worth, and what knowing the future would be; absent where it could not be found.

    stochastic_usd: value of the stochastic solution, what is gained over deciding for the mean of the futures.
    perfect_usd: expected value of perfect information. Each is certain to its `plus_minus`, gaps added up.
    """

    stochastic_usd: float | None = None
    stochastic_plus_minus_usd: NonNegative = 0.0
    perfect_usd: float | None = None
    perfect_plus_minus_usd: NonNegative = 0.0
    words: tuple[Text, ...] = ()


class FuturesPlan(Record):
    """A plan of the base problem that shares its first decisions with a recourse for every scenario.

    `objective_usd` weighs expected profit and CVaR as `risk` says; `bound_usd` is what no decisions can exceed.
    `commitment_steps` and `set_point_steps` say for how many steps machines on, and all set-points, are shared. `solved`
    says what was solved, and what did not have to be.
    """

    schema_version: Literal[1] = 1
    futures_name: Name
    futures_digest: Text
    problem_digest: Text
    risk: Risk
    commitment_steps: Count
    set_point_steps: Count
    expected_usd: float
    cvar_usd: float
    objective_usd: float
    bound_usd: float | None = None
    gap_usd: float | None = None
    gap_percent: float | None = None
    status: Status
    asked_gap: NonNegative
    wall_s: NonNegative
    cpu_s: NonNegative
    solved: Text
    knowledge: Knowledge | None = None
    plan: Plan
    scenarios: Annotated[tuple[ScenarioPlan, ...], Len(1, MOST_FUTURES)]
