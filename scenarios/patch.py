"""What-if patches: small changes to a problem, as data and as people write them.

Written `QUANTITY[NAME]@FROM..TO=VALUE`, for example `hashprice=-20%`, `energy_price[ERCOT_HB_NORTH]=+15`,
`limit[pecos]@6h..10h=20MW`, `demand[chat-*]=+30%`, `site[pecos]=off`.

- NAME may hold `*` and `?` and may be left out for all; for sites it may also be a region. Machines and feeders are named
  with their site: `outage[pecos/s21]@6h..10h=4` takes four blocks out of service, `feeder[pecos/transformer-2]=-50%`.
- `@FROM..TO` are hours from the start of the plan; either may be left out, and both together for the whole horizon. A
  step that the window touches is changed for its whole length.
- `difficulty@36h..=+4.2%` is a change of the network's difficulty that is known to come then; it has no end.
- A value with a sign changes what is there, one without replaces it; `:=` replaces in any case, as a negative price
  needs. A percentage with a sign is a change, one without is what remains: `-20%` and `80%` are the same.
"""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Literal, NoReturn, Self, get_args

from annotated_types import Ge
from pydantic import model_validator

from models.base import Record, Text
from models.reading import BadInputError, parse, refuse

Quantity = Literal[
    "hashprice",
    "energy_price",
    "ambient",
    "demand",
    "limit",
    "feeder",
    "site",
    "outage",
    "contract_price",
    "work_price",
    "connection",
    "difficulty",
]
Change = Literal["set", "add", "scale"]

QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)
WHOLE_HORIZON: tuple[Quantity, ...] = ("contract_price", "work_price", "connection")
"""Quantities without a value per step: a patch of them has no window."""

NOT_NEGATIVE: tuple[Quantity, ...] = ("hashprice", "demand")
"""Quantities by step that are never below 0; prices of power may be."""

UNITS: dict[Quantity, str] = {
    "hashprice": "USD/PH/day",
    "difficulty": "a change in %",
    "energy_price": "USD/MWh",
    "ambient": "C",
    "demand": "work/h",
    "limit": "W",
    "feeder": "W",
    "site": "on or off",
    "outage": "machines",
    "contract_price": "USD/MWh",
    "work_price": "USD/Mwork",
    "connection": "W",
}
_WATTS = {"W": 1, "kW": 1_000, "MW": 1_000_000, "GW": 1_000_000_000}
ANY_WATTS = "W, kW, MW or GW"
_FORM = re.compile(
    r"(?P<quantity>[^\[\]@:=]*)(?:\[(?P<name>[^\]]*)\])?"
    r"(?:@(?P<window>.*?))?\s*(?P<operator>:?=)(?P<value>.*)"
)
_HOURS = r"[0-9]+\.?[0-9]*|\.[0-9]+"
_WINDOW = re.compile(rf"(?P<from>{_HOURS})?h?\.\.(?P<to>{_HOURS})?h?")
_MINUS = str.maketrans("\N{MINUS SIGN}", "-")
"""The page and the reports write this minus; what is copied from there is read."""
_VALUE = re.compile(r"(?P<number>[+-]?[0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)\s*(?P<unit>%|[A-Za-z/]*)")


class Patch(Record):
    """One change: `value` replaces, is added to, or scales (0.8 is -20 %) what stands in the steps of the window."""

    quantity: Quantity
    name: Text = "*"
    change: Change
    value: float
    from_h: Annotated[float, Ge(0)] = 0.0
    to_h: Annotated[float, Ge(0)] | None = None

    @model_validator(mode="after")
    def has_a_sensible_window(self) -> Self:
        """Refuse a window that ends before it starts, one where none is possible, and a site that is neither on nor off."""
        if self.to_h is not None and self.to_h <= self.from_h:
            raise ValueError(f"to_h: expected more than from_h {self.from_h:g}, got {self.to_h:g}")
        if self.has_window and self.quantity in WHOLE_HORIZON:
            raise ValueError(f"{self.quantity} holds for the whole horizon, a window is not possible")
        if self.quantity == "site" and (self.change != "set" or self.value not in (0.0, 1.0)):
            raise ValueError("a site is set to 1 (on) or 0 (off)")
        if self.quantity == "difficulty" and (self.change != "scale" or self.to_h is not None):
            raise ValueError("the difficulty is changed by a percentage from a time on, such as difficulty@36h..=+4%")
        if self.quantity == "outage" and (self.change != "set" or self.value < 1 or self.value != int(self.value)):
            raise ValueError("an outage takes a whole number of machines out of service")
        return self

    @property
    def has_window(self) -> bool:
        """Whether it is for a part of the horizon only."""
        return self.from_h > 0 or self.to_h is not None

    def __str__(self) -> str:
        """Write the patch so that `parse_patch` reads it back."""
        window = f"@{self.from_h:g}h..{'' if self.to_h is None else f'{self.to_h:g}h'}" if self.has_window else ""
        target = f"{self.quantity}{'' if self.name == '*' else f'[{self.name}]'}{window}"
        if self.quantity == "site":
            return f"{target}={'on' if self.value else 'off'}"
        unit = "W" if UNITS[self.quantity] == "W" else ""
        if self.change == "scale":
            return f"{target}={100 * (self.value - 1):+.12g}%"
        return f"{target}:={self.value:.15g}{unit}" if self.change == "set" else f"{target}={self.value:+.15g}{unit}"


