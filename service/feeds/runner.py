"""Asks feeds when they are due, keeps what they tell, and raises an alarm when one of them, or any series, falls silent.

A bell rings every few seconds; who is due is worked out from what was asked when. Each poll has a thread of its own, so
that a feed that hangs holds up no other, and one poll at a time. After a failure a feed is left alone for 5, then 10, then
20 minutes, or as long as its source asks. A batch is kept whole or not at all, and what is known already is not kept again.
"""

import os
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from models.base import iso
from models.reading import BadInputError, Refusal
from service.alarms import Alarms
from service.bell import Bell
from service.feeds.overdue import Overdue
from service.feeds.status import FeedPoll, FeedStatus
from service.feeds.told import Batch, Feed, FeedError, without_secrets
from service.ports import Clock
from service.series_keeping import Handed, SeriesReceipt, check, keep
from service.store import Store
from service.store.common import ConflictError

BELL_S = 5
LOOK_AT_SERIES_S = 60
BACK_OFF = tuple(timedelta(minutes=minutes) for minutes in (5, 10, 20))
WAIT_S = 25.0
MOST_WORDS = 1_500
_log = structlog.get_logger("wattsplit.feeds")


@dataclass
class _Known:
    """What is known of a feed since the service started."""

    due_at: datetime
    since: datetime
    asked_at: datetime | None = None
    """When the last poll ended; a clock that is before it was set back, and says nothing of what is due."""
    polls: int = 0
    failures: int = 0
    last_success_at: datetime | None = None
    last_error: str | None = None
    last_error_at: datetime | None = None
    receipts: tuple[SeriesReceipt, ...] = ()
    told: frozenset[str] = frozenset()
    running: threading.Event | None = None
    """Set when the poll that runs now has ended."""
    stale: bool = False


