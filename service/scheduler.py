"""Keeps plans fresh: one thread plans, the clock and events tell it when.

APScheduler rings at minute 40 of every hour (UTC, so that no clock change skips or doubles it), and a bell that needs no
clock several times a minute, to look whether something is owed. What is owed is read from the store, so a bell that was
missed, rang twice, or rang in a process that was killed changes nothing: after five missed hours one plan is owed, for the
present slot.
"""

import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger

from service.bell import Bell
from service.engine import Ask
from service.freshness import Gauge
from service.leader import RENEW_EVERY_S, Leadership
from service.planning import Planner, PreemptedError, Stop, Watch
from service.ports import Clock, Freshness
from service.published import HOURLY, NothingToPlanError
from service.retries import Retries
from service.slots import PLAN_FROM_MINUTE, floor_hour, target_slot
from service.store.common import StoreError, new_id
from service.store.database import StoreUnavailableError
from service.store.entry_records import Entry
from service.store.publications import StaleEpochError
from service.store.records import Event, FleetVersion, Publication
from service.unanswered import Unanswered

START = "start"
REPLANS = ("event-", "outage-", "pin-", "award-", "difficulty-", "limit-", "fleet-", "catch-up-")
"""Occasions that publish a rule plan at once and the optimised one after it."""
OPTIMISED = "-optimised"
RETRY_S = 60.0
_log = structlog.get_logger("wattsplit.scheduler")


@dataclass(eq=False)
class Errand:
    """A re-plan that somebody or something asked for. `ask` and `stop` are those of a person, who may change their mind."""

    occasion: str
    rule_first: bool = True
    ask: Ask | None = None
    stop: Stop = lambda: False
    watch: Watch = lambda _: None
    done: "Future[Publication | None]" = field(default_factory=Future)


