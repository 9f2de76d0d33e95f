"""Acknowledgements: the life of an instruction as its controller tells it."""

from datetime import datetime

from sqlalchemy import func, insert, select

from service.store.common import AnyRow, ConflictError, StoreError
from service.store.database import Database
from service.store.records import ACK_FOLLOWS, Acknowledgement, AckState
from service.store.schema import acknowledgement as table
from service.store.schema import setpoint as setpoints


class UnknownVersionError(StoreError):
    """The site never got a document of this version."""


class AckOrderError(ConflictError):
    """This state cannot follow the one the instruction is in."""


class Acknowledgements:
    """One row per state that an instruction reached."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        site: str,
        version: int,
        state: AckState,
        *,
        at: datetime,
        received_at: datetime,
        detail: str = "",
        revision: int = 0,
    ) -> Acknowledgement:
        """Keep a state and return the acknowledgement; the state it is in already changes nothing.

        Each revision of a version has a life of its own. Those made on the spot are not stored, only what became of them.

        Raises:
            UnknownVersionError: the site has no such document.
            AckOrderError: the state cannot follow the present one.
        """
        with self._database.write() as connection:
            newest = connection.execute(select(func.max(setpoints.c.version)).where(setpoints.c.site == site)).scalar_one()
            exists = select(setpoints.c.version).where(setpoints.c.site == site, setpoints.c.version == version)
            if connection.execute(exists).first() is None:
                raise UnknownVersionError(f"{site} has no set-point of version {version}")
            history = self.history(site, version)
            last = next((ack for ack in reversed(history) if ack.revision == revision), None)
            if last is not None and last.state == state:
                return last
            if state not in (allowed := ACK_FOLLOWS[last.state if last else None]):
                raise AckOrderError(
                    f"{site} version {version} is {last.state if last else 'not acknowledged'}: "
                    f"expected {' or '.join(allowed) or 'nothing more'}, got {state}"
                )
            acknowledgement = Acknowledgement(
                site=site,
                version=version,
                state=state,
                at=at,
                received_at=received_at,
                current=version == newest,
                detail=detail,
                revision=revision,
            )
            connection.execute(insert(table).values(number=len(history) + 1, **acknowledgement.model_dump(mode="python")))
        return acknowledgement

    def history(self, site: str, version: int) -> list[Acknowledgement]:
        """Return all states of one version, of all its revisions, oldest first."""
        query = select(table).where(table.c.site == site, table.c.version == version).order_by(table.c.number)
        with self._database.read() as connection:
            return [_acknowledgement(row) for row in connection.execute(query)]

    def newest(self, site: str) -> Acknowledgement | None:
        """Return the newest state of the newest version that a site acknowledged."""
        query = select(table).where(table.c.site == site).order_by(table.c.version.desc(), table.c.number.desc()).limit(1)
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return _acknowledgement(row) if row else None

    def recent(self, site: str, limit: int = 100) -> list[Acknowledgement]:
        """Return a site's acknowledgements, newest first."""
        query = select(table).where(table.c.site == site).order_by(table.c.version.desc(), table.c.number.desc()).limit(limit)
        with self._database.read() as connection:
            return [_acknowledgement(row) for row in connection.execute(query)]


def _acknowledgement(row: AnyRow) -> Acknowledgement:
    return Acknowledgement(**{name: row._mapping[name] for name in Acknowledgement.model_fields})
