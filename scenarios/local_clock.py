"""Local clocks for arrays of instants: offsets, days and steps of the day of a zone, clock changes included.

Instants are whole seconds since 1970 in UTC (int64). A local second is the instant plus the zone's offset: it runs twice
through the hour that autumn repeats, and jumps over the one that spring leaves out.
"""

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

Seconds = NDArray[np.int64]
DAY_S = 86_400
HOUR_S = 3_600


def seconds(instant: datetime) -> int:
    """Return an instant as whole seconds since 1970.

    Raises:
        ValueError: it has no offset, or a fraction of a second.
    """
    if instant.tzinfo is None:
        raise ValueError(f"expected an instant with an offset, got the naive time {instant.isoformat()}")
    if instant.microsecond:
        raise ValueError(f"expected a whole second, got {instant.isoformat()}")
    return int(instant.timestamp())


def instant(second: int) -> datetime:
    """Return the instant of a second since 1970, in UTC."""
    return datetime.fromtimestamp(int(second), UTC)


def local_s(zone: str, instants_s: Seconds) -> Seconds:
    """Return the local seconds of instants: what the zone's clock shows, read as if it were UTC.

    Days of UTC at both ends of which the zone has one offset are taken to have it all along.
    """
    place = ZoneInfo(zone)
    days, which = np.unique(instants_s // DAY_S, return_inverse=True)
    begin, end = (np.array([_edge(zone, day) for day in (days + by).tolist()], np.int64) for by in (0, 1))
    found: Seconds = begin[which]
    changing = np.flatnonzero((begin != end)[which])
    found[changing] = _offsets(place, instants_s[changing])
    return instants_s + found


def local_midnight_s(zone: str, day: int) -> int:
    """Return the first instant of a local day, given as days since 1970."""
    at = instant(day * DAY_S)
    return int(datetime(at.year, at.month, at.day, tzinfo=ZoneInfo(zone)).timestamp())


@lru_cache(maxsize=1 << 16)
def _edge(zone: str, day: int) -> int:
    """The zone's offset at the beginning of a day of UTC; forecasts ask for the same years again every hour. [s]"""
    return int(_offsets(ZoneInfo(zone), np.array([day * DAY_S]))[0])


def _offsets(place: ZoneInfo, instants_s: Seconds) -> Seconds:
    found = (datetime.fromtimestamp(int(s), place).utcoffset() for s in instants_s)
    return np.array([0 if o is None else int(o.total_seconds()) for o in found], dtype=np.int64)
