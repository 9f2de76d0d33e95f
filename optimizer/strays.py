"""What all sites together bring to the meeting rows beside what is wanted of them, so that one makes up for what others miss.

A site brings a node more or less than the relaxation wants of it where a whole block needs the power. That costs a fleet
next to nothing where another site strays the other way. So of a site is wanted

    what the relaxation wants of it  -  what all others stray by, shared by those that are asked at the same time

and as long as their rest is not worked out together, whole numbers of all sites are worth

    sum over sites of what they earn at the prices  -  above @ max(0, net)  -  below @ max(0, -net)

where net is the sum of what they stray by, and a unit of it costs firmness * |price|. That is a guess, until a plan is made of
all: then the dual of a row says what a unit more of it is worth. An hour of a service that nobody serves, as a node
is asleep, costs its penalty, far more than the price of the work. Such rows are learned if they matter; where all were,
whatever a site brings would be wanted exactly, and no whole block would fit.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from optimizer.blocks import Blocks
from optimizer.compiled import Floats
from optimizer.integers import Aim, stiffness

NOTABLE = 0.2
"""Of what a plan earns too little, that missing one row must cost for this to be learned."""


class Strays:
    """Whole numbers of all sites, what each earns with them at the prices, and by how much it strays."""

    def __init__(self, blocks: Blocks, prices: Floats, relaxed: Floats) -> None:
        sites, rows = blocks.sites, blocks.meeting.size
        self._blocks, self._prices, self._guess = blocks, prices, stiffness(prices)
        self._above, self._below = np.zeros(rows), np.zeros(rows)
        self._costs = [site.cost_at(prices) for site in sites]
        self._wanted = np.array([site.meets.times(relaxed[site.columns]) for site in sites]).reshape(len(sites), rows)
        self._meets = np.array([np.diff(site.meets.start) > 0 for site in sites]).reshape(len(sites), rows)
        self._by, self._net = np.zeros((len(sites), rows)), np.zeros(rows)
        self.at, self.worth_usd = np.zeros(relaxed.size), np.full(len(sites), -np.inf)

    def wanted(self, sites: Sequence[int]) -> dict[int, Aim]:
        """Return what sites that are asked at the same time shall bring, and what it costs to miss it."""
        share = 1 / np.maximum(1, self._meets[list(sites)].sum(axis=0))
        return {n: Aim(self._wanted[n] - share * (self._net - self._by[n]), self._above, self._below) for n in sites}

    def keep(self, found: Mapping[int, Floats | None], firmness: float = 1.0) -> None:
        """Keep columns of sites, one site after the other, if the fleet is worth more with them, or the site has none."""
        for n, x in found.items():
            if x is None:
                continue
            block, worth_usd = self._blocks.sites[n], float(self._costs[n] @ x)
            by = block.meets.times(x) - self._wanted[n]
            net = self._net - self._by[n] + by
            if worth_usd - self.worth_usd[n] > self._missed_usd(net, firmness) - self._missed_usd(self._net, firmness):
                self.at[block.columns], self.worth_usd[n] = x, worth_usd
                self._by[n], self._net = by, net

    def together_usd(self) -> float:
        """Return what all are worth together."""
        return float(self.worth_usd.sum()) - self._missed_usd(self._net, 1.0)

    def learn(self, worth: Floats, short_usd: float) -> None:
        """Note what missing a row costs in a plan that was made of these whole numbers, where it costs a notable part.

        Arguments:
            worth: of a unit more of each meeting row in that plan; NaN where it says nothing. [USD]
            short_usd: what the plan earns too little.
        """
        known = np.nan_to_num(np.where(self._net > 0, worth, -worth) - np.where(self._net > 0, self._prices, -self._prices))
        matters = (known - self._guess) * np.abs(self._net) > NOTABLE * max(0.0, short_usd)
        np.maximum(self._above, known, out=self._above, where=matters & (self._net > 0))
        np.maximum(self._below, known, out=self._below, where=matters & (self._net < 0))

    def _missed_usd(self, net: Floats, firmness: float) -> float:
        above, below = (np.maximum(firmness * self._guess, known) for known in (self._above, self._below))
        return float(above @ np.maximum(net, 0.0) + below @ np.maximum(-net, 0.0))
