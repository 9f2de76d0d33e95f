"""Block power: energy bought ahead at a fixed price; what the site does not draw of it is sold on."""

from typing import Annotated

from annotated_types import Gt

from models.base import Name, NonNegative, PriceUsdPerMwh, Record, Text, Watts


class BlockPower(Record):
    """A flat block, paid for in every hour; its unused part is sold at an index less a fee.

    What the site draws beyond the block it buys by its energy contract.
    """

    block_w: Annotated[Watts, Gt(0)]
    price_usd_per_mwh: PriceUsdPerMwh
    resale_index: Name
    resale_fee_usd_per_mwh: NonNegative = 0.0
    source: Text = ""
