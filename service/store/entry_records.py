"""Outages, pins, awards and changes of the difficulty as they are entered and kept."""

from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

from models.availability import Outage, Pin
from models.base import Instant, Record, Text
from models.market import DifficultyStep
from models.reserve import ToldAward
from service.store.records import ObjectId, Role


class Entry(Record):
    """Something that a person or a site entered, with its history. A withdrawn entry no longer counts."""

    kind: ClassVar[str]
    """Name of the kind, and of the field that holds what is said."""

    entry_id: ObjectId
    created_at: Instant
    created_by: Text
    entered_as: Role
    """Role of the key that entered it: a site may take back what sites reported, and nothing else."""
    withdrawn_at: Instant | None = None
    withdrawn_by: Text | None = None

    @property
    def said(self) -> Record:
        """What the entry says."""
        said: Record = getattr(self, self.kind)
        return said

    @property
    @abstractmethod
    def about(self) -> Mapping[str, str]:
        """Site and machine, or what else of the site, that it is about; nothing where it is of no site."""

    @property
    @abstractmethod
    def stretch(self) -> tuple[datetime, datetime | None]:
        """From when until when it counts; open where there is no end."""


class OutageEntry(Entry):
    """Machines out of service: maintenance, a lock-out, a failure."""

    kind: ClassVar[str] = "outage"
    outage: Outage

    @property
    def about(self) -> Mapping[str, str]:
        """Site and machine."""
        return {"site": self.outage.site, "machine": self.outage.machine}

    @property
    def stretch(self) -> tuple[datetime, datetime | None]:
        """From the start to the end that was said."""
        return self.outage.start, self.outage.end


class PinEntry(Entry):
    """A count that somebody holds a machine to, until it expires."""

    kind: ClassVar[str] = "pin"
    pin: Pin

    @property
    def about(self) -> Mapping[str, str]:
        """Site and machine."""
        return {"site": self.pin.site, "machine": self.pin.machine}

    @property
    def stretch(self) -> tuple[datetime, datetime | None]:
        """From the entry until it expires."""
        return self.created_at, self.pin.expires


class AwardEntry(Entry):
    """What a reserve programme awarded a site for a block. A later one for the same block takes its place."""

    kind: ClassVar[str] = "award"
    award: ToldAward

    @property
    def about(self) -> Mapping[str, str]:
        """Site and reserve; what backs a reserve is its machines."""
        return {"site": self.award.site, "machine": self.award.reserve}

    @property
    def stretch(self) -> tuple[datetime, datetime | None]:
        """The block."""
        return self.award.start, self.award.end


class DifficultyEntry(Entry):
    """A known change of the network's difficulty. It is over for people once its instant has come."""

    kind: ClassVar[str] = "difficulty"
    difficulty: DifficultyStep

    @property
    def about(self) -> Mapping[str, str]:
        """No site."""
        return {}

    @property
    def stretch(self) -> tuple[datetime, datetime | None]:
        """The instant."""
        return self.difficulty.at, self.difficulty.at
