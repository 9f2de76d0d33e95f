"""What the parts of a back-test are called, and what came of it in sentences."""

from collections.abc import Mapping

from models.plan import Term
from scenarios.backtest.records import BacktestReport, PolicyName, PolicyResult

POLICIES: Mapping[PolicyName, str] = {
    "plan": "Planned every hour",
    "plan_stochastic": "Planned over paths",
    "plan_perfect": "Planned, window known",
    "perfect_foresight": "Perfect foresight",
    "always_mining": "Always mining",
    "break_even": "Break-even rule",
    "two_strike": "Two-strike rule",
    "day_ahead": "Day-ahead rule",
    "real_time_lag": "Real-time lag rule",
    "inference_first": "Inference first",
}

KINDS: Mapping[str, tuple[Term, ...]] = {
    "hashing": ("hashing_revenue",),
    "inference": ("inference_revenue", "reserved_revenue"),
    "reserves": (
        "reserve_capacity",
        "reserve_energy",
        "reserve_saved_energy",
        "reserve_lost_hash",
        "reserve_starts",
        "reserve_claw_back",
    ),
    "energy": ("energy_cost", "tier_cost", "block_cost", "resale_revenue"),
    "contracts": ("demand_charge", "take_shortfall", "coincident_peak", "carbon_cost"),
    "starts": ("asic_start_wear", "forced_stop_wear", "gpu_start_cost", "asic_end_value", "gpu_end_value"),
    "service": (
        "unserved_penalty",
        "late_penalty",
        "backlog_end_value",
        "service_shortfall",
        "routing_cost",
    ),
}
"""Money terms that are drawn as one; every term by itself stands in the table."""
KIND_TITLES: Mapping[str, str] = {
    "hashing": "hashing",
    "inference": "inference",
    "reserves": "reserves",
    "energy": "energy, less what is resold",
    "contracts": "demand, take and carbon charges",
    "starts": "starts and wear",
    "service": "work unserved or late, routing",
    "other": "other",
}


def by_kind(result: PolicyResult) -> dict[str, float]:
    """Return a policy's money by kind, in the order of KINDS; terms of no kind are `other`. [USD]"""
    left = dict(result.by_term_usd)
    money = {kind: sum(left.pop(term, 0.0) for term in terms) for kind, terms in KINDS.items()}
    return money | ({"other": sum(left.values())} if left else {})


def title_of(policy: PolicyName | None) -> str:
    """Return what people call a policy."""
    return POLICIES[policy] if policy else "no rule"


def usd(amount: float) -> str:
    """Write money in full: whole dollars with separators, cents below ten dollars."""
    if abs(amount) < 0.005:
        return "$0"
    return f"{'−' if amount < 0 else ''}${abs(amount):{',.0f' if abs(amount) >= 10 else ',.2f'}}"


def short_usd(amount: float) -> str:
    """Write money for an axis or a label: three figures, k and M."""
    size = abs(amount)
    sign = "−" if amount < 0 else ""
    for least, unit in ((1e9, "bn"), (1e6, "M"), (1e3, "k")):
        if size >= 0.9995 * least:
            return f"{sign}${size / least:.3g}{unit}" if size < 999.5 * least else f"{sign}${size / least:,.0f}{unit}"
    return f"{sign}${size:.3g}" if size >= 0.005 else "$0"


def seen_all(report: BacktestReport) -> PolicyResult | None:
    """Return whoever earned most of those that saw what came: what shares of perfect foresight are shares of."""
    found = [r for r in (report.result("perfect_foresight"), report.result("plan_perfect")) if r is not None]
    perfect = report.result("perfect_foresight")
    return max(found, key=lambda r: r.profit_usd) if perfect is not None else None


def percent(share: float) -> str:
    """Write a share with one decimal."""
    return f"{100 * share:,.1f} %".replace("-", "−")


def verdict(report: BacktestReport) -> str:
    """Return what a reader must know first, in one sentence or two."""
    plan = report.result("plan")
    if plan is None:
        best = max(report.policies, key=lambda result: result.profit_usd)
        among = f", the most of {len(report.policies)} policies" if len(report.policies) > 1 else ""
        return f"{title_of(best.policy)} earned {usd(best.profit_usd)} in {hours(best.hours_scored)}{among}."
    words = f"Planned every hour, the fleet earned {usd(plan.profit_usd)} in {hours(plan.hours_scored)}"
    if report.share_of_perfect is not None:
        words += f": {percent(report.share_of_perfect)} of what perfect foresight earns"
    if report.gain_usd is not None and report.best_rule is not None:
        words += "," if report.share_of_perfect is None else ". That is"
        words += f" {_gain(report.gain_usd, report.gain_share)} the best rule, {named(report.best_rule)}"
    return words + "."


def _gain(usd_more: float, share: float | None) -> str:
    if abs(usd_more) < 0.005:
        return "as much as"
    by = f" ({percent(abs(share))})" if share is not None else ""
    return f"{usd(abs(usd_more))}{by} {'more' if usd_more > 0 else 'less'} than"


def named(policy: PolicyName) -> str:
    """Return a policy's name within a sentence."""
    title = title_of(policy)
    return f"{'the ' if title.endswith('rule') else ''}{title[0].lower()}{title[1:]}"


def hours(count: float) -> str:
    """Write a number of hours."""
    whole = count >= 10 or count == round(count)
    return f"{count:,.{0 if whole else 1}f} hour{'' if count == 1 else 's'}"
