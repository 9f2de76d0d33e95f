"""Publishes what planning came to: the plan, a document for every site and the alarms of it, in one transaction or not at all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog

from models.plan import Plan
from models.problem import Problem
from models.setpoint import SetPoint
from service.alarms import Alarms
from service.documents import documents
from service.gathered import Gathered
from service.holding import Held
from service.ladder import Chosen, NoRungError
from service.ports import Clock
from service.published import HOURLY, INPUT_MISSING, Published, in_plain
from service.reserve_carry import CALL_UNSOLD
from service.store import Store
from service.store.database import StoreLockedError
from service.store.publications import AlreadyPublishedError
from service.store.records import Publication

TRIES = 3
_log = structlog.get_logger("wattsplit.planning")


@dataclass(frozen=True)
class Prepared:
    """A problem, what is to be said of its input, and its rule plan where one holds.

    `held` is what sites without usable input are held on while the others are optimised.
    """

    problem: Problem
    gathered: Gathered
    rule: Plan | None
    held: Held | None = None


class Publisher(Published):
    """Publishes plans of a planning unit, as the leader of an epoch."""

    def __init__(self, store: Store, unit: str, alarms: Alarms, now: Clock, epoch: Callable[[], int]) -> None:
        super().__init__(store, unit, alarms)
        self.now, self._epoch = now, epoch

    def publish(self, prepared: Prepared, chosen: Chosen, *, slot: datetime, occasion: str) -> Publication | None:
        """Store a plan and publish it for all sites in one transaction; None if that was done before.

        Whoever else holds the store is waited for a few times as long as usual: most plans took longer to make.

        Raises:
            StaleEpochError: another process leads by now.
            StoreUnavailableError: the store is held on, or cannot be written; nothing is published.
        """
        for _ in range(TRIES - 1):
            try:
                return self._publish(prepared, chosen, slot, occasion)
            except StoreLockedError as error:
                _log.warning("not published yet", occasion=occasion, words=str(error))
        return self._publish(prepared, chosen, slot, occasion)

    def _publish(self, prepared: Prepared, chosen: Chosen, slot: datetime, occasion: str) -> Publication | None:
        now, plan, problem = self.now(), chosen.plan, prepared.problem
        audit = plan.audit
        if audit is None or not audit.passed:
            raise NoRungError(f"plan {plan.plan_id} is not audited")  # cannot be: every rung is
        epoch = self._epoch()
        sites = problem.fleet.guarded_site_by_name
        held = prepared.gathered.excluded
        bases = prepared.held.rungs if prepared.held and plan.basis == "optimised" else dict.fromkeys(held, plan.basis)
        reasons = {site: (f"{INPUT_MISSING}{why}",) for site, why in held.items()}

        def made(version: int) -> Mapping[str, SetPoint]:
            return documents(
                plan, sites, version=version, epoch=epoch, issued=now, input_digest=problem.digest, audit=audit,
                standing=self.documents_in_force(), reasons=reasons, bases=bases,
            )  # fmt: skip

        try:
            with self.store.transaction():
                if occasion == HOURLY:
                    self.note_missed(slot)
                self.store.plans.add(problem, plan)
                published = self.store.publications.publish(
                    unit=self.unit, slot=slot, occasion=occasion, epoch=epoch, plan_id=plan.plan_id,
                    basis=plan.basis, at=now, documents=made,
                )  # fmt: skip
        except AlreadyPublishedError:
            return None
        for site, why in held.items():
            self.alarms.raise_(
                "input_missing", f"{site} is held on its {in_plain(bases[site])} plan: {why}"[:2000], plan=plan.plan_id
            )
        for note in prepared.gathered.notes:
            code = note.partition(":")[0]
            if code == CALL_UNSOLD:
                self.alarms.raise_(code, note[:2000], plan=plan.plan_id)
            elif code.endswith(("_missing", "_overdue")):
                self.alarms.raise_("input_missing", note[:2000], plan=plan.plan_id)
        for fall in chosen.falls:
            self.alarms.raise_("fallback", fall, basis=plan.basis, plan=plan.plan_id, occasion=occasion)
        return published
