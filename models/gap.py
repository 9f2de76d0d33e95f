"""The gap of a plan in percent: one formula for every plan that carries one."""

SMALLEST_SHARE_OF_GROSS = 0.01
"""Of gross revenue; a profit nearer to 0 than that makes percentages of it meaningless."""
CENT = 0.01


def gap_percent(gap_usd: float, objective_usd: float, gross_usd: float) -> float:
    """Return a gap [USD] in percent of max(|objective|, 1 % of gross revenue).

    Where both are 0 nothing is earned of what may be: that is 100 %, or 0 where the gap is no more than a cent.
    """
    scale = max(abs(objective_usd), SMALLEST_SHARE_OF_GROSS * gross_usd)
    if scale > 0:
        return 100 * gap_usd / scale
    return 100.0 if gap_usd > CENT else 0.0
