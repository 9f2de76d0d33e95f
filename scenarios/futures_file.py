"""Reads futures as people write them: series in full, or changes to the base problem such as `energy_price=+80`."""

from typing import Annotated

from annotated_types import Len

from models.base import Record, Text
from models.futures import MOST_FUTURES, UNCERTAIN, Future, Futures
from models.problem import Problem
from models.reading import BadInputError, Refusal, parse
from scenarios.apply import apply_patches
from scenarios.patch import Quantity, parse_patches

MAY_DIFFER: tuple[Quantity, ...] = ("hashprice", "energy_price", "ambient", "demand")
"""What nobody knows beforehand; all else is the same in every scenario."""
MOST_CHANGES = 200


class WrittenFuture(Future):
    """A scenario; `set` changes the base problem's series, after those that are given in full."""

    set: Annotated[tuple[Text, ...], Len(0, MOST_CHANGES)] = ()


class WrittenFutures(Futures):
    """Futures as a file holds them."""

    scenarios: Annotated[tuple[WrittenFuture, ...], Len(1, MOST_FUTURES)]


def futures_of(written: WrittenFutures, base: Problem) -> Futures:
    """Return written futures with every series in full.

    Raises:
        BadInputError: series or changes that the base problem does not have; every fault with its place.
    """
    problems = written.problems(base)
    scenarios, faults = [], []
    for place, (future, problem) in enumerate(zip(written.scenarios, problems, strict=True)):
        try:
            scenarios.append(_in_full(future, problem, base))
        except BadInputError as error:
            where = f"/scenarios/{place}/set"
            faults += [r.model_copy(update={"pointer": f"{where}{r.pointer}", "detail": f"scenario {future.name}: {r.detail}"})
                       for r in error.refusals]  # fmt: skip
    if faults:
        raise BadInputError(faults)
    return parse(Futures, _content(written) | {"scenarios": [_content(future) for future in scenarios]})


def _in_full(future: WrittenFuture, problem: Problem, base: Problem) -> Future:
    patches = parse_patches(future.set)
    if wrong := [Refusal(pointer=f"/{n}", code="patch_quantity", detail=f"{patch}: expected one of {', '.join(MAY_DIFFER)}")
                 for n, patch in enumerate(patches) if patch.quantity not in MAY_DIFFER]:  # fmt: skip
        raise BadInputError(wrong)
    changed = apply_patches(problem, patches)
    content = _content(future) | {"hashprice_usd_per_ph_day": changed.hashprice_usd_per_ph_day}
    for family in UNCERTAIN:
        known = getattr(base, family)
        content[family] = {name: series for name, series in getattr(changed, family).items() if series != known[name]}
    content.pop("set")
    return Future.model_validate(content)


def _content(record: Record) -> dict[str, object]:
    return dict(record.model_dump())
