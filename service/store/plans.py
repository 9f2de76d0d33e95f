"""Plans and the problems they answer: kept whole, never changed, and never without their audit."""

from datetime import datetime
from typing import Literal

from sqlalchemy import insert, select

from models.plan import Basis, Plan
from models.problem import Problem
from service.store.common import AnyRow, ConflictError, Page, StoreError, cut, next_number, read_json
from service.store.database import Database
from service.store.records import PlanHead
from service.store.schema import plan as table
from service.store.schema import problem as problems

Purpose = Literal["fleet", "scenario"]


class UnauditedPlanError(StoreError):
    """A plan without a passed audit was offered: it must not be kept."""


class Plans:
    """Plans by id, newest first in lists."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, problem: Problem, plan: Plan, *, purpose: Purpose = "fleet") -> PlanHead:
        """Keep a plan with its problem and return its head; the same plan again changes nothing.

        Raises:
            UnauditedPlanError: the plan's audit is absent or did not pass.
            ConflictError: another plan has this id, or the plan answers another problem.
        """
        if plan.audit is None or not plan.audit.passed:
            raise UnauditedPlanError(f"plan {plan.plan_id}: {'no audit' if plan.audit is None else 'audit failed'}")
        if plan.problem_digest != problem.digest:
            raise ConflictError(f"plan {plan.plan_id} answers {plan.problem_digest}, got problem {problem.digest}")
        head = head_of(plan, purpose)
        with self._database.write() as connection:
            kept = connection.execute(select(table.c.digest).where(table.c.id == plan.plan_id)).scalar_one_or_none()
            if kept is not None:
                if kept != plan.decisions_digest:
                    raise ConflictError(f"plan {plan.plan_id} is kept with other decisions")
                return head
            self._keep(problem, plan.created_at)
            connection.execute(
                insert(table).values(
                    id=plan.plan_id, number=next_number(connection, table.c.number), created_at=plan.created_at,
                    purpose=purpose, basis=plan.basis, problem_digest=plan.problem_digest, digest=plan.decisions_digest,
                    head=head.model_dump(mode="json"), body=plan.model_dump_json().encode(),
                )
            )  # fmt: skip
        return head

    def _keep(self, problem: Problem, at: datetime) -> None:
        with self._database.write() as connection:
            if connection.execute(select(problems.c.digest).where(problems.c.digest == problem.digest)).first() is None:
                connection.execute(
                    insert(problems).values(digest=problem.digest, created_at=at, body=problem.model_dump_json().encode())
                )

    def get(self, plan_id: str) -> Plan | None:
        """Return a plan.

        Raises:
            UnreadableError: another release stored it, with other fields.
        """
        body = self.body(plan_id)
        return None if body is None else read_json(Plan, body, f"plan {plan_id}")

    def body(self, plan_id: str) -> bytes | None:
        """Return a plan as the JSON in which it was stored."""
        with self._database.read() as connection:
            return connection.execute(select(table.c.body).where(table.c.id == plan_id)).scalar_one_or_none()

    def head(self, plan_id: str) -> PlanHead | None:
        """Return the head of a plan."""
        with self._database.read() as connection:
            row = connection.execute(select(table.c.head).where(table.c.id == plan_id)).first()
        return _head(row) if row else None

    def starts(self, plan_id: str) -> datetime | None:
        """Return when a plan begins, whichever release stored it."""
        with self._database.read() as connection:
            row = connection.execute(select(table.c.head).where(table.c.id == plan_id)).first()
        return datetime.fromisoformat(row.head["starts"]) if row else None

    def newest(self, *, purpose: Purpose = "fleet", basis: Basis | None = None) -> PlanHead | None:
        """Return the head of the newest plan, of one basis if it is named."""
        query = select(table.c.head).where(table.c.purpose == purpose).order_by(table.c.number.desc()).limit(1)
        if basis is not None:
            query = query.where(table.c.basis == basis)
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return _head(row) if row else None

    def page(self, after: int | None = None, limit: int = 100, *, purpose: Purpose = "fleet") -> Page[PlanHead]:
        """Return heads of plans, newest first."""
        query = select(table.c.number, table.c.head).where(table.c.purpose == purpose).order_by(table.c.number.desc())
        if after is not None:
            query = query.where(table.c.number < after)
        with self._database.read() as connection:
            rows = connection.execute(query.limit(limit + 1)).all()
        return cut([(row.number, _head(row)) for row in rows], limit)

    def problem(self, digest: str) -> Problem | None:
        """Return a problem by its content digest.

        Raises:
            UnreadableError: another release stored it, with other fields.
        """
        with self._database.read() as connection:
            body = connection.execute(select(problems.c.body).where(problems.c.digest == digest)).scalar_one_or_none()
        return None if body is None else read_json(Problem, body, f"problem {digest}")


def head_of(plan: Plan, purpose: Purpose) -> PlanHead:
    """Return what lists show of a plan."""
    proof = plan.proof
    return PlanHead(
        plan_id=plan.plan_id, created_at=plan.created_at, basis=plan.basis, status=proof.status,
        problem_digest=plan.problem_digest, starts=plan.grid.start, ends=plan.grid.end, sites=len(plan.sites),
        profit_usd=plan.profit_usd, bound_usd=proof.bound_usd, gap_usd=proof.gap_usd, gap_percent=proof.gap_percent,
        labels=plan.labels, purpose=purpose,
    )  # fmt: skip


def _head(row: AnyRow) -> PlanHead:
    return PlanHead.model_validate({**row.head, "labels": tuple(row.head["labels"])})
