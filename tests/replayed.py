"""A back-test that ends within seconds: a few hours of the committed history, by one site, with short windows."""

from scenarios.backtest.histories import spec_of
from scenarios.backtest.records import BacktestSpec, PolicyName

FEW: tuple[PolicyName, ...] = ("plan", "perfect_foresight", "break_even", "always_mining")
RULES: tuple[PolicyName, ...] = ("break_even", "always_mining")


def few_hours(steps: int = 4, policies: tuple[PolicyName, ...] = FEW) -> BacktestSpec:
    """Return its specification."""
    return spec_of("storm", steps=steps, sites=1, window_steps=3, policies=policies, gap=1e-2)