class FeedRunner:
    """Runs the feeds of one service; only the process that leads asks."""

    def __init__(
        self, feeds: Sequence[Feed], store: Store, alarms: Alarms, now: Clock, *,
        leads: Callable[[], bool] = lambda: True, limits_changed: Callable[[], None] = lambda: None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:  # fmt: skip
        self._feeds = {feed.name: feed for feed in feeds}
        self._store, self._alarms, self._now, self._leads = store, alarms, now, leads
        self._limits_changed, self._environment = limits_changed, environment
        self._lock = threading.Lock()
        self._overdue = Overdue(store, alarms)
        self._bells: list[Bell] = []
        self._closing = False
        began = now()
        self._known = {name: _Known(began + self._jitter(feed, 0), began) for name, feed in self._feeds.items()}

    def start(self) -> None:
        """Ring from now on."""
        self._bells = [Bell("feeds", BELL_S, self.look)] if self._feeds else []
        self._bells.append(Bell("series", LOOK_AT_SERIES_S, self.look_at_series))
        for bell in self._bells:
            bell.start()

    def stop(self) -> None:
        """Ask no more; a poll that still runs keeps nothing."""
        with self._lock:
            self._closing = True
        for bell in self._bells:
            bell.stop()

    def look(self) -> None:
        """Ask every feed that is due, each in a thread of its own, and say which of them are stale."""
        if not self._leads():
            return
        now = self._now()
        for name, known in self._known.items():
            was_set_back = known.asked_at is not None and now < known.asked_at
            if known.running is None and (known.due_at <= now or was_set_back):
                self._begin(name, "feed")
        for name in self._feeds:
            self._alarm_if_stale(name, now)

    def look_at_series(self) -> None:
        """Say which series are overdue, whoever tells them."""
        try:
            if self._leads():
                self._overdue.look(self._now())
        except Exception:  # what is overdue is looked at again at the next bell
            _log.exception("series not looked at")

    # --- one poll -----------------------------------------------------------------------------------------------------

    def _begin(self, name: str, by: str) -> threading.Event | None:
        """Start a poll, or return the one that runs; None while the service stops."""
        known = self._known[name]
        with self._lock:
            if self._closing:
                return None
            if known.running is not None:
                return known.running
            known.running = ended = threading.Event()
        threading.Thread(target=self._poll, args=(name, by, ended), name=f"feed-{name}", daemon=True).start()
        return ended

    def _poll(self, name: str, by: str, ended: threading.Event) -> None:
        feed, known = self._feeds[name], self._known[name]
        known.polls += 1
        known.receipts = ()
        wait, again_soon = None, False
        try:
            batches = feed.poll(self._now(), self._environment)
            self._take(name, batches, f"{by}:{name}" if by == "feed" else by)
            known.last_success_at, known.failures, known.last_error, known.last_error_at = self._now(), 0, None, None
        except Exception as error:  # whatever a source does, the other feeds go on
            if isinstance(error, FeedError):
                wait, again_soon = error.retry_after_s, error.again_soon
            known.failures += 1
            words = without_secrets(_words(error), feed, self._environment)
            known.last_error, known.last_error_at = words[:MOST_WORDS], self._now()
            _log.warning("feed failed", feed=name, words=known.last_error, failures=known.failures)
            if known.failures == 1 or again_soon:
                self._alarms.raise_("feed_failed", known.last_error, feed=name)
        finally:
            now = self._now()
            pause = timedelta(seconds=feed.every_s)
            if known.failures and not again_soon:
                pause = max(pause, BACK_OFF[min(known.failures, len(BACK_OFF)) - 1], timedelta(seconds=wait or 0))
            known.asked_at = now
            known.due_at = now + pause + self._jitter(feed, known.polls)
            known.running = None
            ended.set()

    def _take(self, name: str, batches: Sequence[Batch], by: str) -> None:
        """Keep what came, batch by batch; what is refused is settled, and told when the others are kept.

        Raises:
            FeedError: some batch was refused, in words.
        """
        refused = []
        for batch in batches:
            with self._lock:
                if self._closing:
                    raise FeedError("the service stops")
            try:
                faults = batch.refusals or self._keep(name, batch, by)
            except BadInputError as error:
                faults = tuple(error.refusals)
            except ConflictError as error:
                faults = (Refusal(pointer="", code="conflict", detail=str(error)),)
            batch.settle(faults)
            if faults:
                more = f" ({len(faults) - 1} more)" if len(faults) > 1 else ""
                refused.append(f"{batch.what}: {faults[0].pointer} {faults[0].code}: {faults[0].detail}{more}")
        if refused:
            raise FeedError("; ".join(refused), again_soon=not any(batch.news_only for batch in batches))

    def _keep(self, name: str, batch: Batch, by: str) -> tuple[Refusal, ...]:
        """Check all series of a batch, then keep them in one transaction."""
        now, known = self._now(), self._known[name]
        handed = [
            Handed(by=by, at=now, provenance={"feed": name, **told.provenance}, news_only=batch.news_only) for told in batch.told
        ]
        checked = [check(self._store, told.series, told.content, by_) for told, by_ in zip(batch.told, handed, strict=True)]
        with self._store.transaction():
            receipts = [keep(self._store, one, by_) for one, by_ in zip(checked, handed, strict=True)]
        known.receipts += tuple(receipts)
        known.told |= {one.declaration.name for one in checked}
        if any(one.declaration.kind == "limit" and r.stored for one, r in zip(checked, receipts, strict=True)):
            self._limits_changed()
        return ()

    def _jitter(self, feed: Feed, polls: int) -> timedelta:
        return timedelta(seconds=random.Random(f"{feed.name} {polls}").uniform(0, feed.jitter_s))

    # --- what is told of feeds ----------------------------------------------------------------------------------------

    def _alarm_if_stale(self, name: str, now: datetime) -> None:
        known, status = self._known[name], self._status(name, now)
        if known.polls == 0:
            return  # the service has just started: what was told before says nothing of the source
        if status.stale and not known.stale:
            newest = status.newest_known_at
            since = f"its newest value was told {iso(newest)}" if newest else "it told nothing yet"
            words = f"feed {name} is stale: {since}, expected within {self._feeds[name].stale_after_s} s"
            self._alarms.raise_("feed_stale", f"{words}; {known.last_error or 'no error'}"[:MOST_WORDS], feed=name)
        known.stale = status.stale

    def _status(self, name: str, now: datetime) -> FeedStatus:
        feed, known = self._feeds[name], self._known[name]
        series = sorted({*feed.series, *known.told})
        newest = [at for one in series if (at := self._store.series.newest_known_at(one)) is not None]
        silent_since = min(newest) if newest and len(newest) == len(series) else known.since
        return FeedStatus(
            name=name, kind=feed.kind, series=tuple(series), every_s=feed.every_s,
            last_success_at=known.last_success_at, last_error=known.last_error, last_error_at=known.last_error_at,
            failures=known.failures, next_poll_at=known.due_at, newest_known_at=max(newest, default=None),
            stale=now - silent_since > timedelta(seconds=feed.stale_after_s),
        )  # fmt: skip

    def status(self) -> tuple[FeedStatus, ...]:
        """Return how every feed is, by name."""
        now = self._now()
        return tuple(self._status(name, now) for name in sorted(self._feeds))

    def poll_now(self, name: str, by: str) -> FeedPoll:
        """Ask a feed at once, whatever is due, and return what came of it, or that it still runs.

        Raises:
            KeyError: there is no such feed.
        """
        known = self._known[name]
        ended = self._begin(name, by)
        if ended is None or not ended.wait(WAIT_S):
            return FeedPoll(name=name, state="running", receipts=(), error=None)
        return FeedPoll(
            name=name, state="failed" if known.last_error else "done", receipts=known.receipts, error=known.last_error
        )


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, FeedError) else f"{type(error).__name__}: {error}"
