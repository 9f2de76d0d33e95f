"""The Bitcoin network as one's own node knows it: bitcoind's JSON-RPC, asked in two batches.

`getblockchaininfo` (chain, blocks, difficulty, time, initialblockdownload), then `getblockstats` of the newest blocks for
totalfee and subsidy, in satoshi. A node that is still loading, stands still, or follows another chain is refused in words.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le

from models.base import Name
from models.network_path import subsidy_btc
from service.feeds.told import Batch, FeedError, SecretName, Told, WebSettings, number, refuse_old, secret, spot
from service.feeds.web import Web

SATOSHI = 1e8
TIP_AGE = timedelta(hours=3)
HOUR_S = 3_600


class BitcoinNode(WebSettings):
    """A node at `url`, such as http://127.0.0.1:8332 with `private: true`; user and password by the names of variables."""

    kind: Literal["bitcoin_node"]
    user_env: SecretName
    password_env: SecretName
    prefix: Name = "btc"
    """Series are called by it: btc.difficulty, btc.fees, btc.height."""
    fee_blocks: Annotated[int, Ge(1), Le(1_008)] = 144
    """Newest blocks over which fees are averaged; 144 are about a day."""
    holds_steps: Annotated[int, Ge(1), Le(48)] = 3

    @property
    def series(self) -> tuple[str, ...]:
        """Names of what is told."""
        return tuple(f"{self.prefix}.{what}" for what in ("difficulty", "fees", "height"))

    def poll(self, now: datetime, environment: Mapping[str, str]) -> Sequence[Batch]:
        """Ask for the chain and for the newest blocks."""
        web = Web(self, now)
        word = secret(environment, self.user_env), secret(environment, self.password_env)
        (chain,) = self._ask(web, word, [("getblockchaininfo", [])])
        height = self._tip(chain, now)
        difficulty = number(chain, "difficulty", lowest=1, highest=1e18)
        wanted = [
            ("getblockstats", [h, ["subsidy", "totalfee"]]) for h in range(max(1, height - self.fee_blocks + 1), height + 1)
        ]
        stats = self._ask(web, word, wanted)
        _same_subsidy(number(stats, -1, "subsidy", lowest=0, highest=50 * SATOSHI), height)
        fees = [number(stats, n, "totalfee", lowest=0, highest=1_000 * SATOSHI) for n in range(len(stats))]
        fees_btc = sum(fees) / len(fees) / SATOSHI
        return [Batch(self.url, (
            self._spot("difficulty", "difficulty", "hashes/2^32", difficulty, now, web),
            self._spot("fees", "fees", "BTC/block", fees_btc, now, web),
            self._spot("height", "height", "blocks", float(height), now, web),
        ))]  # fmt: skip

    def _spot(self, what: str, kind: Any, unit: Any, value: float, now: datetime, web: Web) -> Told:
        declared = self.declared(f"{self.prefix}.{what}", kind, "BTC", unit, self.url, resolution_s=HOUR_S)
        holds = 1 if what == "height" else self.holds_steps
        return spot(declared, value, now=now, known_at=now, holds_steps=holds, provenance=web.provenance)

    def _tip(self, chain: Any, now: datetime) -> int:
        if not isinstance(chain, dict) or chain.get("chain") != "main":
            raise FeedError(
                f"the node follows the chain {chain.get('chain') if isinstance(chain, dict) else None}, expected main"
            )
        if chain.get("initialblockdownload") is not False:
            raise FeedError("the node is still loading the chain")
        height = int(number(chain, "blocks", lowest=1, highest=1e8))
        stamp = number(chain, "time", lowest=1.2e9, highest=1e11)
        refuse_old(f"block {height}", datetime.fromtimestamp(stamp, UTC), now, TIP_AGE)
        return height

    def _ask(self, web: Web, word: tuple[str, str], calls: Sequence[tuple[str, list[Any]]]) -> list[Any]:
        """Send calls in one batch and return their results in the same order."""
        batch = [{"jsonrpc": "1.0", "id": n, "method": method, "params": given} for n, (method, given) in enumerate(calls)]
        answers = web.post(batch, *word)
        if not isinstance(answers, list) or not all(isinstance(answer, dict) for answer in answers):
            raise FeedError(f"expected a list of {len(calls)} answers, got {str(answers)[:80]}")
        by_id = {answer.get("id"): answer for answer in answers}
        results = []
        for n, (method, _) in enumerate(calls):
            answer = by_id.get(n, {"error": "no answer"})
            if answer.get("error") is not None or "result" not in answer:
                raise FeedError(f"{method}: the node answers {str(answer.get('error'))[:200]}")
            results.append(answer["result"])
        return results


def _same_subsidy(told: float, height: int) -> None:
    expected = subsidy_btc(height) * SATOSHI
    if abs(told - expected) > 1:
        raise FeedError(
            f"the subsidy of block {height} is {told / SATOSHI:g} BTC, expected {expected / SATOSHI:g}: another chain"
        )
