"""When things are due: slots are whole hours; each is planned from minute 40 of the hour before and published by 50."""

from datetime import datetime, timedelta

from models.time_grid import TimeGrid

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
PLAN_FROM_MINUTE = 40
"""Minute of the hour before at which planning for a slot begins."""
PUBLISH_BY = timedelta(minutes=10)
"""How long before its slot an hourly plan is to be published."""
SHORTEST_STEP = timedelta(minutes=1)
SHORTEST_BUDGET_S = 15.0
MARGIN_S = 15.0
"""What building, auditing and publishing take beside the solver. [s]"""


def floor_hour(instant: datetime) -> datetime:
    """Return the whole hour that an instant lies in."""
    return instant.replace(minute=0, second=0, microsecond=0)


def ceil_minute(instant: datetime) -> datetime:
    """Return the next whole minute, or the instant itself if it is one."""
    whole = instant.replace(second=0, microsecond=0)
    return whole if whole == instant else whole + MINUTE


def target_slot(now: datetime) -> datetime:
    """Return the slot whose hourly plan is wanted now: this hour's until minute 40, the next one's from then on."""
    return floor_hour(now) + (HOUR if now.minute >= PLAN_FROM_MINUTE else timedelta(0))


def budget_s(now: datetime, slot: datetime, wanted_s: float) -> float:
    """Return how long a solver may take: what is wanted, but ready by ten minutes before the slot if that is still to come.

    A slot that has begun, or whose ten minutes have, is late already: what is wanted counts, within its own hour.
    """
    until = slot - PUBLISH_BY if now < slot - PUBLISH_BY else slot + (HOUR - PUBLISH_BY)
    left_s = (until - now).total_seconds() - MARGIN_S
    return min(wanted_s, max(SHORTEST_BUDGET_S, left_s))


def first_step(now: datetime, slot: datetime, solver_s: float) -> datetime:
    """Return where a plan may begin that takes so long to make: its slot, or the first whole minute after it is ready."""
    ready = ceil_minute(now + timedelta(seconds=solver_s + MARGIN_S))
    if ready <= slot:
        return slot
    hour_end = floor_hour(ready) + HOUR
    return ready if hour_end - ready >= SHORTEST_STEP else hour_end


def grid_from(begins: datetime, horizon_h: int) -> TimeGrid:
    """Return steps of whole hours from `begins` on; a beginning inside an hour gets a first step up to its end.

    A rest of less than a minute is joined to the hour after it.
    """
    begins = begins.replace(microsecond=0)
    hour_end = floor_hour(begins) + HOUR
    rest = hour_end - begins
    if rest == HOUR:
        return TimeGrid(start=begins, step_s=(3600,) * horizon_h)
    rest_s = int(rest.total_seconds())
    if rest < SHORTEST_STEP:
        return TimeGrid(start=begins, step_s=(rest_s + 3600, *(3600,) * (horizon_h - 1)))
    return TimeGrid(start=begins, step_s=(rest_s, *(3600,) * (horizon_h - 1)))


def missed_slots(last: datetime | None, slot: datetime) -> list[datetime]:
    """Return the slots between the last one published and this one: nobody will ever plan them."""
    if last is None:
        return []
    return [last + HOUR * n for n in range(1, int((slot - last) / HOUR))]
