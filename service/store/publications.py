"""Publications: one transaction puts out the whole fleet's set-points, or nothing."""

import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select

from models.base import iso
from models.plan import Basis
from models.setpoint import SetPoint
from service.store.audit_log import AuditLog
from service.store.common import AnyRow, ConflictError, Page, StoreError, cut, next_number, read_json
from service.store.database import Database, StoreUnavailableError
from service.store.records import Publication
from service.store.remembered import QUICKLY_MS, Reading, Remembered
from service.store.schema import lease as leases
from service.store.schema import publication as table
from service.store.schema import setpoint as setpoints

POLL_S = 1.0
"""How often a long poll looks for what another process published."""


class AlreadyPublishedError(ConflictError):
    """This slot was published for this occasion before."""


class StaleEpochError(StoreError):
    """Another process leads by now: what a deposed leader made is discarded."""


class Publications:
    """What sites were and are told. Documents are never changed; newer versions supersede them."""

    def __init__(self, database: Database, log: AuditLog) -> None:
        self._database = database
        self._log = log
        self._changed = threading.Condition()
        self._stopping = False
        self._told: Remembered[tuple[SetPoint, bytes]] = Remembered()

    def publish(
        self,
        *,
        unit: str,
        slot: datetime,
        occasion: str,
        epoch: int,
        plan_id: str,
        basis: Basis,
        at: datetime,
        documents: Callable[[int], Mapping[str, SetPoint]],
        by: str = "planner",
    ) -> Publication:
        """Publish in one transaction; `documents(version)` returns the set-point of every site, made for that version.

        Args:
            unit: planning unit, one for the whole fleet today.
            slot: instant from which the publication is meant to hold.
            occasion: `hourly`, `start`, `event-<id>`, `request-<job>`; once per unit and slot.
            epoch: fencing number of the leader's lease on `unit`; 0 while nobody holds a lease.
            plan_id: stored plan.
            basis: rung of the ladder that most of the fleet stands on.
            at: present instant.
            documents: maker of the documents, by site.
            by: who publishes, for the audit log.

        Raises:
            AlreadyPublishedError: the slot is published for this occasion.
            StaleEpochError: the lease on `unit` has another epoch.
            StoreError: a document is of another site, version or plan, or did not pass its audit.
        """
        with self._database.write() as connection:
            self._fence(connection, unit, epoch)
            same = (table.c.unit == unit, table.c.slot == slot, table.c.occasion == occasion)
            if connection.execute(select(table.c.version).where(*same)).first() is not None:
                raise AlreadyPublishedError(f"{unit} at {iso(slot)} is published for {occasion!r}")
            version = next_number(connection, table.c.version)
            made = documents(version)
            _check(made, version)
            publication = Publication(
                version=version, unit=unit, slot=slot, occasion=occasion, epoch=epoch, plan_id=plan_id, basis=basis,
                published_at=at, sites=len(made),
            )  # fmt: skip
            connection.execute(insert(table).values(**publication.model_dump(mode="python")))
            connection.execute(insert(setpoints), [_setpoint_row(site, document) for site, document in made.items()])
            why = {"basis": basis, "occasion": occasion}
            self._log.append(by, "publish", f"{unit} version {version}", at=at, after=plan_id, detail=why)
        with self._changed:
            self._changed.notify_all()
        return publication

    @staticmethod
    def _fence(connection: Connection, unit: str, epoch: int) -> None:
        leads = connection.execute(select(leases.c.epoch).where(leases.c.name == unit)).scalar_one_or_none() or 0
        if leads != epoch:
            raise StaleEpochError(f"{unit}: epoch {leads} leads, got a publication of epoch {epoch}")

    def newest(self, unit: str | None = None) -> Publication | None:
        """Return the newest publication."""
        query = select(table).order_by(table.c.version.desc()).limit(1)
        if unit is not None:
            query = query.where(table.c.unit == unit)
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return _publication(row) if row else None

    def before(self, plan_id: str, made_at: datetime) -> Publication | None:
        """Return the publication before the first one of a plan; of a plan never published, the newest when it was made.

        None where there was none, or where it is deleted: versions have no gaps but for those.
        """
        with self._database.read() as connection:
            first = connection.execute(select(func.min(table.c.version)).where(table.c.plan_id == plan_id)).scalar_one_or_none()
            earlier = table.c.published_at <= made_at if first is None else table.c.version < first
            row = connection.execute(select(table).where(earlier).order_by(table.c.version.desc()).limit(1)).first()
        if row is None or (first is not None and row.version != first - 1):
            return None
        return _publication(row)

    def of_slot(self, unit: str, slot: datetime) -> list[Publication]:
        """Return all publications of a slot, oldest first."""
        query = select(table).where(table.c.unit == unit, table.c.slot == slot).order_by(table.c.version)
        with self._database.read() as connection:
            return [_publication(row) for row in connection.execute(query)]

    def of_occasion(self, unit: str, occasion: str) -> Publication | None:
        """Return the newest publication for an occasion that names what it was for, whatever its slot."""
        query = select(table).where(table.c.unit == unit, table.c.occasion == occasion).order_by(table.c.version.desc()).limit(1)
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return _publication(row) if row else None

    def page(self, after: int | None = None, limit: int = 100) -> Page[Publication]:
        """Return publications, newest first."""
        query = select(table).order_by(table.c.version.desc()).limit(limit + 1)
        if after is not None:
            query = query.where(table.c.version < after)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return cut([(row.version, _publication(row)) for row in rows], limit)

    def setpoint(self, site: str, version: int | None = None) -> SetPoint | None:
        """Return a site's newest document, or that of one version.

        Raises:
            UnreadableError: another release stored it, with other fields.
        """
        found = self.told(site, version)
        return None if found is None else found[0]

    def last_told(self, site: str) -> Reading[tuple[SetPoint, bytes]]:
        """Return a site's newest document and its JSON, soon; as last read well if the store does not answer.

        It counts until it ends by its own words: whoever asks looks at `valid_until`.

        Raises:
            UnreadableError: another release stored it, with other fields.
            StoreUnavailableError: the store does not answer, and no document of the site was ever read well.
        """
        return self._told.read(site, lambda within_ms: self.told(site, within_ms=within_ms))

    def told(self, site: str, version: int | None = None, within_ms: int | None = None) -> tuple[SetPoint, bytes] | None:
        """Return a site's newest document, or that of one version, and the JSON in which it was stored: its digest is of that.

        Raises:
            UnreadableError: another release stored it, with other fields.
        """
        query = select(setpoints.c.body).where(setpoints.c.site == site).order_by(setpoints.c.version.desc()).limit(1)
        if version is not None:
            query = query.where(setpoints.c.version == version)
        with self._database.read(within_ms) as connection:
            body = connection.execute(query).scalar_one_or_none()
        return None if body is None else (read_json(SetPoint, body, f"set-point of {site}"), body)

    def setpoints(self, version: int) -> dict[str, SetPoint]:
        """Return all documents of one publication by site.

        Raises:
            UnreadableError: another release stored one of them, with other fields.
        """
        query = select(setpoints.c.site, setpoints.c.body).where(setpoints.c.version == version)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return {row.site: read_json(SetPoint, row.body, f"set-point {version} of {row.site}") for row in rows}

    def newest_version(self, site: str, within_ms: int | None = None) -> int | None:
        """Return the version of a site's newest document."""
        query = select(setpoints.c.version).where(setpoints.c.site == site).order_by(setpoints.c.version.desc()).limit(1)
        with self._database.read(within_ms) as connection:
            return connection.execute(query).scalar_one_or_none()

    def first_after(self, site: str, version: int) -> tuple[int, datetime] | None:
        """Return version and time of a site's first document after a version; None where that was its newest."""
        query = (
            select(table.c.version, table.c.published_at)
            .join(setpoints, setpoints.c.version == table.c.version)
            .where(setpoints.c.site == site, setpoints.c.version > version)
            .order_by(table.c.version)
            .limit(1)
        )
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return (row.version, row.published_at) if row else None

    def wait_newer(self, site: str, than: int | None, timeout_s: float) -> bool:
        """Wait until a site has a document newer than a version; return whether it came in time and could be read."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not self._is_newer(site, than):
                left = deadline - time.monotonic()
                if left <= 0 or self._stopping:
                    return False
                self._changed.wait(min(left, POLL_S))
        return True

    def _is_newer(self, site: str, than: int | None) -> bool:
        try:
            newest = self.newest_version(site, QUICKLY_MS)
        except StoreUnavailableError:  # what cannot be read is no news yet
            return False
        return newest is not None and (than is None or newest > than)

    def stop_waiting(self) -> None:
        """End all waits, now and later: the service stops."""
        self._stopping = True
        with self._changed:
            self._changed.notify_all()


def _check(made: Mapping[str, SetPoint], version: int) -> None:
    if not made:
        raise StoreError("a publication without documents was offered")
    for site, document in made.items():
        if (document.site, document.version) != (site, version):
            raise StoreError(f"expected version {version} for {site}, got version {document.version} for {document.site}")
        if not document.audit_passed and document.basis != "safe":
            raise StoreError(f"{site}: a document on basis {document.basis} did not pass its audit")


def _setpoint_row(site: str, document: SetPoint) -> dict[str, Any]:
    return {
        "site": site,
        "version": document.version,
        "valid_from": document.valid_from,
        "valid_until": document.valid_until,
        "digest": document.digest,
        "body": document.model_dump_json().encode(),
    }


def _publication(row: AnyRow) -> Publication:
    return Publication(**row._mapping)
