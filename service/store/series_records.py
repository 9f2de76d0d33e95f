"""Series as the store keeps them: what a series declares, and its points."""

from typing import Annotated, Literal, Self

from annotated_types import Ge, Gt, Le, Len
from pydantic import model_validator

from models.base import Instant, Name, Record
from models.time_grid import Zone

SeriesKind = Literal["price", "hashprice", "exchange", "carbon", "ambient", "limit", "demand", "difficulty", "fees", "height"]
Unit = Literal[
    "USD/MWh", "EUR/MWh", "GBP/MWh", "AUD/MWh", "CAD/MWh", "USD/PH/day", "USD/unit", "kg/MWh", "degC", "W", "tokens/h",
    "micro-node-hours/h", "hashes/2^32", "BTC/block", "blocks",
]  # fmt: skip
UNITS: dict[SeriesKind, tuple[Unit, ...]] = {
    "price": ("USD/MWh", "EUR/MWh", "GBP/MWh", "AUD/MWh", "CAD/MWh"),
    "hashprice": ("USD/PH/day",),
    "exchange": ("USD/unit",),
    "carbon": ("kg/MWh",),
    "ambient": ("degC",),
    "limit": ("W",),
    "demand": ("tokens/h", "micro-node-hours/h"),
    "difficulty": ("hashes/2^32",),
    "fees": ("BTC/block",),
    "height": ("blocks",),
}
"""Units of each kind. The unit names the currency: what is told in another one is refused, never taken for dollars.

Prices in another currency are planned with at the rates that series of kind exchange tell, in USD per unit of it.
"""


class SeriesDeclaration(Record):
    """What a series is: all of it is declared, nothing is guessed.

    `subject` is what the values belong to: a market index (price), a currency (exchange), the emissions of a grid
    (carbon), a temperature series (ambient), a site (limit), a workload (demand), a network (difficulty, fees, height);
    hashprice has none. A limit is that of the site's meter, or of one of its feeders where `feeder` names it. `curve_type`
    A01 gives every step a value, A03 leaves out repeated ones. `floor` and `cap` bound the values; outside them a series is
    refused. `late_after_s` is the age of the newest `known_at` from which the series is stale. A plan that reaches beyond
    the end of a series takes what it was in the same hour, in `zone`, of its last day where that is known, else its last
    value, and says so (label `forecast`). `difficulty` says of a hashprice whether its values are at the difficulty of when they
    were told (constant), so that a change that was entered lowers or raises those after it, or count what is expected of it
    themselves (expected), so that none does: no change counts twice. `source` and `licence` say where it is from and on
    what terms.
    """

    name: Name
    kind: SeriesKind
    subject: Name | None
    feeder: Name | None = None
    unit: Unit
    zone: Zone
    resolution_s: Annotated[int, Ge(60), Le(86_400)]
    source: Annotated[str, Len(1, 500)]
    curve_type: Literal["A01", "A03"]
    floor: float | None = None
    cap: float | None = None
    fill: Literal["none", "previous"] = "none"
    late_after_s: Annotated[int, Gt(0), Le(31 * 86_400)] = 2 * 86_400
    difficulty: Literal["constant", "expected"] | None = None
    licence: Annotated[str, Len(1, 200)] | None = None

    @model_validator(mode="after")
    def is_coherent(self) -> Self:
        """Refuse a unit of another kind, a subject where none belongs or none where one does, and a cap below the floor."""
        if self.unit not in UNITS[self.kind]:
            raise ValueError(f"unit: a series of kind {self.kind} is in {' or '.join(UNITS[self.kind])}, got {self.unit}")
        if (self.subject is None) != (self.kind == "hashprice"):
            raise ValueError(f"subject: expected {'none' if self.kind == 'hashprice' else 'a name'} for kind {self.kind}")
        if self.feeder is not None and self.kind != "limit":
            raise ValueError(f"feeder: expected none for kind {self.kind}, only limits are of feeders, got {self.feeder}")
        if self.difficulty is not None and self.kind != "hashprice":
            raise ValueError(f"difficulty: expected none for kind {self.kind}, only a hashprice has one, got {self.difficulty}")
        if self.floor is not None and self.cap is not None and self.cap < self.floor:
            raise ValueError(f"cap: expected at least floor {self.floor:g}, got {self.cap:g}")
        return self


Flag = Literal[
    "filled",
    "deduplicated",
    "sorted",
    "jump",
    "unit_suspicious",
    "suspicious_repeat",
    "above_nameplate",
    "late",
]


class SeriesPoint(Record):
    """One value: it holds from `start` for the series' resolution, and was known at `known_at`."""

    start: Instant
    value: float
    known_at: Instant
    flags: tuple[Flag, ...] = ()
