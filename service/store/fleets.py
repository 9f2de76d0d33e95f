"""Versions of the fleet."""

from datetime import datetime

from sqlalchemy import insert, select

from models.digest import digest
from models.fleet import Fleet
from service.store.audit_log import AuditLog
from service.store.common import AnyRow, Page, cut, next_number, read_json
from service.store.database import Database
from service.store.records import FleetVersion
from service.store.schema import fleet_version as table


class FleetVersions:
    """The fleet as it was and is; a version is never changed."""

    def __init__(self, database: Database, log: AuditLog) -> None:
        self._database = database
        self._log = log
        self._newest: FleetVersion | None = None

    def add(self, fleet: Fleet, *, by: str, at: datetime, request_id: str | None = None) -> FleetVersion:
        """Keep a new version and return it; the same content as the newest one makes none."""
        content = digest(fleet.model_dump(mode="json"))
        with self._database.write() as connection:
            newest = self.newest()
            if newest is not None and newest.digest == content:
                return newest
            version = FleetVersion(
                version=next_number(connection, table.c.version), digest=content, created_at=at, created_by=by, fleet=fleet
            )
            connection.execute(
                insert(table).values(
                    version=version.version, digest=content, created_at=at, created_by=by, body=fleet.model_dump_json().encode()
                )
            )
            self._log.append(
                by, "fleet.add", f"fleet {version.version}", at=at, request_id=request_id,
                before=newest.digest if newest else None, after=content,
            )  # fmt: skip
        return version

    def newest(self) -> FleetVersion | None:
        """Return the version in force, or None in an empty store."""
        with self._database.read() as connection:
            row = connection.execute(select(table.c.version, table.c.digest).order_by(table.c.version.desc()).limit(1)).first()
        if row is None:
            return None
        known = self._newest
        if known is None or (known.version, known.digest) != (row.version, row.digest):
            known = self._newest = self.get(row.version)
        return known

    def get(self, version: int) -> FleetVersion | None:
        """Return one version."""
        with self._database.read() as connection:
            row = connection.execute(select(table).where(table.c.version == version)).first()
        return _version(row) if row else None

    def page(self, after: int | None = None, limit: int = 100) -> Page[FleetVersion]:
        """Return versions, newest first."""
        query = select(table).order_by(table.c.version.desc()).limit(limit + 1)
        if after is not None:
            query = query.where(table.c.version < after)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return cut([(row.version, _version(row)) for row in rows], limit)


def _version(row: AnyRow) -> FleetVersion:
    return FleetVersion(
        version=row.version,
        digest=row.digest,
        created_at=row.created_at,
        created_by=row.created_by,
        fleet=read_json(Fleet, row.body, f"version {row.version} of the fleet"),
    )
