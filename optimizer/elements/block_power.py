r"""Block power: a flat block is paid for in any case; its unused part is sold, and what is drawn beyond it is bought.

Variables
    sold[s,t]          unused part of the block                     0 .. block   [kW]
    selling[s,t]       whether anything is sold at all              0 or 1; only where prices cross

Constraints
    block_covers       block_kw[s,t] - draw[s,t] <= sold[s,t]
    sold_if_selling    sold[s,t] <= block_kw[s,t] * selling[s,t]
    bought_if_not      draw[s,t] - block_kw[s,t] + sold[s,t] <= beyond_kw[s,t] * (1 - selling[s,t])
    nothing_bought     draw[s,t] - block_kw[s,t] + sold[s,t] <= 0

Contributes
    energy_cost        purchase_usd_per_kw[s,t] * (block_kw[s,t] - sold[s,t])
    block_cost         -block_usd[s,t]
    resale_revenue     resale_usd_per_kw[s,t] * sold[s,t]

The energy contract prices the whole draw; the first term takes back what the block covers, so that both together are the
price of what is bought, draw - block + sold. The net position is bought or sold, never both at once. Where resale pays no
more than buying costs, the least that can be sold is also the best; only where it pays more (prices cross) must a
binary keep the site from selling the block and buying it back. beyond_kw is the most that the limit lets a site draw
beyond its block; where that is nothing, nothing is bought, and no binary is needed for that either.
"""

import numpy as np

from optimizer.contribution import Contribution, Earning
from optimizer.data import Data
from optimizer.declare import STEPS, Expr, Model, Reading, Rule
from optimizer.sets import World

W_PER_KW = 1000
KW_PER_MW = 1000


def block_power(model: Model, draw_kw: Rule) -> Contribution:
    """Let the sites that have a block sell what they do not draw of it."""
    model.sparse("BLOCK_STEPS", "SITES", STEPS)
    model.sparse("CROSSED", "SITES", STEPS)
    model.sparse("ALL_IN_BLOCK", "SITES", STEPS)
    for name in ("block_kw", "purchase_usd_per_kw", "block_usd", "resale_usd_per_kw"):
        model.parameter(name, "BLOCK_STEPS")
    model.parameter("beyond_kw", "CROSSED")
    model.sources.append(block_data)
    model.variable("sold", "BLOCK_STEPS", bounds=_block)
    model.variable("selling", "CROSSED", integer=True, bounds=_yes_or_no)

    def bought_kw(m: Reading, s: Expr, t: Expr) -> Expr:
        return draw_kw(m, s, t) - m.block_kw[s, t] + m.sold[s, t]

    @model.constraint("BLOCK_STEPS")
    def block_covers(m: Reading, s: Expr, t: Expr) -> Expr:
        return m.block_kw[s, t] - draw_kw(m, s, t) - m.sold[s, t] <= 0

    @model.constraint("CROSSED")
    def sold_if_selling(m: Reading, s: Expr, t: Expr) -> Expr:
        return m.sold[s, t] <= m.block_kw[s, t] * m.selling[s, t]

    @model.constraint("CROSSED")
    def bought_if_not(m: Reading, s: Expr, t: Expr) -> Expr:
        return bought_kw(m, s, t) <= m.beyond_kw[s, t] - m.beyond_kw[s, t] * m.selling[s, t]

    @model.constraint("ALL_IN_BLOCK")
    def nothing_bought(m: Reading, s: Expr, t: Expr) -> Expr:
        return bought_kw(m, s, t) <= 0

    def covered(m: Reading, s: Expr, t: Expr) -> Expr:
        return m.purchase_usd_per_kw[s, t] * m.block_kw[s, t] - m.purchase_usd_per_kw[s, t] * m.sold[s, t]

    def block_cost(m: Reading, s: Expr, t: Expr) -> Expr:
        return -m.block_usd[s, t]

    def resale_revenue(m: Reading, s: Expr, t: Expr) -> Expr:
        return m.resale_usd_per_kw[s, t] * m.sold[s, t]

    over = ("BLOCK_STEPS",)
    terms = (("energy_cost", covered), ("block_cost", block_cost), ("resale_revenue", resale_revenue))
    return Contribution(money=tuple(Earning(term, over, rule) for term, rule in terms))


def _block(m: Reading, s: Expr, t: Expr) -> tuple[Expr, Expr]:
    return 0, m.block_kw[s, t]


def _yes_or_no(m: Reading, s: Expr, t: Expr) -> tuple[Expr, Expr]:
    return 0, 1


def block_data(world: World) -> Data:
    """Return sets and parameters of the blocks of a world."""
    prices, steps = world.problem.prices_usd_per_mwh, len(world.step_s)
    mwh_per_kw = world.hours / KW_PER_MW
    block, purchase, paid, resale, beyond = (np.zeros((len(world.sites), steps)) for _ in range(5))
    has, crossed = (np.zeros((len(world.sites), steps), dtype=np.bool_) for _ in range(2))
    for n, site in enumerate(world.sites):
        if (contract := site.block_power) is None:
            continue
        has[n] = True
        block[n] = contract.block_w / W_PER_KW
        beyond[n] = np.maximum(0, world.effective_limit_w[n] - contract.block_w) / W_PER_KW
        purchase[n] = np.array(world.problem.energy_price_usd_per_mwh(site)) * mwh_per_kw
        paid[n] = contract.price_usd_per_mwh * mwh_per_kw * block[n]
        resale[n] = (np.array(prices[contract.resale_index]) - contract.resale_fee_usd_per_mwh) * mwh_per_kw
        crossed[n] = resale[n] > purchase[n]
    return {
        "BLOCK_STEPS": np.argwhere(has),
        "CROSSED": np.argwhere(crossed & (beyond > 0)),
        "ALL_IN_BLOCK": np.argwhere(crossed & (beyond == 0)),
        "block_kw": block[has],
        "purchase_usd_per_kw": purchase[has],
        "block_usd": paid[has],
        "resale_usd_per_kw": resale[has],
        "beyond_kw": beyond[crossed & (beyond > 0)],
    }
