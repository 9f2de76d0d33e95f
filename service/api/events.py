"""/v1/events: limit orders of utilities and operators. Each re-plans at once."""

from datetime import timedelta

from models.base import Instant, Name, Record, Text, Watts, iso
from models.fleet import Fleet
from models.order import MOST_ORDERS, LimitOrder
from service.api.common import QueryName, fleet_in_force, found, invalid, site_in_force, taken_back, unknown_site, who
from service.http.paging import Listing, PageQuery
from service.http.routes import Answer, Call, Route, reads, writes
from service.known_state import known_awards
from service.ports import Services
from service.reserve_carry import unsold_calls, with_told
from service.store.records import Event, EventKind

EVER = timedelta(days=3_650)


class EventIn(Record):
    """A cap on a site's draw from `start` (now if absent) until `end` (open if absent); 0 W makes the site dark.

    `reserve` names the programme whose call it is: what was sold of it then need not stand ready as well.
    """

    kind: EventKind = "curtailment"
    site: Name
    start: Instant | None = None
    end: Instant | None = None
    limit_w: Watts
    reason: Text = ""
    reserve: Name | None = None


class EnteredEvent(Event):
    """The event as it is kept, and what whoever entered it must know: a call of which nothing is known to be sold."""

    cautions: tuple[Text, ...] = ()


class EventQuery(PageQuery):
    """Events of one site, or of all."""

    site: QueryName | None = None


class Events(Listing):
    """Events, newest first."""

    items: tuple[Event, ...]


def routes(services: Services) -> list[Route]:
    """Return the routes of events."""
    store = services.store

    def tell(event: Event) -> None:
        if services.planning is not None:
            services.planning.event_changed(event)

    def enter(call: Call, body: EventIn) -> Answer:
        """Keep a limit order and re-plan at once."""
        fleet = fleet_in_force(services)
        if (site := fleet.site_by_name.get(body.site)) is None:
            raise unknown_site(fleet, body.site)
        if body.reserve is not None and body.reserve not in (reserves := [r.name for r in site.reserves]):
            raise invalid("/reserve", "unknown_reserve", f"{body.site}: expected one of {reserves}, got {body.reserve}")
        if body.kind == "emergency_stop" and body.limit_w:
            raise invalid("/limit_w", "invalid_value", f"{body.site}: an emergency stop is to 0 W, got {body.limit_w} W")
        start = body.start or call.now.replace(microsecond=0)
        if body.end is not None and body.end <= max(start, call.now):
            raise invalid("/end", "outside_window", f"{body.site}: expected after the start and after now, got {iso(body.end)}")
        order = LimitOrder(
            name=f"event-{call.derived_id}", site=body.site, start=start, end=body.end, limit_w=body.limit_w, reason=body.reason,
            reserve=body.reserve,
        )  # fmt: skip
        known = store.events.get(call.derived_id)  # kept by a first attempt whose answer was lost
        cautions = _cautions(services, fleet, call, known.order if known else order)  # before it is kept: a store may fail after
        if known is None:
            if len(store.events.binding(call.now, call.now + EVER)) >= MOST_ORDERS:
                raise invalid("", "too_many_orders", f"{MOST_ORDERS} orders stand already; withdraw some that no longer matter")
            known = store.events.add(call.derived_id, body.kind, order, by=who(call), at=call.now, request_id=call.request_id)
            tell(known)
        entered = EnteredEvent(**dict(known), cautions=cautions)
        return Answer(entered, headers={"Location": f"/v1/events/{known.event_id}"})

    def events(call: Call, query: EventQuery) -> Events:
        """List events; withdrawn ones stay on the record."""
        if query.site is not None:
            site_in_force(services, query.site)
        return Events.of(store.events.page(query.after, query.limit, site=query.site))

    def show(call: Call, event: str) -> Event:
        """Return one event."""
        return found(store.events.get(event))

    def withdraw(call: Call, event: str) -> Event:
        """Take an order back and re-plan at once; twice is once."""
        return taken_back(store.events, event, call, tell)

    look, write = reads("operator", "planner"), writes("operator")
    return [
        Route(
            "POST", "/v1/events", enter, write, "Enter a limit order", "events", EnteredEvent, 201, problems=("not_found",),
            headers={"Location": "Where the event is."},
        ),
        Route("GET", "/v1/events", events, look, "Limit orders", "events", Events, problems=("not_found",)),
        Route("GET", "/v1/events/{event}", show, look, "One limit order", "events", Event),
        Route("DELETE", "/v1/events/{event}", withdraw, write, "Withdraw a limit order", "events", Event),
    ]  # fmt: skip


def _cautions(services: Services, fleet: Fleet, call: Call, order: LimitOrder) -> tuple[str, ...]:
    """Say if the order limits nothing, and if it is a call of which nothing is known to be sold."""
    carried_w = fleet.site_by_name[order.site].connection_limit_w
    cautions: tuple[str, ...] = ()
    if order.limit_w >= carried_w:
        ask, carries = order.limit_w / 1e6, carried_w / 1e6
        cautions = (f"the order limits nothing: {ask:g} MW are asked, the connection of {order.site} carries {carries:g} MW",)
    if order.reserve is None:
        return cautions
    store, now = services.store, call.now
    told = [entry.award for entry in store.awards.standing(now)]
    awards = with_told(known_awards(store, fleet, now=now, at=now), told)
    return (*cautions, *unsold_calls(fleet, (order,), awards, since=now))
