"""How feeds are, as the API and people are told."""

from typing import Literal

from models.base import Count, Instant, Name, Record, Text
from service.series_keeping import SeriesReceipt


class FeedStatus(Record):
    """One feed: when it last succeeded, what went wrong last, when its newest value was told, and whether it is stale.

    `series` are those that it tells; `stale` means that one of them was told nothing new for longer than it may.
    """

    name: Name
    kind: str
    series: tuple[Name, ...]
    every_s: Count
    last_success_at: Instant | None
    last_error: Text | None
    last_error_at: Instant | None
    failures: Count
    next_poll_at: Instant
    newest_known_at: Instant | None
    stale: bool


class FeedPoll(Record):
    """What came of asking a feed: `done`, `failed` with the error, or still `running`."""

    name: Name
    state: Literal["done", "failed", "running"]
    receipts: tuple[SeriesReceipt, ...]
    error: Text | None
