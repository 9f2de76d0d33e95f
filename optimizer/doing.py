"""What a solver is at, in few numbers: told while it works, for whoever watches. It decides nothing."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

What = Literal["relaxation", "prices", "whole numbers", "ceilings", "whole model"]
"""relaxation, whole model: HiGHS at the one model. prices: what all sites would do at the prices of a round. whole numbers:
sites settled, in the first look or a later one. ceilings: sites bounded by their own whole numbers."""
SAID = frozenset(get_args(What))
MOST = 1_000_000_000


@dataclass(frozen=True)
class Doing:
    """A piece of work: which round of it, and how many of its sites are done; no sites where it is of the whole model."""

    what: What
    round: int = 1
    sites_done: int = 0
    sites: int = 0

    @property
    def header(self) -> dict[str, Any]:
        """What a frame says of it."""
        return asdict(self)


def doing_of(header: Mapping[str, Any]) -> Doing | None:
    """Return what a frame of a solver child says that it is at; nothing where it says none, or what cannot be."""
    told = header.get("doing")
    if not isinstance(told, dict) or told.keys() != {"what", "round", "sites_done", "sites"}:
        return None
    what, counts = told["what"], (told["round"], told["sites_done"], told["sites"])
    if not isinstance(what, str) or what not in SAID or any(type(n) is not int or not 0 <= n <= MOST for n in counts):
        return None
    return Doing(told["what"], *counts) if counts[1] <= counts[2] else None
