"""The gap of a plan in percent: one formula for every plan that carries one."""

SMALLEST_SHARE_OF_GROSS = 0.01
"""Of gross revenue; a profit nearer to 0 than that makes percentages of it meaningless."""


def gap_percent(gap_usd: float, objective_usd: float, gross_usd: float) -> float:
    """Return a gap in percent of max(|objective|, 1 % of gross revenue); 0 where both are 0."""
    scale = max(abs(objective_usd), SMALLEST_SHARE_OF_GROSS * gross_usd)
    return 100 * gap_usd / scale if scale > 0 else 0.0
