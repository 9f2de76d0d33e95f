"""/v1/jobs: long work, its progress and its end."""

import time
from typing import Annotated

from pydantic import Field

from models.base import Record
from service.api.common import found, running, still_kept, who
from service.http.paging import Listing, PageQuery, Query
from service.http.problems import FieldError, Problem
from service.http.routes import Call, Route, reads, writes
from service.ports import Services
from service.store.records import TERMINAL, Job, JobKind, JobState

LOOK_EVERY_S = 0.2


class JobQuery(PageQuery):
    """Jobs of one kind, in one state, or all."""

    kind: JobKind | None = None
    state: JobState | None = None


class WaitQuery(Query):
    """How long to wait for the job to end."""

    wait: Annotated[int, Field(ge=0, le=55, description="Seconds to wait for the end; less when the service is busy.")] = 0


class JobList(Listing):
    """Jobs, newest first."""

    items: tuple[Job, ...]


class Cancellation(Record):
    """An empty object."""


def routes(services: Services) -> list[Route]:
    """Return the routes of jobs."""
    store = services.store
    waiting = services.waits

    def jobs(call: Call, query: JobQuery) -> JobList:
        """List jobs."""
        return JobList.of(store.jobs.page(query.after, query.limit, kind=query.kind, state=query.state))

    def show(call: Call, job: str, query: WaitQuery) -> Job:
        """Return one job. It ends in done, failed, infeasible or cancelled; who waits for an infeasible one gets why as 422."""
        known = still_kept(store.jobs.get(job), "job")
        if not query.wait:
            return newest(known)
        if known.state not in TERMINAL and waiting.acquire(blocking=False):
            try:
                known = ended(job, min(query.wait, services.settings.long_poll_max_s))
            finally:
                waiting.release()
        if known.state == "infeasible":
            raise _contradiction(known)
        return newest(known)

    def newest(job: Job) -> Job:
        """Return a running job with what it told last, which need not be stored yet."""
        told = services.jobs.progress(job.job_id) if services.jobs and job.state == "running" else None
        return job.model_copy(update={"progress": dict(told)}) if told else job

    def ended(job: str, within_s: float) -> Job:
        """Return a job as soon as it has ended, or as it stands then."""
        until = time.monotonic() + within_s
        while (known := found(store.jobs.get(job))).state not in TERMINAL and time.monotonic() < until:
            time.sleep(LOOK_EVERY_S)
        return known

    def cancel(call: Call, job: str, body: Cancellation) -> Job:
        """Stop a job; its process is gone within two seconds and writes no result. A finished job stays as it is."""
        still_kept(store.jobs.get(job), "job")
        return running(services.jobs, "planning").cancel(job, asked_by=who(call))

    look = reads("operator", "planner")
    path = "/v1/jobs/{job}/cancel"
    return [
        Route("GET", "/v1/jobs", jobs, look, "Jobs", "jobs", JobList),
        Route("GET", "/v1/jobs/{job}", show, look, "One job", "jobs", Job, problems=("infeasible",)),
        Route("POST", path, cancel, writes("operator", "planner"), "Cancel a job", "jobs", Job, problems=("not_ready",)),
    ]


def _contradiction(job: Job) -> Problem:
    """Return the refusal of a problem without a plan: one error for each rule that must give way or stands in the way."""
    codes = {"offered": "must_give_way", "blocking": "stands_in_the_way"}
    told = job.result.get("diagnosis", ()) if job.result else ()
    errors = [
        FieldError(
            part="body",
            pointer=f"/result/diagnosis/{n}",
            code=codes.get(str(item.get("kind")), "conflict"),
            detail=str(item["words"]),
        )
        for n, item in enumerate(told)
    ]
    return Problem("infeasible", str((job.problem or {}).get("detail", "The input contradicts itself.")), errors)
