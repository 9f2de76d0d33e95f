"""The Bitcoin network through the public API of a mempool.space instance, one's own or theirs.

Asked are `/api/v1/prices` (time, USD), `/api/v1/blocks` (the newest blocks: height, timestamp, difficulty),
`/api/v1/difficulty-adjustment` (nextRetargetHeight, remainingBlocks; must agree with the height) and
`/api/v1/mining/blocks/fees/24h` (avgFees in satoshi). Told are price, difficulty, fees, height and, if wanted, the hashprice
that they make. The public instance limits how often it may be asked and says nothing of commercial use: run one's own.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le

from models.base import Name
from models.market import NetworkState
from models.network_path import subsidy_btc
from service.feeds.told import Batch, FeedError, Told, WebSettings, number, refuse_old, spot
from service.feeds.web import Web

SATOSHI = 1e8
TIP_AGE = timedelta(hours=3)
"""A network that finds six blocks an hour has not stood still for longer in ten years."""
MOST_BLOCKS_APART = 3
HOUR_S = 3_600


class Mempool(WebSettings):
    """A mempool.space instance, at its base address `url`."""

    kind: Literal["mempool"]
    prefix: Name = "btc"
    """Series are called by it: btc.usd, btc.difficulty, btc.fees, btc.height."""
    hashprice: Name | None = "hashprice"
    """Name of the series of the hashprice that follows; none if null."""
    holds_steps: Annotated[int, Ge(1), Le(48)] = 3
    """How many hours what is told now is taken to hold."""

    @property
    def series(self) -> tuple[str, ...]:
        """Names of what is told."""
        own = tuple(f"{self.prefix}.{what}" for what in ("usd", "difficulty", "fees", "height"))
        return (*own, self.hashprice) if self.hashprice else own

    def poll(self, now: datetime, environment: Mapping[str, str]) -> Sequence[Batch]:
        """Ask for price, tip, retarget and fees."""
        web = Web(self, now)
        price_at, usd = self._price(web, now)
        height, difficulty = self._tip(web, now)
        fees_btc = self._fees(web)
        network = NetworkState(difficulty=difficulty, btc_price_usd=usd, subsidy_btc=subsidy_btc(height + 1), fees_btc=fees_btc)
        told = [
            self._spot("usd", "exchange", "USD/unit", usd, now, min(now, price_at), web),
            self._spot("difficulty", "difficulty", "hashes/2^32", difficulty, now, now, web),
            self._spot("fees", "fees", "BTC/block", fees_btc, now, now, web),
            self._spot("height", "height", "blocks", float(height), now, now, web),
        ]
        if self.hashprice:
            words = f"price, difficulty, subsidy and fees of {self.url}"
            declared = self.declared(
                self.hashprice, "hashprice", None, "USD/PH/day", words, resolution_s=HOUR_S, difficulty="constant"
            )
            usd_per_ph_day = network.hashprice_usd_per_ph_day
            told.append(spot(
                declared, usd_per_ph_day, now=now, known_at=min(now, price_at), holds_steps=self.holds_steps,
                provenance=web.provenance,
            ))  # fmt: skip
        return [Batch(self.url, tuple(told))]

    def _spot(self, what: str, kind: Any, unit: Any, value: float, now: datetime, known_at: datetime, web: Web) -> Told:
        declared = self.declared(f"{self.prefix}.{what}", kind, "BTC", unit, self.url, resolution_s=HOUR_S)
        holds = 1 if what == "height" else self.holds_steps
        return spot(declared, value, now=now, known_at=known_at, holds_steps=holds, provenance=web.provenance)

    def _price(self, web: Web, now: datetime) -> tuple[datetime, float]:
        answer = web.get("/api/v1/prices")
        at = datetime.fromtimestamp(number(answer, "time", lowest=1.2e9, highest=1e11), UTC)
        refuse_old("the price", at, now, timedelta(seconds=self.stale_after_s))
        return at, number(answer, "USD", lowest=1, highest=1e8)

    def _tip(self, web: Web, now: datetime) -> tuple[int, float]:
        blocks = web.get("/api/v1/blocks")
        height = int(number(blocks, 0, "height", lowest=1, highest=1e8))
        stamp = number(blocks, 0, "timestamp", lowest=1.2e9, highest=1e11)
        refuse_old(f"block {height}", datetime.fromtimestamp(stamp, UTC), now, TIP_AGE)
        retarget = web.get("/api/v1/difficulty-adjustment")
        left = number(retarget, "remainingBlocks", lowest=0, highest=2016)
        beside = int(number(retarget, "nextRetargetHeight", lowest=1, highest=1e8) - left)
        if abs(beside - height) > MOST_BLOCKS_APART:
            raise FeedError(
                f"the newest block is {height}, the next change of the difficulty says {beside}: answers of two times"
            )
        return height, number(blocks, 0, "difficulty", lowest=1, highest=1e18)

    def _fees(self, web: Web) -> float:
        rows = web.get("/api/v1/mining/blocks/fees/24h")
        if not isinstance(rows, list) or not rows:
            raise FeedError("the fees of the last 24 h: expected a list of blocks, got none")
        fees = [number(rows, row, "avgFees", lowest=0, highest=1_000 * SATOSHI) for row in range(len(rows))]
        return sum(fees) / len(fees) / SATOSHI
