"""What all sites together bring to the meeting rows beside what is wanted of them, so that one makes up for what others miss.

A site brings a node more or less than the relaxation wants of it where a whole block needs the power. That costs a fleet
next to nothing where another site strays the other way. So of a site is wanted

    what the relaxation wants of it  -  what all others stray by, shared by those that are asked at the same time

and as long as their rest is not worked out together, whole numbers of all sites are worth

    sum over sites of what they earn at the prices  -  firmness * |price| @ |sum over sites of what they stray by|
"""

from collections.abc import Mapping, Sequence

import numpy as np

from optimizer.blocks import Blocks
from optimizer.compiled import Floats
from optimizer.integers import stiffness


class Strays:
    """Whole numbers of all sites, what each earns with them at the prices, and by how much it strays."""

    def __init__(self, blocks: Blocks, prices: Floats, relaxed: Floats) -> None:
        sites, rows = blocks.sites, blocks.meeting.size
        self._blocks, self._dear = blocks, stiffness(prices)
        self._costs = [site.cost_at(prices) for site in sites]
        self._wanted = np.array([site.meets.times(relaxed[site.columns]) for site in sites]).reshape(len(sites), rows)
        self._meets = np.array([np.diff(site.meets.start) > 0 for site in sites]).reshape(len(sites), rows)
        self._by, self._net = np.zeros((len(sites), rows)), np.zeros(rows)
        self.at, self.worth_usd = np.zeros(relaxed.size), np.full(len(sites), -np.inf)

    def wanted(self, sites: Sequence[int]) -> dict[int, Floats]:
        """Return what sites that are asked at the same time shall bring, [meeting rows] for each."""
        share = 1 / np.maximum(1, self._meets[list(sites)].sum(axis=0))
        return {n: self._wanted[n] - share * (self._net - self._by[n]) for n in sites}

    def keep(self, found: Mapping[int, Floats | None], firmness: float = 1.0) -> None:
        """Keep columns of sites, one site after the other, if the fleet is worth more with them, or the site has none."""
        for n, x in found.items():
            if x is None:
                continue
            block, worth_usd = self._blocks.sites[n], float(self._costs[n] @ x)
            by = block.meets.times(x) - self._wanted[n]
            net = self._net - self._by[n] + by
            if worth_usd - self.worth_usd[n] > firmness * float(self._dear @ (np.abs(net) - np.abs(self._net))):
                self.at[block.columns], self.worth_usd[n] = x, worth_usd
                self._by[n], self._net = by, net

    def together_usd(self) -> float:
        """Return what all are worth together."""
        return float(self.worth_usd.sum() - self._dear @ np.abs(self._net))
