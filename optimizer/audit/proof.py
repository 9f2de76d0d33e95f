"""Whether the plan's claims about itself hold: objective, bound, gap, status and basis."""

from math import isclose

from models.plan import REVENUE_TERMS, Plan
from optimizer.audit.ground import Findings
from optimizer.audit.money import CENT

SMALLEST_SHARE_OF_GROSS = 0.01
"""A gap is relative to the profit, but to no less than this share of the gross revenue."""
NOTHING_EARNED_PERCENT = 100.0
"""The gap where there is neither, but a bound above a cent."""


def check_proof(plan: Plan, found: Findings) -> None:
    """The objective is the sum of the money; gap, status and basis follow from it and the bound."""
    proof = plan.proof
    total = sum(sum(line.usd) for line in plan.money)
    if not _close(proof.objective_usd, total):
        found.say_all("proof", f"objective is {proof.objective_usd:.4f} USD, the money terms add up to {total:.4f} USD")
    if plan.basis == "optimised":
        _check_bound(plan, found)
        return
    if (proof.bound_usd, proof.gap_usd, proof.gap_percent) != (None, None, None):
        found.say_all("proof", f"a plan of basis {plan.basis} has no bound and no gap, this one claims them")
    if proof.status == "optimal":
        found.say_all("proof", f"a plan of basis {plan.basis} is not proven optimal, this one claims to be")


def _check_bound(plan: Plan, found: Findings) -> None:
    proof = plan.proof
    if proof.status == "none":
        found.say_all("proof", "status is none, so there is no plan")
    if proof.bound_usd is None:
        if proof.status == "optimal" or proof.gap_usd is not None or proof.gap_percent is not None:
            found.say_all("proof", "claims a gap or to be optimal without a bound")
        return
    gap_usd = proof.bound_usd - proof.objective_usd
    if not gap_usd >= -max(CENT, 1e-6 * abs(proof.bound_usd)):  # so that NaN is told too
        found.say_all("proof", f"objective {proof.objective_usd:.4f} USD is better than its bound {proof.bound_usd:.4f} USD")
    gross = sum(sum(line.usd) for line in plan.money if line.term in REVENUE_TERMS)
    scale = max(abs(proof.objective_usd), SMALLEST_SHARE_OF_GROSS * gross)
    unearned = NOTHING_EARNED_PERCENT if gap_usd > CENT else 0.0
    percent = 100 * max(gap_usd, 0.0) / scale if scale > 0 else unearned
    if proof.gap_usd is None or not _near(proof.gap_usd, max(gap_usd, 0.0), proof.bound_usd):
        found.say_all("proof", f"the gap is {gap_usd:.4f} USD, the plan says {proof.gap_usd} USD")
    if proof.gap_percent is None or not isclose(proof.gap_percent, percent, rel_tol=1e-6, abs_tol=1e-6):
        found.say_all("proof", f"the gap is {percent:.6f} %, the plan says {proof.gap_percent} %")
    if proof.status == "optimal" and (proof.asked_gap is None or not percent <= 100 * proof.asked_gap + 1e-6):
        found.say_all("proof", f"status is optimal at a gap of {percent:.6f} %, asked was {proof.asked_gap}")


def _close(told: float, is_: float) -> bool:
    return _near(told, is_, is_)


def _near(told: float, is_: float, of: float) -> bool:
    """Whether two amounts agree within a cent, or a billionth of what they are of; NaN and infinity agree with nothing."""
    return abs(told - is_) <= max(CENT, 1e-9 * abs(of))
