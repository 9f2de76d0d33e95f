"""In which order the sites that lose most are looked at again, once there is a plan, and how hard.

    refit     small trees for the counts of one step, or of two or three together, where they can win much: 20 ms a site at first
    exchange  moves from the counts at hand, each a warm linear programme: 30 ms a site
    tighten   a ceiling by the cuts at the root of the site's tree: 0.1 to 0.2 s a site; nearly all that a tree of hundreds of
              nodes would lower it by is won there
    polish    a tree around the counts at hand: 0.2 s a site at its root, and ever more

The order is that of what a second brings, measured on seeded fleets of 45 sites, 24 hours, ordinary and tight: 1,000 to 1,600
USD by the first refits, 200 to 600 by moves, 200 by ceilings, 20 to 80 by all other refits, 40 by the first polishing, 5 by
deeper trees. Where that first polishing wins little, sites alone cannot win what is missing, and the whole model of a small
fleet goes on at once (`hands_over`).
"""

from dataclasses import dataclass
from typing import Literal

from optimizer.integers import ANYWHERE, Effort

Better = Literal["exchange", "refit", "polish"]
"""What a site can do to find better counts than those at hand."""
How = Literal[Better, "tighten"]


@dataclass(frozen=True)
class Look:
    """How sites are looked at, how hard, and what each may leave as a share of what is asked of it.

    at_once: sites between two looks at gap and clock; not more for more workers, so that plans do not depend on them.
    """

    how: How
    effort: Effort
    leaves: float = 0.0
    at_once: int = 8


def _moves(firmness: float) -> Look:
    """Sixty moves. firmness: little at first, as others can make up for what a site misses."""
    return Look("exchange", Effort(0.0, 0, moves=60, firmness=firmness))


def _refit(window: int, leaves: float, firmness: float = 1.0) -> Look:
    """Fifty nodes are enough for the counts of few steps."""
    return Look("refit", Effort(0.0, 50, window=window, firmness=firmness), leaves)


def _polish(nodes: int, reach: int, leaves: float) -> Look:
    return Look("polish", Effort(0.0, nodes, reach=reach, firmness=0.5), leaves)


def _tighten(nodes: int) -> Look:
    """Few at once: two or three often do, and each takes long."""
    return Look("tighten", Effort(0.0, nodes), at_once=4)


LOOKS = (
    _refit(1, 0.2, 0.5), _moves(0.5), _tighten(1), _refit(1, 0.05), _refit(2, 0.05), _refit(3, 0.05),
    _polish(1, 4, 0.1), _polish(10, ANYWHERE, 0.1),
)  # fmt: skip
DEEPER = (
    _polish(100, ANYWHERE, 0.1), _tighten(300), _polish(3_000, ANYWHERE, 0.02), _tighten(3_000),
    _polish(30_000, ANYWHERE, 0.005), _tighten(30_000),
)  # fmt: skip
FEW_COUNTS = 30_000
"""Of so many in all, the whole model goes on from there: it sees what several sites can win together only."""
LEAST_GAIN = 0.1
"""Of what is missing, that polishing the sites of such a fleet must win."""


def looks_at(counts: int) -> tuple[Look, ...]:
    """Return the looks at a fleet of so many counts, in their order."""
    return LOOKS if counts <= FEW_COUNTS else LOOKS + DEEPER


def hands_over(counts: int, look: Look, gained_usd: float, missing_usd: float) -> bool:
    """Say whether the whole model of a fleet of so many counts should go on after a look that won so much of what was missing."""
    return counts <= FEW_COUNTS and look.how == "polish" and gained_usd < LEAST_GAIN * missing_usd
