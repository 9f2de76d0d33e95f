"""Versions of trained models: head and trained parameters as JSON. The newest few of each series are kept."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import and_, delete, func, insert, select

from models.digest import canonical_json
from service.store.database import Database
from service.store.forecast_records import ForecastModel
from service.store.schema import forecast_model as table

KEPT = 30
"""Versions of a series that are kept."""


class ForecastModels:
    """Trained models by series."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, model: ForecastModel, body: Mapping[str, Any]) -> ForecastModel:
        """Keep a model under the next version of its series, and return it with that; drop what is too old."""
        with self._database.write() as connection:
            newest = select(func.coalesce(func.max(table.c.version), 0)).where(table.c.series == model.series)
            version = int(connection.execute(newest).scalar_one()) + 1
            kept = model.model_copy(update={"version": version})
            connection.execute(
                insert(table).values(
                    series=model.series, version=version, trained_at=model.trained_at, digest=model.digest,
                    head=kept.model_dump(mode="json"), body=canonical_json(dict(body)),
                )
            )  # fmt: skip
            connection.execute(delete(table).where(table.c.series == model.series, table.c.version <= version - KEPT))
        return kept

    def newest(self, series: str | None = None) -> list[ForecastModel]:
        """Return the newest model of every series by name, or that of one series alone."""
        last = select(table.c.series, func.max(table.c.version).label("version")).group_by(table.c.series).subquery()
        query = select(table.c.head).join(last, and_(last.c.series == table.c.series, last.c.version == table.c.version))
        if series is not None:
            query = query.where(table.c.series == series)
        with self._database.read() as connection:
            heads = connection.execute(query.order_by(table.c.series)).scalars().all()
        return [ForecastModel.model_validate_json(json.dumps(head)) for head in heads]

    def body(self, series: str, version: int) -> Any:
        """Return the trained parameters of a version, as they were kept.

        Raises:
            KeyError: there is no such version any more.
        """
        query = select(table.c.body).where(table.c.series == series, table.c.version == version)
        with self._database.read() as connection:
            body = connection.execute(query).scalar_one_or_none()
        if body is None:
            raise KeyError(f"{series} version {version}")
        return json.loads(body)