def in_words(patch: Patch) -> str:
    """Say what a patch does, so that a sign or a missing % that was not meant is seen before anybody plans with it."""
    of = "" if patch.name == "*" else f" of {patch.name}"
    until = "the end" if patch.to_h is None else f"hour {patch.to_h:g}"
    window = f", from hour {patch.from_h:g} to {until}" if patch.has_window else ""
    if patch.quantity == "site":
        return f"{'every site' if patch.name == '*' else patch.name} switched {'on' if patch.value else 'off'}{window}"
    if patch.quantity == "outage":
        did = f"{patch.value:g} machine(s) out of service"
    elif patch.change == "scale":
        percent = 100 * (patch.value - 1)
        did = f"{abs(percent):.6g} % {'lower' if percent < 0 else 'higher'}"
    elif patch.change == "set":
        did = f"set to {_figure(patch, patch.value)}"
    else:
        did = f"{'lowered' if patch.value < 0 else 'raised'} by {_figure(patch, abs(patch.value))}"
    percent_meant = patch.quantity in NOT_NEGATIVE and patch.change == "add" and -100 <= patch.value < 0
    hint = f"; by {-patch.value:g} % would be ={patch.value:g}%" if percent_meant else ""
    return f"{patch.quantity}{of} {did}{window}{hint}"


def _figure(patch: Patch, value: float) -> str:
    unit = UNITS[patch.quantity]
    return f"{value / _WATTS['MW']:g} MW" if unit == "W" else f"{value:g} {unit}"


def parse_patch(text: str) -> Patch:
    """Return the patch that a text such as `hashprice=-20%` means.

    Raises:
        BadInputError: the text is no patch; the words say what was expected.
    """
    found = _FORM.fullmatch(text.strip().translate(_MINUS))
    if found is None:
        refuse("patch_form", f"expected QUANTITY[NAME]=VALUE such as hashprice=-20% or limit[pecos]=20MW, got {text!r}")
    quantity = next((q for q in QUANTITIES if q == found["quantity"]), None)
    if quantity is None:
        near = get_close_matches(found["quantity"].strip().lower().replace(" ", "_"), QUANTITIES, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        refuse("patch_quantity", f"{text!r}: expected one of {', '.join(QUANTITIES)}, got {found['quantity']!r}{hint}")
    change, value = _read_value(quantity, found["value"].strip(), replaces=found["operator"] == ":=", text=text)
    content: dict[str, Any] = {"quantity": quantity, "name": found["name"] or "*", "change": change, "value": value}
    if found["window"] is not None:
        if (hours := _WINDOW.fullmatch(found["window"].strip())) is None:
            words = "a window in hours from the start of the plan such as @6h..10h"
            refuse("patch_window", f"{text!r}: expected {words}, got '@{found['window']}'")
        content["from_h"] = float(hours["from"] or 0)
        content["to_h"] = float(hours["to"]) if hours["to"] else None
    try:
        return parse(Patch, content)
    except BadInputError as error:
        refuse("patch_value", f"{text!r}: {'; '.join(r.detail for r in error.refusals)}")


def written_value(text: str) -> str:
    """Return the value of a patch's text as it is written there: `-20%`, `20MW`, `off`; with its sign where it is `:=`."""
    found = _FORM.fullmatch(text.strip().translate(_MINUS))
    assert found is not None, text  # parse_patch has read it
    return ("" if found["operator"] == "=" else ":=") + found["value"].strip()


def parse_patches(texts: Sequence[str]) -> tuple[Patch, ...]:
    """Return the patches of several texts, in order; the faults of all are reported at once.

    Raises:
        BadInputError: one refusal for each text that is no patch, its pointer the place in the list.
    """
    patches, faults = [], []
    for place, text in enumerate(texts):
        try:
            patches.append(parse_patch(text))
        except BadInputError as error:
            faults += [r.model_copy(update={"pointer": f"/{place}"}) for r in error.refusals]
    if faults:
        raise BadInputError(faults)
    return tuple(patches)


def _read_value(quantity: Quantity, written: str, *, replaces: bool, text: str) -> tuple[Change, float]:
    if quantity == "site":
        if written not in ("on", "off"):
            refuse("patch_value", f"{text!r}: expected on or off, got {written!r}")
        return "set", float(written == "on")
    found = _VALUE.fullmatch(written)
    if found is None:
        refuse("patch_value", f"{text!r}: expected a figure such as 15, +15 or -20%, got {written!r}")
    number, unit, signed = float(found["number"].replace("_", "")), found["unit"], written[0] in "+-"
    if unit == "%":
        if replaces:
            refuse("patch_value", f"{text!r}: a percentage changes what is there; write = instead of :=")
        return "scale", (100 + number if signed else number) / 100
    if UNITS[quantity] == "W":
        number *= _WATTS[unit] if unit in _WATTS else _wrong_unit(text, f"a power in {ANY_WATTS}", written)
    elif unit not in ("", UNITS[quantity]):
        _wrong_unit(text, f"a figure in {UNITS[quantity]}", written)
    return ("add" if signed and not replaces else "set"), number


def _wrong_unit(text: str, expected: str, got: str) -> NoReturn:
    refuse("patch_unit", f"{text!r}: expected {expected}, or a percentage, got {got!r}")
