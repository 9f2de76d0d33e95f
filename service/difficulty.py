"""Known changes of the network's difficulty: which of them the hashprice does not tell, so that none counts twice.

A series of kind hashprice declares what its values count. If `constant`, they are at the difficulty of when they were told:
a change applies from its instant on until the series has told something newer, which counts it already. If `expected`, they
are a forecast that counts changes itself. A change is refused, and one that stands is left out, unless all series of kind
hashprice say constant. The replay has one difficulty; what has passed when a plan begins is not applied to it.
"""

from datetime import datetime

from models.base import iso
from models.market import DifficultyStep
from service.store import Store


def counted_elsewhere(store: Store) -> str | None:
    """Return in words which series of kind hashprice counts changes itself, or does not say so; None if there is none such."""
    for declared in store.series.declarations("hashprice"):
        if declared.difficulty == "expected":
            return f"series {declared.name} counts expected changes of the difficulty itself"
        if declared.difficulty is None:
            return (
                f"series {declared.name} does not say whether its values count changes of the difficulty; declare its "
                "difficulty as constant (that of when they were told) or expected"
            )
    return None


def difficulty_steps(store: Store, told_at: datetime, end: datetime) -> tuple[tuple[DifficultyStep, ...], tuple[str, ...]]:
    """Return the changes before `end` that a hashprice told at `told_at` does not count, by time, and notes on those left out."""
    found = sorted((entry.difficulty for entry in store.difficulty.standing(told_at, end)), key=lambda step: step.at)
    if not found or (why := counted_elsewhere(store)) is None:
        return tuple(found), ()
    return (), tuple(f"difficulty_ignored: {percent(step)} at {iso(step.at)} is not applied: {why}" for step in found)


def percent(step: DifficultyStep) -> str:
    """Write a change for people."""
    return f"{100 * step.change_share:+g} %"
