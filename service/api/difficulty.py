"""/v1/difficulty-steps: known changes of the network's difficulty. Each re-plans at once."""

from datetime import timedelta
from typing import Annotated

from annotated_types import Gt, Le

from models.base import Instant, Record, Text, iso
from models.market import DifficultyStep
from service.api.availability import OwnQuery, role_of
from service.api.common import found, invalid, taken_back, who
from service.difficulty import counted_elsewhere, percent
from service.http.paging import Listing
from service.http.problems import Problem
from service.http.routes import Answer, Call, Route, reads, writes
from service.ports import Services
from service.store.entry_records import DifficultyEntry

APART = timedelta(days=3)
"""The network adjusts every 2,016 blocks, about two weeks, and at most to four times: two nearer than this are one."""
FARTHEST = timedelta(days=60)


class DifficultyIn(Record):
    """From `at` on the network's difficulty is higher by so many percent, or lower; what hashing earns follows.

    It needs a hashprice that does not count it already: each series of that kind must be declared with difficulty constant.
    """

    at: Instant
    change_percent: Annotated[float, Gt(-75), Le(300)]
    source: Text = ""


class DifficultySteps(Listing):
    """Changes of the difficulty, newest entry first."""

    items: tuple[DifficultyEntry, ...]


def routes(services: Services) -> list[Route]:
    """Return the routes of changes of the difficulty."""
    store = services.store

    def tell(entry: DifficultyEntry) -> None:
        if services.planning is not None:
            services.planning.entry_changed(entry)

    def enter(call: Call, body: DifficultyIn) -> Answer:
        """Keep a change and re-plan at once."""
        known = store.difficulty.get(call.derived_id)  # kept by a first attempt whose answer was lost
        if known is None:
            with store.transaction():  # or two at once would both find the time free
                known = store.difficulty.add(_entry(services, call, body), request_id=call.request_id)
            tell(known)
        return Answer(known, headers={"Location": f"/v1/difficulty-steps/{known.entry_id}"})

    def steps(call: Call, query: OwnQuery) -> DifficultySteps:
        """List changes; those that have come or were withdrawn stay on the record."""
        return DifficultySteps.of(
            store.difficulty.page(query.after, query.limit, standing_at=call.now if query.standing else None)
        )

    def step(call: Call, step: str) -> DifficultyEntry:
        """Return one change."""
        return found(store.difficulty.get(step))

    def withdraw(call: Call, step: str) -> DifficultyEntry:
        """Take a change back, because its time or size is known better, and re-plan at once; twice is once."""
        return taken_back(store.difficulty, step, call, tell)

    look, write = reads("operator", "planner", "feed"), writes("operator", "feed")
    root, one, tag = "/v1/difficulty-steps", "/v1/difficulty-steps/{step}", "difficulty"
    where = {"Location": "Where it is."}
    return [
        Route(
            "POST", root, enter, write, "Enter a change of the difficulty", tag, DifficultyEntry, 201, headers=where,
            problems=("conflict",),
        ),
        Route("GET", root, steps, look, "Changes of the difficulty", tag, DifficultySteps),
        Route("GET", one, step, look, "One change of the difficulty", tag, DifficultyEntry),
        Route("DELETE", one, withdraw, write, "Take a change of the difficulty back", tag, DifficultyEntry),
    ]  # fmt: skip


def _entry(services: Services, call: Call, body: DifficultyIn) -> DifficultyEntry:
    if not call.now < body.at <= call.now + FARTHEST:
        words = f"expected after now, {iso(call.now)}, and within {FARTHEST.days} days, got {iso(body.at)}"
        raise invalid("/at", "outside_window", f"{words}; what is past is in what the hashprice tells")
    if not body.change_percent:
        raise invalid("/change_percent", "no_change", f"the change at {iso(body.at)}: expected other than 0")
    if (why := counted_elsewhere(services.store)) is not None:
        raise invalid(
            "/change_percent", "counted_elsewhere", f"the change at {iso(body.at)} would count twice or not at all: {why}"
        )
    near = services.store.difficulty.standing(body.at - APART, body.at + APART)
    if near:
        same = near[0].difficulty
        words = f"{percent(same)} at {iso(same.at)} stands already (entry {near[0].entry_id})"
        raise Problem("conflict", f"{words}, within {APART.days} days of {iso(body.at)}: take that back first")
    step = DifficultyStep(at=body.at, change_share=round(body.change_percent / 100, 12), source=body.source)
    return DifficultyEntry(
        entry_id=call.derived_id, created_at=call.now, created_by=who(call), entered_as=role_of(call), difficulty=step
    )
