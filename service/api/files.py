"""What routes share that hand out files: their name, and what a workbook tells of the plans that it compares."""

from collections.abc import Mapping
from datetime import datetime

from service.http.routes import Answer
from service.store import Store
from service.store.common import UnreadableError
from service.store.records import Job

FILE_HEADERS = {"Content-Disposition": "A name for the file."}


def attached(content: bytes, name: str, media_type: str) -> Answer:
    """Return a file as an answer that browsers save."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-cache"}
    return Answer(content, media_type=media_type, headers=headers)


def engine_of(store: Store, plan_id: str) -> Mapping[str, str]:
    """Return what made a plan, as the plan tells it, or why that is not known."""
    try:
        plan = store.plans.get(plan_id)
    except UnreadableError:
        return {"unknown": "the plan was stored by another release"}
    return {"unknown": "the plan is no longer kept"} if plan is None else plan.engine


def done_at(job: Job | None, asked_at: datetime) -> datetime:
    """Return when a job ended, or when it was asked for where that is no longer known."""
    return job.finished_at if job is not None and job.finished_at is not None else asked_at
