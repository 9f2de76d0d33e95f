"""What-ifs that were asked, and their answers."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update

from models.digest import canonical_json
from service.store.common import AnyRow, ConflictError, Page, cut, next_number
from service.store.database import Database
from service.store.records import Scenario
from service.store.schema import scenario as table


class Scenarios:
    """Scenarios by id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, scenario_id: str, name: str, job_id: str, request: Mapping[str, Any], *, by: str, at: datetime) -> Scenario:
        """Keep a what-if and return it; the same again changes nothing. The job must exist.

        Raises:
            ConflictError: another what-if has this id.
        """
        scenario = Scenario(
            scenario_id=scenario_id, name=name, job_id=job_id, created_at=at, created_by=by, request=dict(request)
        )
        with self._database.write() as connection:
            known = self.get(scenario_id)
            if known is not None:
                if (known.name, canonical_json(known.request)) != (name, canonical_json(dict(request))):
                    raise ConflictError(f"scenario {scenario_id} is kept with other content")
                return known
            connection.execute(
                insert(table).values(
                    id=scenario_id, number=next_number(connection, table.c.number), name=name, job_id=job_id,
                    created_at=at, created_by=by, request=dict(request),
                )
            )  # fmt: skip
        return scenario

    def answer(self, scenario_id: str, result: Mapping[str, Any], *, base_digest: str) -> None:
        """Keep what came out, once.

        Raises:
            KeyError: no such scenario.
            ConflictError: it is answered already.
        """
        with self._database.write() as connection:
            known = self.get(scenario_id)
            if known is None:
                raise KeyError(scenario_id)
            if known.result is not None:
                raise ConflictError(f"scenario {scenario_id} is answered already")
            connection.execute(
                update(table)
                .where(table.c.id == scenario_id)
                .values(result=canonical_json(dict(result)), base_digest=base_digest)
            )

    def get(self, scenario_id: str) -> Scenario | None:
        """Return one scenario."""
        with self._database.read() as connection:
            row = connection.execute(select(table).where(table.c.id == scenario_id)).first()
        return _scenario(row) if row else None

    def page(self, after: int | None = None, limit: int = 100) -> Page[Scenario]:
        """Return scenarios, newest first."""
        query = select(table).order_by(table.c.number.desc()).limit(limit + 1)
        if after is not None:
            query = query.where(table.c.number < after)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return cut([(row.number, _scenario(row)) for row in rows], limit)


def _scenario(row: AnyRow) -> Scenario:
    return Scenario(
        scenario_id=row.id, name=row.name, job_id=row.job_id, created_at=row.created_at, created_by=row.created_by,
        request=row.request, base_digest=row.base_digest, result=None if row.result is None else json.loads(row.result),
    )  # fmt: skip
