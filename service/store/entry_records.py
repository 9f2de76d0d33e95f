"""Outages and pins as they are entered and kept."""

from typing import ClassVar

from models.availability import Outage, Pin
from models.base import Instant, Record, Text
from service.store.records import ObjectId, Role


class Entry(Record):
    """Something that a person or a site entered, with its history. A withdrawn entry no longer counts."""

    entry_id: ObjectId
    created_at: Instant
    created_by: Text
    entered_as: Role
    """Role of the key that entered it: a site may take back what sites reported, and nothing else."""
    withdrawn_at: Instant | None = None
    withdrawn_by: Text | None = None


class OutageEntry(Entry):
    """Machines out of service: maintenance, a lock-out, a failure."""

    kind: ClassVar[str] = "outage"
    outage: Outage


class PinEntry(Entry):
    """A count that somebody holds a machine to, until it expires."""

    kind: ClassVar[str] = "pin"
    pin: Pin
