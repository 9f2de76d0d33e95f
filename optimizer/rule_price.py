"""What a MWh costs the rule plan: all that follows from the draw of a step alone, not from a month's sum or peak."""

from models.problem import Problem
from models.site import Site

KW_PER_MW = 1000
KG_PER_T = 1000


def draw_price_usd_per_mwh(problem: Problem, site: Site) -> list[float]:
    """Return by step what a metered MWh costs: energy contract, emissions, and the system peaks that are expected."""
    price = list(problem.energy_price_usd_per_mwh(site))
    if (carbon := site.carbon) is not None:
        steps = problem.grid.steps
        series = problem.carbon_kg_per_mwh[carbon.intensity] if carbon.intensity else [carbon.intensity_kg_per_mwh] * steps
        price = [usd + carbon.usd_per_t * kg / KG_PER_T for usd, kg in zip(price, series, strict=True)]
    if (peaks := site.coincident_peak) is not None:
        expected = peaks.expected_usd_per_kw(site.zone, problem.grid)
        price = [usd + kw * KW_PER_MW / h for usd, kw, h in zip(price, expected, problem.grid.hours, strict=True)]
    return price
