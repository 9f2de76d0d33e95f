"""Long work as rows: queued, leased to a worker, ended once. A result that comes after the end is refused."""

import json
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, get_args

from sqlalchemy import func, insert, select, update

from models.digest import canonical_json
from service.store.common import AnyRow, ConflictError, Page, cut, next_number
from service.store.database import Database
from service.store.records import TERMINAL, Job, JobKind, JobState
from service.store.schema import job as table


class Jobs:
    """The job table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, job_id: str, kind: JobKind, payload: Mapping[str, Any], *, by: str, at: datetime) -> Job:
        """Queue a job and return it; the same job again is returned as it stands.

        Raises:
            ConflictError: another job has this id.
        """
        with self._database.write() as connection:
            known = self.get(job_id)
            if known is not None:
                if (known.kind, canonical_json(known.payload)) != (kind, canonical_json(dict(payload))):
                    raise ConflictError(f"job {job_id} is kept with other content")
                return known
            connection.execute(
                insert(table).values(
                    id=job_id, number=next_number(connection, table.c.number), kind=kind, state="queued",
                    created_at=at, created_by=by, payload=dict(payload), progress={},
                )
            )  # fmt: skip
        return Job(job_id=job_id, kind=kind, state="queued", created_at=at, created_by=by, payload=dict(payload))

    def get(self, job_id: str) -> Job | None:
        """Return one job."""
        with self._database.read() as connection:
            row = connection.execute(select(table).where(table.c.id == job_id)).first()
        return _job(row) if row else None

    def claim(self, holder: str, *, at: datetime, lease_s: int, kinds: tuple[JobKind, ...] = get_args(JobKind)) -> Job | None:
        """Lease the oldest queued job to a worker, and return it as running; None when nothing waits."""
        query = select(table.c.id).where(table.c.state == "queued", table.c.kind.in_(kinds)).order_by(table.c.number).limit(1)
        with self._database.write() as connection:
            job_id = connection.execute(query).scalar_one_or_none()
            if job_id is None:
                return None
            connection.execute(
                update(table)
                .where(table.c.id == job_id)
                .values(
                    state="running", holder=holder, started_at=at, heartbeat_at=at, lease_until=at + timedelta(seconds=lease_s)
                )
            )
            return self.get(job_id)

    def heartbeat(
        self, job_id: str, holder: str, *, at: datetime, lease_s: int, progress: Mapping[str, Any] | None = None
    ) -> bool:
        """Prolong a lease and tell progress; False means stop: the job is cancelled, ended, or leased to another."""
        changes: dict[str, Any] = {"heartbeat_at": at, "lease_until": at + timedelta(seconds=lease_s)}
        if progress is not None:
            changes["progress"] = dict(progress)
        with self._database.write() as connection:
            mine = table.c.id == job_id, table.c.holder == holder, table.c.state == "running"
            alive = connection.execute(update(table).where(*mine, table.c.cancel_asked_at.is_(None)).values(**changes))
            return alive.rowcount == 1

    def finish(
        self,
        job_id: str,
        holder: str,
        state: JobState,
        *,
        at: datetime,
        result: Mapping[str, Any] | None = None,
        problem: Mapping[str, Any] | None = None,
    ) -> bool:
        """End a job; False means the end came too late (cancelled, expired, leased to another) and nothing was kept.

        Raises:
            ValueError: the state is not terminal.
        """
        if state not in TERMINAL:
            raise ValueError(f"expected one of {TERMINAL}, got {state}")
        ending = {
            "state": state, "finished_at": at, "lease_until": None, "problem": None if problem is None else dict(problem),
            "result": None if result is None else canonical_json(dict(result)),
        }  # fmt: skip
        mine = [table.c.id == job_id, table.c.holder == holder, table.c.state == "running"]
        if state != "cancelled":
            mine.append(table.c.cancel_asked_at.is_(None))
        with self._database.write() as connection:
            return connection.execute(update(table).where(*mine).values(**ending)).rowcount == 1

    def ask_cancel(self, job_id: str, *, at: datetime) -> Job:
        """Cancel a queued job at once; mark a running one, whose worker then ends it; a finished one stays as it is.

        Raises:
            KeyError: no such job.
        """
        with self._database.write() as connection:
            one = table.c.id == job_id
            connection.execute(
                update(table).where(one, table.c.state == "queued").values(state="cancelled", cancel_asked_at=at, finished_at=at)
            )
            connection.execute(
                update(table).where(one, table.c.state == "running", table.c.cancel_asked_at.is_(None)).values(cancel_asked_at=at)
            )
            job = self.get(job_id)
        if job is None:
            raise KeyError(job_id)
        return job

    def expire(self, *, at: datetime, requeue: bool = False, besides: Collection[str] = ()) -> list[Job]:
        """End (or queue again) running jobs whose lease ran out, and return them: their worker is gone.

        besides: jobs whose worker is known to be there, though it could not prolong its lease.
        """
        late = table.c.state == "running", table.c.lease_until < at, table.c.id.not_in(besides)
        query = select(table.c.id, table.c.cancel_asked_at).where(*late)
        with self._database.write() as connection:
            lost = connection.execute(query).all()
            for row in lost:
                connection.execute(update(table).where(table.c.id == row.id).values(**_after_loss(row, at, requeue)))
            return [job for row in lost if (job := self.get(row.id)) is not None]

    def counts(self) -> dict[tuple[str, str], int]:
        """Return how many jobs there are by kind and state."""
        query = select(table.c.kind, table.c.state, func.count()).group_by(table.c.kind, table.c.state)
        with self._database.read() as connection:
            return {(kind, state): count for kind, state, count in connection.execute(query)}

    def page(
        self, after: int | None = None, limit: int = 100, *, kind: JobKind | None = None, state: JobState | None = None
    ) -> Page[Job]:
        """Return jobs, newest first."""
        query = select(table).order_by(table.c.number.desc()).limit(limit + 1)
        if after is not None:
            query = query.where(table.c.number < after)
        if kind is not None:
            query = query.where(table.c.kind == kind)
        if state is not None:
            query = query.where(table.c.state == state)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return cut([(row.number, _job(row)) for row in rows], limit)


def _after_loss(row: AnyRow, at: datetime, requeue: bool) -> dict[str, Any]:
    if row.cancel_asked_at is not None:
        return {"state": "cancelled", "finished_at": at, "lease_until": None}
    if requeue:
        return {"state": "queued", "holder": None, "lease_until": None}
    lost = {"code": "worker_lost", "detail": "the worker stopped answering before the job ended"}
    return {"state": "failed", "finished_at": at, "lease_until": None, "problem": lost}


def _job(row: AnyRow) -> Job:
    fields = {name: row._mapping[name] for name in Job.model_fields if name not in ("job_id", "result")}
    return Job(job_id=row.id, result=None if row.result is None else json.loads(row.result), **fields)
