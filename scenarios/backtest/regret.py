"""Why a plan earned less than perfect foresight: four parts that add up to the whole.

All of it is over the scored hours, as the score is: V, G and X leave out what the score leaves out; months' money is in V
wherever its step lies. V is the profit of perfect foresight (P), of plans in windows that see what came (W), of the plan (R):

    horizon         V(P) - V(W) - G(W)                 seeing no further than a window
    forecast error  V(W) + G(W) - V(R) - G(R) - X(R)   not knowing what would come in it
    execution       X(R)                               what the machines could not do of what was commanded
    solver gap      G(R)                               plans that are not proven best

P is the better of the two that saw what came: the plan of the whole period leaves a gap of its own, and tells its bound.
G is the sum of the gaps of the plans of scored steps, each by the part of its window that was carried out: an estimate, as
nobody knows in which hours a gap lies. The sum is V(P) - V(R) whatever G and X are. A part may be negative: a plan may be lucky.
"""

from scenarios.backtest.records import PolicyResult, Regret


def regret_of(plan: PolicyResult, windows: PolicyResult, perfect: PolicyResult) -> Regret:
    """Return the regret of a plan against perfect foresight, by way of the plan whose windows saw what came."""
    best_usd = max(perfect.profit_usd, windows.profit_usd)
    return Regret(
        perfect_usd=best_usd,
        realised_usd=plan.profit_usd,
        horizon_usd=best_usd - windows.profit_usd - windows.gap_usd,
        forecast_error_usd=windows.profit_usd + windows.gap_usd - plan.profit_usd - plan.gap_usd - plan.execution_usd,
        execution_usd=plan.execution_usd,
        solver_gap_usd=plan.gap_usd,
    )
