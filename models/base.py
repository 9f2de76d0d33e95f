"""The one base class of every record, and the constrained types that records share."""

from collections.abc import Hashable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Self, TypeVar

from annotated_types import Ge, Gt, Le, Len
from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, StringConstraints, WithJsonSchema

T = TypeVar("T", bound=Hashable)

MAX_STEPS = 2_100
"""Most steps a horizon may have: a week of five-minute steps, and some."""


class Record(BaseModel):
    """An immutable, strictly checked value: unknown fields, NaN, numeric strings and booleans as numbers are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy; what was worked out of the old fields (a digest, a sum) is not copied along."""
        copy = super().model_copy(update=update, deep=deep)
        for derived in copy.__dict__.keys() - type(self).model_fields.keys():
            del copy.__dict__[derived]
        return copy


def _instant(value: Any) -> Any:
    """Read an ISO 8601 string with offset, or an aware datetime; everything else is refused in words."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"expected an ISO 8601 instant with offset such as 2026-11-22T08:00:00Z, got {value!r}") from None
    if not isinstance(value, datetime):
        raise ValueError(f"expected an ISO 8601 instant with offset, got {value!r}")
    if value.tzinfo is None:
        raise ValueError(f"expected an instant with an offset, got the naive time {value.isoformat()}")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"expected an instant of the years 1 to 9999 in UTC, got {value.isoformat()}") from None


def iso(instant: datetime) -> str:
    """Write an instant as ISO 8601 in UTC with a trailing Z."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


Instant = Annotated[
    datetime,
    BeforeValidator(_instant),
    PlainSerializer(iso, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""An instant in UTC; enters and leaves as ISO 8601 with offset."""

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]
"""An identifier of a site, machine, workload or series: it goes into URLs and reports as it stands."""

Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
"""Two letters as in ISO 3166."""

Text = Annotated[str, StringConstraints(max_length=2_000)]
Count = Annotated[int, Ge(0), Le(1_000_000)]
PositiveCount = Annotated[int, Gt(0), Le(1_000_000)]
Watts = Annotated[int, Ge(0), Le(10_000_000_000)]
Seconds = Annotated[int, Ge(0), Le(31 * 86_400)]
NonNegative = Annotated[float, Ge(0)]
Positive = Annotated[float, Gt(0)]
Share = Annotated[float, Ge(0), Le(1)]
Work = Annotated[int, Ge(0), Le(10**15)]
"""Whole units of inference work: tokens, or micro-node-hours of rented nodes."""

PriceUsdPerMwh = Annotated[float, Ge(-20_000), Le(20_000)]
"""Wider than any market's floor and cap (ERCOT capped at 9,000, Australia at 17,500 AUD); beyond it a unit is wrong."""

HashpriceUsdPerPhDay = Annotated[float, Ge(0), Le(5_000)]
AmbientC = Annotated[float, Ge(-60), Le(60)]

PriceSeries = Annotated[tuple[PriceUsdPerMwh, ...], Len(1, MAX_STEPS)]
HashpriceSeries = Annotated[tuple[HashpriceUsdPerPhDay, ...], Len(1, MAX_STEPS)]
AmbientSeries = Annotated[tuple[AmbientC, ...], Len(1, MAX_STEPS)]
WattSeries = Annotated[tuple[Watts, ...], Len(1, MAX_STEPS)]
WorkSeries = Annotated[tuple[Work, ...], Len(1, MAX_STEPS)]


def repeated(names: Iterable[T]) -> list[T]:
    """Return the names that occur more than once, each once, in order of their second occurrence."""
    seen: set[T] = set()
    twice: dict[T, None] = {}
    for name in names:
        if name in seen:
            twice[name] = None
        seen.add(name)
    return list(twice)
