"""What a what-if can be made of: the library, what of the latest problem can be changed, and what a change means."""

from typing import Annotated

from pydantic import Field

from models.base import Instant, Name, Record, Text
from models.reading import BadInputError
from scenarios.changes import Change, Changeable, changeable, read_changes
from scenarios.library import load_scenario, scenario_names
from service.http.paging import Query
from service.http.problems import Problem, of_refusals
from service.http.routes import Call, Route, reads
from service.job_kinds import latest_problem
from service.ports import Services


class LibraryWhatIf(Record):
    """A what-if of the library and why it is worth asking; without changes it is of another day, which a plan in force is not."""

    name: Name
    title: Text
    why: Text
    changes: tuple[Change, ...]


class Library(Record):
    """The library of what-ifs."""

    items: tuple[LibraryWhatIf, ...]


class Quantities(Record):
    """What of the latest problem can be changed, and its hours, from the first of which a change's hours are counted."""

    start: Instant
    hours: float
    items: tuple[Changeable, ...]


class ChangesQuery(Query):
    """Changes as `set` of a what-if takes them, one a line."""

    set: Annotated[str, Field(min_length=1, max_length=4_000, examples=["hashprice=-20%"])]


class Changes(Record):
    """What changes mean, in order."""

    items: tuple[Change, ...]


def routes(services: Services) -> list[Route]:
    """Return the routes of what what-ifs are made of."""
    store = services.store

    def library(call: Call) -> Library:
        """List the library of what-ifs. Each can be asked of the latest problem by its changes."""
        known = (load_scenario(name) for name in scenario_names())
        return Library(items=tuple(
            LibraryWhatIf(name=each.name, title=each.title, why=each.why, changes=read_changes(each.patches)) for each in known
        ))  # fmt: skip

    def quantities(call: Call) -> Quantities:
        """List what of the latest problem can be changed, in which unit, and by which names."""
        if (problem := latest_problem(store)) is None:
            raise Problem("not_found", "Nothing is planned yet that could be changed.")
        grid = problem.grid
        return Quantities(start=grid.start, hours=sum(grid.step_s) / 3600, items=changeable(problem))

    def changes(call: Call, query: ChangesQuery) -> Changes:
        """Say in words what changes mean; what cannot be read, or made of the latest problem, is refused by its line."""
        try:
            return Changes(items=read_changes(query.set.splitlines(), latest_problem(store)))
        except BadInputError as error:
            placed = [r.model_copy(update={"pointer": f"/set{r.pointer}"}) for r in error.refusals]
            raise of_refusals("invalid_input", placed, "query") from None

    look = reads("operator", "planner")
    return [
        Route("GET", "/v1/scenario-library", library, look, "The library of what-ifs", "scenarios", Library),
        Route(
            "GET", "/v1/scenario-quantities", quantities, look, "What can be changed", "scenarios", Quantities,
            problems=("not_found",),
        ),
        Route("GET", "/v1/scenario-changes", changes, look, "What changes mean", "scenarios", Changes),
    ]  # fmt: skip
