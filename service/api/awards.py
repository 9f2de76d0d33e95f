"""/v1/awards: what reserve programmes awarded, by site and block. What differs from what is planned with re-plans at once."""

from datetime import datetime, timedelta
from typing import Annotated

from annotated_types import Le

from models.base import Count, Instant, Name, Record, Text, iso
from models.reserve import W_PER_KW, Reserve, ToldAward
from models.site import Site
from service.api.availability import EntryQuery, role_of, site_entered
from service.api.common import found, invalid, who
from service.http.paging import Listing
from service.http.routes import Answer, Call, Route, reads, writes
from service.ports import Services
from service.store.entry_records import AwardEntry

MOST_AWARDS = 5_000
"""Told awards of blocks that have not ended; as many again may be carried from what was offered."""
FARTHEST = timedelta(days=35)
"""No gate closes longer before its block than a month."""


class AwardIn(Record):
    """The site was awarded `kw` of the reserve in the block that begins at `start`; 0 if nothing was.

    It may be less than what was offered. Told again for the same block, the later one counts.
    """

    site: Name
    reserve: Name
    start: Instant
    kw: Annotated[Count, Le(10_000_000)]
    source: Text = ""


class Awards(Listing):
    """Told awards, newest first."""

    items: tuple[AwardEntry, ...]


def routes(services: Services) -> list[Route]:
    """Return the routes of awards."""
    store = services.store

    def tell(call: Call, body: AwardIn) -> Answer:
        """Keep what was awarded and re-plan at once; the same told twice is told once."""
        known = store.awards.get(call.derived_id)  # kept by a first attempt whose answer was lost
        if known is None:
            told = _told(services, call, body)
            with store.transaction():  # or two at once would both stand
                standing = [e for e in store.awards.standing(told.start, told.end) if _block(e.award) == _block(told)]
                known = next((entry for entry in standing if entry.award.kw == told.kw), None)
                if known is None:
                    for entry in standing:
                        store.awards.withdraw(entry.entry_id, by=who(call), at=call.now, request_id=call.request_id)
                    known = store.awards.add(_entry(call, told), request_id=call.request_id)
            if known.entry_id == call.derived_id and services.planning is not None:
                services.planning.entry_changed(known)
        return Answer(known, headers={"Location": f"/v1/awards/{known.entry_id}"})

    def awards(call: Call, query: EntryQuery) -> Awards:
        """List told awards; those that a later one replaced, and of blocks that have ended, stay on the record."""
        at = call.now if query.standing else None
        return Awards.of(store.awards.page(query.after, query.limit, site=query.site, standing_at=at))

    def award(call: Call, award: str) -> AwardEntry:
        """Return one told award."""
        return found(store.awards.get(award))

    look, write = reads("operator", "planner", "feed"), writes("operator", "feed")
    where = {"Location": "Where it is."}
    return [
        Route("POST", "/v1/awards", tell, write, "Tell what a reserve awarded", "awards", AwardEntry, 201, headers=where),
        Route("GET", "/v1/awards", awards, look, "Told awards", "awards", Awards),
        Route("GET", "/v1/awards/{award}", award, look, "One told award", "awards", AwardEntry),
    ]


def _told(services: Services, call: Call, body: AwardIn) -> ToldAward:
    site = site_entered(services, body.site)
    reserve = _reserve(site, body.reserve)
    where = f"{site.name}/{reserve.name} from {iso(body.start)}"
    if abs(body.start - call.now) > FARTHEST:
        raise invalid("/start", "outside_window", f"{where}: expected within {FARTHEST.days} days of now, {iso(call.now)}")
    block = reserve.block_at(site.zone, body.start)
    if block[0] != body.start:
        raise invalid("/start", "no_block", f"{where}: expected the start of a block, such as {iso(block[0])}")
    _check_time(where, reserve, block, call.now)
    most_kw = min(reserve.most_kw, site.connection_limit_w // W_PER_KW)
    if body.kw > most_kw:
        raise invalid("/kw", "too_many", f"{where}: expected at most {most_kw} kW, got {body.kw} kW")
    if len(services.store.awards.standing(call.now)) >= MOST_AWARDS:
        raise invalid("", "too_many_awards", f"{where}: {MOST_AWARDS} awards of blocks that have not ended are told already")
    return ToldAward(
        name=f"award-{call.derived_id}", site=site.name, reserve=reserve.name, start=block[0], end=block[1], kw=body.kw,
        source=body.source,
    )  # fmt: skip


def _check_time(where: str, reserve: Reserve, block: tuple[datetime, datetime], now: datetime) -> None:
    """Until its gate closes a block is open for offers; when it has ended, nothing can be planned with it."""
    begins, ends = block
    closes = begins - timedelta(seconds=reserve.gate_s)
    if now < closes:
        words = f"{where}: expected after its gate closes at {iso(closes)}, it is {iso(now)}; a programme that awards earlier"
        raise invalid("/start", "gate_open", f"{words} has a longer gate_s in the fleet")
    if now >= ends:
        raise invalid("/start", "outside_window", f"{where}: expected a block that has not ended, it ended at {iso(ends)}")


def _reserve(site: Site, name: str) -> Reserve:
    if (reserve := next((r for r in site.reserves if r.name == name), None)) is None:
        words = f"{site.name} has no reserve {name}; it has {', '.join(r.name for r in site.reserves) or 'none'}"
        raise invalid("/reserve", "unknown_reserve", words)
    return reserve


def _block(award: ToldAward) -> tuple[str, str, datetime]:
    return award.site, award.reserve, award.start


def _entry(call: Call, told: ToldAward) -> AwardEntry:
    return AwardEntry(entry_id=call.derived_id, created_at=call.now, created_by=who(call), entered_as=role_of(call), award=told)
