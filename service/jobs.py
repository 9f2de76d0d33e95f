"""Long work that people ask for: rows of the job table, run by a few threads, each solve in a child that can be killed.

Every job ends: done, failed, infeasible or cancelled. A worker holds its job by a lease that it prolongs; whoever finds a
lease that has run out ends its job. Jobs that were running when the service died are queued again, once, unless what they were
to do turns out to be done.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import structlog

from service.ports import Clock, Fault, RefusedError
from service.store import Store
from service.store.common import ConflictError
from service.store.database import StoreUnavailableError
from service.store.records import Job, JobKind, JobState

LEASE_S = 30
BEAT_S = 2.0
"""How often leases are prolonged and progress is stored. A cancel does not wait for it."""
POLL_S = 5.0
MOST_QUEUED = 500
RESTARTED = "restarted"
"""Marks in its progress a job whose first worker died."""
MOST_BUDGET_S = 900
WAIT_S = MOST_BUDGET_S + 60
"""How long a job may wait behind the hourly run, which comes first, before it begins."""
_log = structlog.get_logger("wattsplit.jobs")


Why = Literal["cancelled", "deadline", "closing"]


class InfeasibleError(Exception):
    """The input contradicts itself; the job ends `infeasible` with the diagnosis in its result."""

    def __init__(self, words: str, diagnosis: tuple[Mapping[str, Any], ...]) -> None:
        super().__init__(words)
        self.diagnosis = diagnosis


@dataclass
class Handle:
    """A running job as its work sees it: whether to stop, and where to tell how it goes."""

    job: Job
    deadline: datetime
    progress: dict[str, Any] = field(default_factory=dict)
    why: Why | None = None

    def stopped(self) -> bool:
        """Whether nobody wants the result any more."""
        return self.why is not None

    def stop(self, why: Why) -> None:
        """Ask the work to end; its child is killed. The first reason counts."""
        self.why = self.why or why

    def tell(self, progress: Mapping[str, Any]) -> None:
        """Say how it goes; it is stored at the next beat."""
        restarted = {RESTARTED: True} if self.job.progress.get(RESTARTED) else {}
        self.progress = {**restarted, **progress}


Result = Mapping[str, Any]
Work = Callable[[Handle], Result]


@dataclass(frozen=True)
class Kind:
    """A kind of job: what checks a payload before it is queued, what does the work, and how long that may take once it begins.

    lasts_s: None: four times its payload's budget, which is that of one solve. [s]
    found: what a worker that died had done of a job, if that was all of it: such work must not be done twice.
    """

    check: Callable[[Mapping[str, Any]], None]
    work: Work
    lasts_s: float | None = None
    found: Callable[[Job], Result | None] = lambda _: None


class JobRunner:
    """Takes jobs and runs them. What-ifs have `slots` threads; plans, sets and back-tests one each: none waits for another."""

    def __init__(
        self,
        store: Store,
        now: Clock,
        holder: str,
        kinds: Mapping[JobKind, Kind],
        slots: int = 1,
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        self._store, self._now, self._holder, self._kinds, self._leads = store, now, holder, kinds, leads
        self._recovered = False
        lanes: list[tuple[JobKind, ...]] = [("plan",), ("backtest",), ("scenario_set",), *((("scenario", "futures"),) * slots)]
        self._threads = [threading.Thread(target=self._lane, args=(lane,), name=f"jobs-{lane[0]}", daemon=True) for lane in lanes]
        self._wake = threading.Condition()
        self._running: dict[str, Handle] = {}
        self._closing = False

    # --- service.ports.Jobs -------------------------------------------------------------------------------------------

    def submit(self, kind: JobKind, payload: Mapping[str, Any], *, asked_by: str, job_id: str) -> Job:
        """Queue a job, or return the one that has this id."""
        if (known := self._store.jobs.get(job_id)) is not None:
            return known
        self._kinds[kind].check(payload)
        if len(self._store.jobs.page(limit=MOST_QUEUED, state="queued").items) >= MOST_QUEUED:
            raise RefusedError((Fault(pointer="", code="queue_full", detail=f"{MOST_QUEUED} jobs are waiting already"),))
        job = self._store.jobs.add(job_id, kind, payload, by=asked_by, at=self._now())
        with self._wake:
            self._wake.notify_all()
        return job

    def cancel(self, job_id: str, *, asked_by: str) -> Job:
        """Ask a job to stop; a running one ends within two seconds, with its child."""
        job = self._store.jobs.ask_cancel(job_id, at=self._now())
        if (handle := self._running.get(job_id)) is not None:
            handle.stop("cancelled")
        return job

    def progress(self, job_id: str) -> Mapping[str, Any] | None:
        """Return what a job that runs here told last; None if it does not."""
        handle = self._running.get(job_id)
        return handle.progress or None if handle else None

    # --- threads ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start working, once this process leads; what a dead one left running is then queued again."""
        for thread in self._threads:
            thread.start()
        threading.Thread(target=self._beat, name="jobs-beat", daemon=True).start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Stop working; running jobs are queued again for the next start, their children are gone."""
        with self._wake:
            self._closing = True
            for handle in list(self._running.values()):
                handle.stop("closing")
            self._wake.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout_s)

    def _recover(self) -> None:
        """Queue again what lost its worker, for nobody else works on this store; what is lost twice has failed."""
        now = self._now()
        for job in self._store.jobs.page(limit=MOST_QUEUED, state="running").items:
            holder = job.holder or ""
            if not job.progress.get(RESTARTED):
                self._store.jobs.heartbeat(job.job_id, holder, at=now, lease_s=0, progress={RESTARTED: True})
            elif (found := self._kinds[job.kind].found(job)) is not None:
                self._store.jobs.finish(job.job_id, holder, "done", at=now, result=found)
            else:
                lost = {"code": "worker_lost", "detail": "the service ended twice while this job ran"}
                self._store.jobs.finish(job.job_id, holder, "failed", at=now, problem=lost)
        self._store.jobs.expire(at=now + timedelta(days=1), requeue=True)

    def _lane(self, kinds: tuple[JobKind, ...]) -> None:
        while not self._closing:
            try:
                job = (
                    None
                    if not self._ready()
                    else self._store.jobs.claim(self._holder, at=self._now(), lease_s=LEASE_S, kinds=kinds)
                )
                if job is not None:
                    self.run(job)
                    continue
            except Exception:  # a store that does not answer now may answer later
                _log.exception("job lane")
            with self._wake:
                if not self._closing:
                    self._wake.wait(POLL_S)

    def _ready(self) -> bool:
        """Whether this process may work: it leads, and has cleared up after the one before it."""
        if not self._leads():
            return False
        with self._wake:
            if not self._recovered:
                self._recover()
                self._recovered = True
        return True

    def run(self, job: Job) -> None:
        """Run one claimed job to its end."""
        budget_s = min(float(job.payload.get("budget_s", MOST_BUDGET_S)), MOST_BUDGET_S)
        lasts_s = self._kinds[job.kind].lasts_s or 4 * budget_s
        handle = Handle(job, deadline=self._now() + timedelta(seconds=lasts_s + WAIT_S))
        self._running[job.job_id] = handle
        try:
            state, ending = self._outcome(job, handle)
            if handle.why != "closing":  # the next start queues it again
                self._end(job, state, **ending)
        finally:
            del self._running[job.job_id]

    def _outcome(self, job: Job, handle: Handle) -> tuple[JobState, dict[str, Any]]:
        kind = self._kinds[job.kind]
        try:
            result = kind.found(job) if job.progress.get(RESTARTED) else None
            if result is None:
                result = kind.work(handle)
        except InfeasibleError as error:
            found = {"diagnosis": [dict(item) for item in error.diagnosis]}
            return "infeasible", {"result": found, "problem": {"code": "infeasible", "detail": str(error)[:2000]}}
        except Exception as error:  # whatever a job died of, it ends failed and says why
            if handle.why is None:
                _log.warning("job failed", job=job.job_id, words=str(error))
                return "failed", {"problem": {"code": "failed", "detail": f"{type(error).__name__}: {error}"[:2000]}}
        if handle.why == "deadline":
            return "failed", {"problem": {"code": "deadline", "detail": "the job did not end within its time"}}
        return ("cancelled", {}) if handle.stopped() else ("done", {"result": result})

    def _end(self, job: Job, state: JobState, **ending: Any) -> None:
        """Write a job's end; one that was cancelled meanwhile ends cancelled, without a result.

        What may have taken hours is not thrown away for a store that cannot be written now: it is offered again until it can.
        """
        while True:
            now = self._now()
            try:
                if not self._store.jobs.finish(job.job_id, self._holder, state, at=now, **ending):
                    self._store.jobs.finish(job.job_id, self._holder, "cancelled", at=now)
                return
            except ConflictError:
                _log.exception("job end", job=job.job_id)
                return
            except StoreUnavailableError as error:
                _log.error("job end not stored", job=job.job_id, words=str(error))
            with self._wake:
                if self._closing:
                    return
                self._wake.wait(POLL_S)

    def _beat(self) -> None:
        """Prolong leases, store progress, and stop what is cancelled or past its deadline."""
        waited = threading.Event()
        sweep = 0
        while not self._closing:
            waited.wait(BEAT_S)
            for job_id, handle in list(self._running.items()):
                try:
                    now = self._now()
                    wanted = self._store.jobs.heartbeat(
                        job_id, self._holder, at=now, lease_s=LEASE_S, progress=handle.progress or None
                    )
                    if now >= handle.deadline:
                        handle.stop("deadline")
                    elif not wanted:
                        handle.stop("cancelled")
                except StoreUnavailableError as error:
                    _log.error("job beat", job=job_id, words=str(error))
                except Exception:  # one beat that fails must not stop the others
                    _log.exception("job beat", job=job_id)
            sweep += 1
            if sweep * BEAT_S >= LEASE_S:
                sweep = 0
                self._sweep()

    def _sweep(self) -> None:
        try:
            self._store.jobs.expire(at=self._now(), besides=list(self._running))
        except Exception:  # the next sweep may find the store answering
            _log.exception("job sweep")
