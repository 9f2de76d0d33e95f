"""What-if changes for whoever offers them to people: what can be changed, and what a change that they wrote means."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Self

from models.base import NonNegative, Record, Text
from models.problem import Problem
from scenarios.apply import OF_SITES, apply_patches, patchable
from scenarios.patch import ANY_WATTS, UNITS, WHOLE_HORIZON, Patch, Quantity, in_words, parse_patches, written_value

_EXPECTED: dict[Quantity, str] = {"site": "on or off", "outage": "a whole number", "difficulty": "a percentage"}
"""What a value may be of quantities that take neither all figures nor a percentage beside them."""


class Change(Record):
    """A change as it is written, its parts, and what it does in words.

    `name` is absent where it is of all; `value` is what is written behind the `=`, or with its sign where that is `:=`.
    """

    set: Text
    quantity: Quantity
    name: Text | None
    from_h: NonNegative | None
    to_h: NonNegative | None
    value: Text
    words: Text

    @classmethod
    def of(cls, text: str, patch: Patch) -> Self:
        """Return the change of a text and of the patch that it means."""
        return cls(
            set=text, quantity=patch.quantity, name=None if patch.name == "*" else patch.name, from_h=patch.from_h or None,
            to_h=patch.to_h, value=written_value(text), words=in_words(patch),
        )  # fmt: skip


class Changeable(Record):
    """A quantity that can be changed: in which unit, what a value may be, of what by name or by region, and an example.

    Without names it is one for the whole fleet; `in_hours` says whether it may be changed for some hours alone.
    """

    quantity: Quantity
    unit: Text
    expected: Text
    names: tuple[Text, ...]
    regions: tuple[Text, ...]
    in_hours: bool
    example: Change


def read_changes(texts: Sequence[str], problem: Problem | None = None) -> tuple[Change, ...]:
    """Return what changes mean, in order; of a problem, only if they can be made there.

    Raises:
        BadInputError: a text is no change, or names nothing of the problem; the pointer is its place.
    """
    patches = parse_patches(texts)
    if problem is not None:
        apply_patches(problem, patches)
    return tuple(Change.of(text, patch) for text, patch in zip(texts, patches, strict=True))


def changeable(problem: Problem) -> tuple[Changeable, ...]:
    """Return what of a problem can be changed, one for each quantity."""
    regions = tuple(sorted({site.region for site in problem.fleet.sites}))
    grouped = groupby(patchable(problem), key=lambda each: each.quantity)
    return tuple(_changeable(quantity, [(p.name, p.example) for p in each], regions) for quantity, each in grouped)


def _changeable(quantity: Quantity, known: Iterable[tuple[str, str]], regions: tuple[str, ...]) -> Changeable:
    listed = list(known)
    unit = ANY_WATTS if UNITS[quantity] == "W" else UNITS[quantity]
    return Changeable(
        quantity=quantity,
        unit=unit,
        expected=_EXPECTED.get(quantity, f"{unit}, or a percentage"),
        names=tuple(name for name, _ in listed if name != "*"),
        regions=regions if quantity in OF_SITES else (),
        in_hours=quantity not in WHOLE_HORIZON,
        example=read_changes([listed[0][1]])[0],
    )
