"""What the parts of a back-test are called, and what came of it in sentences."""

from collections.abc import Mapping

from models.plan import Term
from scenarios.backtest.records import BacktestReport, PolicyName, PolicyResult, StandIn, StandInReason

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


def against(gain_usd: float, rule: PolicyName) -> str:
    """Return a gain in money and on which side of a rule it lies; one of nothing lies on neither."""
    if abs(gain_usd) < 0.005:
        return f"as much as {named(rule)}"
    return f"{usd(abs(gain_usd))} {'over' if gain_usd > 0 else 'below'} {named(rule)}"


SETTLED = (
    "The same decisions, billed with the contract less billed without it: nothing is planned anew. A fleet without the contract "
    "would have decided otherwise, so this is not what leaving it would bring."
)
"""What a figure of a contract is, where none of them is planned anew."""


def paths_verdict(report: BacktestReport) -> str:
    """Return whether counting on several paths paid beside planning for their means; nothing where either did not take part.

    A difference of profit counts as one only where it is more than what both plans' gaps leave open.
    """
    paths, means = report.result("plan_stochastic"), report.result("plan")
    if paths is None or means is None:
        return ""
    more, open_usd = paths.profit_usd - means.profit_usd, paths.gap_usd + means.gap_usd
    worst = paths.worst_hours_usd - means.worst_hours_usd
    if abs(more) <= open_usd:
        words = "Paths neither help nor harm what is earned"
        beside = f"{_signed(more)} beside the plan of the means, where the plans' gaps leave {usd(open_usd)} open"
    else:
        words = "Paths help" if more > 0 else "Paths do not help"
        share = f" ({percent(abs(more / means.profit_usd))})" if means.profit_usd > 0 else ""
        beside = f"{usd(abs(more))}{share} {'more' if more > 0 else 'less'} than the plan of the means"
    worst_words = "as before" if abs(worst) < 0.005 else f"{usd(abs(worst))} {'better' if worst > 0 else 'worse'}"
    times = f", {paths.cpu_s / means.cpu_s:,.1f} times" if means.cpu_s > 0 else ""
    return (
        f"{words}: {beside}. The worst 5 % of hours are {worst_words}, {usd(paths.worst_hours_usd)} an hour against "
        f"{usd(means.worst_hours_usd)}. It took {paths.cpu_s:,.0f} core-seconds{times} the {means.cpu_s:,.0f} of the other."
    )


def _signed(amount: float) -> str:
    return f"{'+' if amount > 0 else ''}{usd(amount)}"


STAND_IN_WORDS: Mapping[StandInReason, str] = {
    "untrained": "too little was known to train its model",
    "unanswered": "its model could not answer for the window",
    "long_window": "the window is longer than models look",
}


def stand_in_why(one: StandIn) -> str:
    """Return in words why a plain rule stood in."""
    return "no forecasts to make paths of" if one.family == "paths" else STAND_IN_WORDS[one.reason]


def stand_in_words(result: PolicyResult) -> list[str]:
    """Return in words in how many of a policy's hours a plain rule told a family of series in place of its model, and why."""
    found = []
    for one in result.stand_ins:
        what = "planned for the means alone" if one.family == "paths" else f"{one.family} told by the plain rule"
        found.append(f"{title_of(result.policy)}: {what} in {hours(one.hours)}: {stand_in_why(one)}")
    return found


def named(policy: PolicyName) -> str:
    """Return a policy's name within a sentence."""
    title = title_of(policy)
    return f"{'the ' if title.endswith('rule') else ''}{title[0].lower()}{title[1:]}"


def hours(count: float) -> str:
    """Write a number of hours."""
    whole = count >= 10 or count == round(count)
    return f"{count:,.{0 if whole else 1}f} hour{'' if count == 1 else 's'}"
