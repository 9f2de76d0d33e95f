"""What the rule plan wants of ASIC blocks: the merit order, with starts and stops that must pay for their wear.

A block hashes where its hash is worth more than its energy. It is started only where what it will earn until that ends,
and over its minimum run at least, is more than a start costs (wear, and the hash lost while it warms up); it is stopped
only where going on would lose more than starting it again. What backs an award runs where that and its claw-back together
are worth it, dearest first.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from models.asic import AsicGroup
from models.problem import Problem
from models.site import Site
from optimizer.reserves import W_PER_KW, claw_back_usd_per_kw, reserve_blocks, usd_per_kw
from optimizer.rule_price import draw_price_usd_per_mwh
from optimizer.rule_problem import ASLEEP, Wish
from optimizer.sets import world

W_PER_MEGAWATT = 1e6
S_PER_DAY = 86_400
S_PER_H = 3600
BARRED_USD = -1e9
"""Worth of a mode that the heat bars: nobody wishes it."""


@dataclass(frozen=True)
class _Worth:
    """A block of a group: USD over sleeping by mode and step, watts over sleep by both, and when starting and going on pay."""

    group: AsicGroup
    usd: list[list[float]]
    above_sleep_w: list[list[int]]
    starts: list[bool]
    goes_on: list[bool]


class Merit:
    """The merit order of a site's blocks."""

    def __init__(self, problem: Problem, site: Site) -> None:
        self.worth = {group.name: _worth(problem, site, group) for group in site.asic_groups}
        self.awards = _awards(problem, site)

    def wishes(self, t: int, before: Mapping[str, int], running: Mapping[str, int]) -> list[Wish]:
        """Return what a step wants, dearest watt first; blocks that only wait for better hours come last."""
        found: list[tuple[float, Wish]] = []
        backing = self._backing(t, running)
        found += [(value, wish) for value, wish in backing.values() if wish.count]
        for name, worth in self.worth.items():
            usd, above_w = [row[t] for row in worth.usd], [row[t] for row in worth.above_sleep_w]
            density = [u / w for u, w in zip(usd, above_w, strict=True)]
            entry = max(range(len(usd)), key=lambda k: density[k] if max(usd) > 0 else usd[k])
            wanted = worth.group.blocks if worth.starts[t] else before[name] if worth.goes_on[t] else 0
            if name in backing:
                wanted -= backing[name][1].count
            if wanted > running[name]:
                found.append((density[entry], Wish(name, ASLEEP, entry, wanted - running[name], worth.starts[t])))
            if entry and usd[entry] > usd[0]:
                found.append(((usd[entry] - usd[0]) / (above_w[entry] - above_w[0]), Wish(name, 0, entry, running[name])))
            found += _upgrades(name, usd, above_w, entry, worth.group.blocks)
        return [wish for _, wish in sorted(found, key=lambda item: -item[0])]

    def _backing(self, t: int, running: Mapping[str, int]) -> dict[str, tuple[float, Wish]]:
        """Wish for the blocks that back the awards of a step, in the mode in which a watt is worth most."""
        asked_w, usd_per_w = self.awards[t]
        best = []
        for name, worth in self.worth.items():
            density = [usd[t] / above_w[t] for usd, above_w in zip(worth.usd, worth.above_sleep_w, strict=True)]
            mode = density.index(max(density))
            best.append((density[mode], name, mode))
        found: dict[str, tuple[float, Wish]] = {}
        for density_usd, name, mode in sorted(best, key=lambda item: -item[0]):
            if asked_w <= 0 or density_usd + usd_per_w <= 0:
                break
            block_w = self.worth[name].above_sleep_w[mode][t]
            count = min(self.worth[name].group.blocks, -(-asked_w // block_w))
            asked_w -= count * block_w
            found[name] = density_usd + usd_per_w, Wish(name, ASLEEP, mode, max(0, count - running[name]))
        return found


def _awards(problem: Problem, site: Site) -> list[tuple[int, float]]:
    """Return by step what must stand ready of a site's awards, and what a watt of it is worth at least. [W], [USD/W]."""
    asked: list[tuple[int, float]] = [(0, 0.0)] * problem.grid.steps
    if not any(award.site == site.name for award in problem.awards):
        return asked
    here = world(problem, [site.name])
    for block in reserve_blocks(here, 0):
        if block.award_kw is not None:
            worth = (sum(usd_per_kw(here, block).values()) + claw_back_usd_per_kw(block)) / W_PER_KW
            for t, counts in enumerate(block.counts.tolist()):
                if counts:
                    watts, least = asked[t]
                    asked[t] = watts + W_PER_KW * block.award_kw, min(least, worth[t]) if watts else float(worth[t])
    return asked


def _upgrades(name: str, usd: Sequence[float], above_w: Sequence[int], mode: int, blocks: int) -> list[tuple[float, Wish]]:
    """Steps up from a mode along the upper hull of worth over power, as long as each pays."""
    found = []
    while mode + 1 < len(usd):
        gains = {k: (usd[k] - usd[mode]) / (above_w[k] - above_w[mode]) for k in range(mode + 1, len(usd))}
        best = max(gains, key=lambda k: gains[k])
        if gains[best] <= 0:
            break
        found.append((gains[best], Wish(name, mode, best, blocks)))
        mode = best
    return found


def _worth(problem: Problem, site: Site, group: AsicGroup) -> _Worth:
    grid, hashprice = problem.grid, problem.paid_hashprice_usd_per_ph_day
    price = draw_price_usd_per_mwh(problem, site)
    pue = [group.cooling.pue_milli(c) / 1000 for c in problem.ambient_c[site.ambient]]
    ambient = problem.ambient_c[site.ambient]
    above_w = [[group.block_power_w(mode, c) - group.block_sleep_w for c in ambient] for mode in group.modes]
    paid_ph = [[group.block_hash_ph_per_s(mode, c) * group.paid_share for c in ambient] for mode in group.modes]
    usd = [
        [
            hashprice[t] * ph[t] * s / S_PER_DAY - price[t] * w[t] * pue[t] / W_PER_MEGAWATT * s / S_PER_H
            if mode < group.modes_allowed(ambient[t])
            else BARRED_USD
            for t, s in enumerate(grid.step_s)
        ]
        for mode, (ph, w) in enumerate(zip(paid_ph, above_w, strict=True))
    ]
    best = [max(column) for column in zip(*usd, strict=True)]
    saved_usd = group.start_wear_usd + hashprice[-1] * paid_ph[0][-1] * group.warm_up_s / S_PER_DAY
    ahead, to_end = [0.0] * (grid.steps + 1), [*[0.0] * grid.steps, group.end_value_share * saved_usd]
    for t in range(grid.steps - 1, -1, -1):
        ahead[t] = best[t] + max(0.0, ahead[t + 1])
        to_end[t] = best[t] + max(0.0, to_end[t + 1])
    starts, goes_on = [], []
    for t in range(grid.steps):
        restart_usd = group.start_wear_usd + hashprice[t] * paid_ph[0][t] * group.warm_up_s / S_PER_DAY
        end = next((h for h in range(t + 1, grid.steps) if grid.offset_s[h] - grid.offset_s[t] >= group.min_up_s), grid.steps)
        starts.append(best[t] > 0 and sum(best[t:end]) + max(0.0, to_end[end]) > restart_usd)
        goes_on.append(ahead[t] > -restart_usd or best[t] > 0)
    return _Worth(group, usd, above_w, starts, goes_on)


def wishes_for(rows: Mapping[str, Sequence[Sequence[int]]]) -> Callable[[int, dict[str, int], dict[str, int]], list[Wish]]:
    """Return wishes for given counts: by group, a row per step of blocks by mode, from the lowest mode on."""

    def wishes(t: int, before: Mapping[str, int], running: Mapping[str, int]) -> list[Wish]:
        found = [Wish(name, ASLEEP, 0, sum(row[t]) - running[name]) for name, row in rows.items()]
        for name, row in rows.items():
            found += [Wish(name, 0, mode, count) for mode, count in enumerate(row[t]) if mode and count]
        return found

    return wishes