class Desk:
    """What is owed, done one after the other; an order interrupts what does not know of it."""

    def __init__(self, planner: Planner, leadership: Leadership, now: Clock, unanswered: Unanswered | None = None) -> None:
        self.planner, self.leadership, self._now, self.unanswered = planner, leadership, now, unanswered
        self._owed: list[Errand] = []
        self._wake = threading.Condition()
        self._closing = False
        self._busy: str | None = None
        self._known: Mapping[str, Any] = {}
        self._last_failure: tuple[datetime, str] | None = None
        self._unwritable: str | None = None
        self._failing: str | None = None
        self._vain: int | None = None
        self._gauge, self._retries = Gauge(planner), Retries()
        self._thread: threading.Thread | None = None
        self._bells: BackgroundScheduler | None = None
        self._watch: Bell | None = None
        self.watch: Watch = lambda _: None
        """Told how a running optimisation goes on; the command line draws a bar from it."""

    # --- the thread and its bells -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Take the lead if it is free, and plan in the background: what is owed at once, then whenever something is."""
        self.ring()
        self._thread = threading.Thread(target=self._work, name="planner", daemon=True)
        self._thread.start()
        bells = BackgroundScheduler(timezone="UTC")
        options = {"coalesce": True, "max_instances": 1, "misfire_grace_time": 3600}
        bells.add_job(self.ring, CronTrigger(minute=PLAN_FROM_MINUTE, second=0, timezone="UTC"), id="hourly", **options)
        bells.start()
        self._bells = bells
        self._watch = Bell("planner", RENEW_EVERY_S, self.ring)
        self._watch.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Stop ringing and planning; the solver child is gone when this returns."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        if self._bells is not None:
            self._bells.shutdown(wait=False)
        if self._watch is not None:
            self._watch.stop()
        if self._thread is not None:
            self._thread.join(timeout_s)
        self.leadership.resign()

    def ring(self) -> None:
        """Keep the lead, and wake the planner to look at what is owed."""
        try:
            leads = self.leadership.lead()
        except Exception as error:  # a store that does not answer now may answer at the next bell
            _log.error("lease not renewed", words=str(error), exc_info=not isinstance(error, StoreUnavailableError))
            self._unwritable = f"nothing can be stored: {error}"[:500]
            return
        self._unwritable = None
        if not leads:
            return
        with self._wake:
            self._wake.notify_all()
        if self.unanswered is not None:
            try:
                self.unanswered.look(self._now())
            except Exception:  # who answers is looked at again at the next bell
                _log.exception("answers not looked at")

    def _work(self) -> None:
        while True:
            with self._wake:
                if self._closing:
                    return
                errand = self._owed.pop(0) if self._owed else None
            done = self.leadership.epoch > 0 and self.turn(errand)
            with self._wake:
                if not done and not self._owed and not self._closing:
                    self._wake.wait(RETRY_S)

    # --- what is owed -------------------------------------------------------------------------------------------------

    def turn(self, errand: Errand | None = None) -> bool:
        """Do what is owed now, or run an errand; return whether anything was done.

        An optimisation that is interrupted leaves nothing behind; what made it necessary is still owed.
        """
        try:
            done = self._regular() if errand is None else self._run(errand)
            self._failing = None
            return done
        except PreemptedError:
            return True
        except NothingToPlanError as error:
            self._failing = str(error)
            return False
        except StaleEpochError as error:
            _log.warning("deposed", words=str(error))
            return False
        except Exception as error:  # planning goes on at the next bell, whatever this was
            self._failed(f"{type(error).__name__}: {error}"[:2000])
            return False
        finally:
            self._busy, self._known = None, {}

    def _regular(self) -> bool:
        now = self._now()
        served = self.planner.is_served(now)
        if served and not self.planner.is_current(now):  # an order or a fleet whose re-plan was cut off
            version = self._newest_version()
            if version != self._vain:
                done = self._run(Errand(f"catch-up-{version}"))
                if not self.planner.is_current(self._now()):
                    self._vain = self._newest_version()  # the same again would not mend it either
                    self.planner.alarms.raise_("catch_up_failed", f"version {self._vain} still does not know fleet or orders")
                return done
        if served and (begun := self._half_done()) is not None:
            return self._run(Errand(begun, rule_first=False))
        owed = not self.planner.has_hourly(target_slot(now))
        if not served:
            self._busy = "making the rule plan"
            self.planner.publish_rule(self._start_occasion(now))
        if owed:
            self._busy = "optimising"
            self.planner.publish_optimised(HOURLY, stop=self._interrupted, watch=self._told)
        return self._again(now) or owed or not served

    def _again(self, now: datetime) -> bool:
        """Try once more what failed earlier in the hour, if that is due; return whether it was."""
        newest = self.planner.store.publications.newest(self.planner.choices.unit)
        if (number := self._retries.due(target_slot(now), newest, now)) is None or newest is None:
            return False
        self._busy = "optimising again"
        name = f"retry-{newest.version}-{number}"
        self.planner.publish_optimised(name, stop=self._interrupted, watch=self._told, again=True)
        self._retries.tried(self._now())
        return True

    def _half_done(self) -> str | None:
        """Return the occasion of a re-plan whose rule plan was published and whose optimised one was cut off."""
        newest = self.planner.store.publications.newest(self.planner.choices.unit)
        if newest is None or not newest.occasion.startswith(REPLANS) or newest.occasion.endswith(OPTIMISED):
            return None
        return newest.occasion

    def _newest_version(self) -> int:
        newest = self.planner.store.publications.newest(self.planner.choices.unit)
        return newest.version if newest else 0

    def _run(self, errand: Errand) -> bool:
        def stop() -> bool:
            return errand.stop() or self._interrupted()

        def told(progress: Mapping[str, Any]) -> None:
            errand.watch(progress)
            self._told(progress)

        self._busy = f"planning for {errand.occasion}"
        try:
            if errand.rule_first:
                self.planner.publish_rule(errand.occasion)
                errand.rule_first = False
            name = f"{errand.occasion}{OPTIMISED}" if errand.ask is None else errand.occasion
            published = self.planner.publish_optimised(name, stop=stop, watch=told, ask=errand.ask)
        except PreemptedError as error:
            if errand.ask is not None and not errand.stop() and not self._closing:
                self._owed.append(errand)  # a person's request goes on after what interrupted it
            else:
                errand.done.set_exception(error)
            raise
        except Exception as error:  # whoever waits for the errand learns it too
            errand.done.set_exception(error)
            raise
        errand.done.set_result(published)
        return True

    def _interrupted(self) -> bool:
        """Whether what is being optimised is out of date: an order or a fleet came that it does not know."""
        return self._closing or any(errand.ask is None for errand in self._owed)

    def _failed(self, words: str) -> None:
        """Raise an alarm, once an hour while the same thing goes wrong every minute."""
        self._failing = f"planning: {words}"[:500]
        mark = (floor_hour(self._now()), words)
        if mark != self._last_failure:
            self.planner.alarms.raise_("planning_failed", words)
        self._last_failure = mark

    def _start_occasion(self, now: datetime) -> str:
        """A slot may see several starts without a document in force; each is published under its own name."""
        known = {p.occasion for p in self.planner.store.publications.of_slot(self.planner.choices.unit, floor_hour(now))}
        return next(name for n in range(1, 1000) if (name := START if n == 1 else f"{START}-{n}") not in known)

    def _told(self, progress: Mapping[str, Any]) -> None:
        self._known = progress
        self.watch(progress)

    def progress(self) -> Mapping[str, Any] | None:
        """Return what is known of the plan that is being made; None while none is."""
        return None if self._busy is None else self._known

    def owe(self, errand: Errand) -> None:
        """Put an errand on the desk; what is being optimised without knowing of an order is interrupted."""
        with self._wake:
            if all(errand.occasion != other.occasion for other in self._owed):
                self._owed.append(errand)
            self._owed.sort(key=lambda e: e.ask is not None)  # orders before requests
            self._wake.notify_all()

    # --- service.ports.Planning ---------------------------------------------------------------------------------------

    def event_changed(self, event: Event) -> None:
        """Re-plan at once for an order that was entered or withdrawn."""
        self.owe(Errand(f"event-{event.event_id}" + ("-withdrawn" if event.withdrawn_at else "")))

    def entry_changed(self, entry: Entry) -> None:
        """Re-plan at once for an outage, a pin, an award or a change of difficulty that was entered or withdrawn."""
        self.owe(Errand(f"{entry.kind}-{entry.entry_id}" + ("-withdrawn" if entry.withdrawn_at else "")))

    def limits_changed(self) -> None:
        """Re-plan at once if a limit that was told is lower than what sites are served; else the hourly plan takes it in.

        The limit is kept already, so that whoever told it hears of no failure here: the planner looks itself every minute.
        """
        try:
            if self.leadership.epoch > 0 and not self.planner.is_current(self._now()):
                self.owe(Errand(f"limit-{new_id()}"))
        except (NothingToPlanError, StoreError) as error:  # no fleet that it could bind, or none that can be read now
            _log.warning("limits not compared", words=str(error))

    def fleet_changed(self, version: FleetVersion) -> None:
        """Re-plan at once for a new fleet."""
        self.owe(Errand(f"fleet-{version.version}"))

    def freshness(self, now: datetime) -> Freshness:
        """Return how fresh the published set-points are; anything but a fresh optimised plan of all sites has its reason."""
        failing = tuple(words for words in (self._unwritable, self._failing) if words is not None)
        return self._gauge.read(now, self._busy, self.unanswered.late if self.unanswered else {}, failing)
